//! Webmail's filter rules, carried out by the maildrop that Debian has.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use courier_cli::disk::StdDisk;
use courier_core::disk;
use courier_core::time::Timestamp;
use courier_maildir::filter_rules::{
    After, Config, Draft, Kind, Match, Part, Places, Recipe, Rule, Sense, commit, import, save,
};
use courier_maildir::folder::{FolderName, create, create_maildir};
use courier_maildir::name::HostName;
use courier_maildir::writer::Writer;

use crate::harness::installed;

/// A home with a maildir, and programs that write down how they are called.
struct Home {
    folder: tempfile::TempDir,
    disk: StdDisk,
    writer: Writer,
}

const FOLDERS: [&str; 3] = ["Lists", "a\"b`c$HOME\\e 'f", "é.x"];

impl Home {
    fn new() -> Self {
        let start = Timestamp {
            seconds: 1_700_000_000,
            nanos: 0,
        };
        let home = Self {
            folder: tempfile::tempdir().expect("a folder"),
            disk: StdDisk::new(1),
            writer: Writer::new(start, std::process::id(), HostName::new("mx"), 0o600),
        };
        let (maildir, writer) = (home.path().join("Maildir"), &home.writer);
        home.disk
            .run(disk::task(|disk| async move {
                create_maildir(&disk, &maildir, writer).await?;
                for name in FOLDERS {
                    let name = FolderName::parse(&format!("INBOX.{name}")).expect("a name");
                    create(&disk, &maildir, &name, writer).await?;
                }
                Ok::<_, courier_maildir::folder::FolderError>(())
            }))
            .expect("made");
        for program in ["sendmail", "mailbot"] {
            let path = home.path().join(program);
            let log = home.path().join(format!("{program}.log"));
            let text = format!(
                "#!/bin/sh\nfor a; do printf '<%s>' \"$a\"; done >> {}\ncat > /dev/null\n",
                log.display()
            );
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
        }
        home
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn log(&self, program: &str) -> String {
        fs::read_to_string(self.path().join(format!("{program}.log"))).unwrap_or_default()
    }

    /// Makes these the rules, as a webmail server does.
    fn set(&self, drafts: &[Draft]) {
        let mailbot = self.path().join("mailbot").display().to_string();
        let mut config = Config::parse(b"MAILDIRFILTER=../.mailfilter\n").expect("a recipe");
        config.places = Places::new("./Maildir", &mailbot).expect("places");
        let (maildir, writer) = (&self.path().join("Maildir"), &self.writer);
        fs::remove_file(self.path().join(".mailfilter")).ok();
        let edit = disk::task(|disk| async move {
            import(&disk, maildir, &config, "ann'\\@example.com", writer).await?;
            let mut recipe = Recipe::new("ann'\\@example.com").expect("an address");
            for (place, draft) in drafts.iter().enumerate() {
                let rule = Rule::new(draft.clone()).expect("a rule");
                recipe.insert(place, rule).expect("put");
            }
            save(&disk, maildir, &config, &recipe, writer).await?;
            commit(&disk, maildir, &config).await
        });
        self.disk.run(edit).expect("committed");
    }

    /// Gives a message to maildrop; its exit status and output, and the folders in
    /// which a copy came to lie.
    fn deliver(&self, message: &str) -> (Option<i32>, String, Vec<&'static str>) {
        let sendmail = self.path().join("sendmail");
        let outer = format!(
            "SENDMAIL=\"{}\"\ninclude \".mailfilter\"\n",
            sendmail.display()
        );
        let path = self.path().join("outer");
        fs::write(&path, outer).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("private");
        let mut maildrop = Command::new("maildrop")
            .arg("outer")
            .current_dir(self.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("maildrop runs");
        let mut stdin = maildrop.stdin.take().expect("stdin");
        stdin.write_all(message.as_bytes()).expect("written");
        drop(stdin);
        let output = maildrop.wait_with_output().expect("maildrop ends");
        let mut found = Vec::new();
        for name in ["INBOX"].into_iter().chain(FOLDERS) {
            let folder = match name {
                "INBOX" => self.path().join("Maildir"),
                name => self.path().join("Maildir").join(format!(".{name}")),
            };
            for entry in fs::read_dir(folder.join("new")).expect("a folder") {
                fs::remove_file(entry.expect("an entry").path()).expect("removed");
                found.push(name);
            }
        }
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        (output.status.code(), text, found)
    }
}

fn rule(kind: Kind, value: &str, folder: &str) -> Draft {
    Draft {
        name: "rule".into(),
        kind,
        header: "Subject".into(),
        value: value.into(),
        folder: folder.into(),
        matching: Match::Plain,
        ..Draft::default()
    }
}

#[test]
fn messages_are_filed_as_the_rules_say() {
    if !installed("maildrop") {
        return;
    }
    let home = Home::new();
    let odd = "a $x `y` 'q' \"z\" [c] (d) \\ / ! é";
    let message = format!(
        "From: zoe@example.net\nTo: ann@example.com\nSubject: {odd} end\n\nfirst {odd}\nlast\n"
    );
    let pattern = |mut draft: Draft| {
        draft.matching = Match::Pattern;
        draft
    };
    let body = |mut draft: Draft| {
        draft.part = Part::Body;
        draft
    };
    for (draft, matches) in [
        (rule(Kind::StartsWith, "a $x", ".Lists"), true),
        (rule(Kind::StartsWith, " $x", ".Lists"), false),
        (rule(Kind::StartsWith, odd, ".Lists"), true),
        (rule(Kind::EndsWith, "é end", ".Lists"), true),
        (rule(Kind::EndsWith, "é", ".Lists"), false),
        (rule(Kind::Contains, odd, ".Lists"), true),
        (rule(Kind::Contains, " $x `y`", ".Lists"), true),
        (rule(Kind::Contains, "a.*end", ".Lists"), false),
        (pattern(rule(Kind::Contains, "a.*(end|x)", ".Lists")), true),
        (pattern(rule(Kind::Contains, " \\$x", ".Lists")), true),
        (pattern(rule(Kind::Contains, "[b-c]\\]", ".Lists")), true),
        (body(rule(Kind::StartsWith, "first", ".Lists")), true),
        (body(rule(Kind::StartsWith, "irst", ".Lists")), false),
        (body(rule(Kind::EndsWith, "ast", ".Lists")), true),
        (body(rule(Kind::Contains, odd, ".Lists")), true),
        (rule(Kind::HasRecipient, "ann@example.com", ".Lists"), true),
        (rule(Kind::HasRecipient, "bob@example.com", ".Lists"), false),
        (rule(Kind::Multipart, "", ".Lists"), false),
        (rule(Kind::PlainText, "", ".Lists"), true),
        (rule(Kind::LargerThan, "10", ".Lists"), true),
        (rule(Kind::LargerThan, "100000", ".Lists"), false),
        (rule(Kind::Any, "", ".Lists"), true),
    ] {
        for sense in [Sense::Does, Sense::DoesNot] {
            let draft = Draft {
                sense,
                ..draft.clone()
            };
            home.set(std::slice::from_ref(&draft));
            let filed = matches == (sense == Sense::Does);
            let expected = if filed { "Lists" } else { "INBOX" };
            let recipe = fs::read_to_string(home.path().join(".mailfilter")).expect("a recipe");
            assert_eq!(
                home.deliver(&message),
                (Some(0), String::new(), vec![expected]),
                "{recipe}"
            );
        }
    }
    let parts = "Content-Type: multipart/mixed; boundary=x\n\n--x--\n";
    home.set(&[rule(Kind::Multipart, "", ".Lists")]);
    assert_eq!(home.deliver(parts).2, ["Lists"]);
    home.set(&[rule(Kind::PlainText, "", ".Lists")]);
    assert_eq!(home.deliver(parts).2, ["INBOX"]);
}

#[test]
fn every_action_is_what_it_says() {
    if !installed("maildrop") {
        return;
    }
    let home = Home::new();
    let message = "From: zoe@example.net\nSubject: x\n\nbody\n";
    for name in FOLDERS {
        let draft = rule(Kind::Any, "", &format!(".{name}"));
        home.set(std::slice::from_ref(&draft));
        assert_eq!(home.deliver(message), (Some(0), String::new(), vec![name]));
        let after = After::Continue;
        home.set(&[Draft { after, ..draft }]);
        assert_eq!(
            home.deliver(message),
            (Some(0), String::new(), vec!["INBOX", name])
        );
    }
    home.set(&[rule(Kind::Any, "", "!bob@example.com a+b@example.net")]);
    assert_eq!(home.deliver(message), (Some(0), String::new(), vec![]));
    assert_eq!(
        home.log("sendmail"),
        "<-f><><bob@example.com><a+b@example.net>"
    );
    home.set(&[rule(Kind::Any, "", "*go away!")]);
    assert_eq!(
        home.deliver(message),
        (Some(77), "go away!\n".to_owned(), vec![])
    );
    home.set(&[rule(Kind::Any, "", "exit")]);
    assert_eq!(home.deliver(message), (Some(0), String::new(), vec![]));
    home.set(&[Draft {
        from: "o'x\\y \"z\" <ann@example.com>".into(),
        ..rule(Kind::Any, "", "+vac dsn=1 days=3 noquote")
    }]);
    assert_eq!(
        home.deliver(message),
        (Some(0), String::new(), vec!["INBOX"])
    );
    let called = home.log("mailbot");
    let expected = concat!(
        "<-A><X-Sender: ann'\\@example.com><-A><From: o'x\\y \"z\" <ann@example.com>>",
        "<-M><ann'\\@example.com><-m><./Maildir/autoresponses/vac><-N>",
        "<-d><./Maildir/autoresponses/vac.dat><-D><3>"
    );
    assert!(called.starts_with(expected), "{called}");
}
