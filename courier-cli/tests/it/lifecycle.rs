//! init, account, check, serve, stop and reload, as cli.md says.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{PASSWORD, Root, SERVICES, Server, courier};

#[test]
fn serve_says_where_it_listens_and_stops_when_told() {
    let root = Root::new();
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start(&root);
        assert_eq!(server.services(), SERVICES.len());
        let mut idle = server.connect("imap");
        idle.line();
        server.signal(signal);
        assert!(idle.line().starts_with("* BYE"));
        let status = server.wait(Duration::from_secs(10)).expect("it ends");
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn a_message_under_way_is_finished_when_the_server_stops() {
    let root = Root::new();
    let mut server = Server::start(&root);
    let mut client = server.connect("esmtp");
    client.reply();
    client.smtp("EHLO c");
    client.smtp("MAIL FROM:<z@example.net>");
    client.smtp("RCPT TO:<ann@example.com>");
    assert!(client.smtp("DATA").starts_with("354"));
    let mut idle = server.connect("esmtp");
    idle.reply();
    server.signal(Signal::TERM);
    assert!(idle.reply().starts_with("421 4.3.2"));
    assert!(
        client
            .smtp("Subject: late\r\n\r\nx\r\n.")
            .starts_with("250")
    );
    assert_eq!(
        server
            .wait(Duration::from_secs(35))
            .expect("it ends")
            .code(),
        Some(0)
    );
    let _again = Server::start(&root);
    root.wait_for_messages("ann", 1);
}

#[test]
fn a_second_init_changes_nothing_and_adds_what_is_new() {
    let root = Root::new();
    let read = |name: &str| std::fs::read(root.path().join(name)).expect("a file");
    let certificate = read("share/server.pem");
    let mode = std::fs::metadata(root.path().join("share/server.pem")).expect("a file");
    assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    root.configure("imapd", "MAXPERIP=7");
    let imapd = read("etc/imapd");
    let made = root.run(&["init", "--domain", "example.net"], "");
    assert!(made.status.success(), "{made:?}");
    assert_eq!(read("share/server.pem"), certificate);
    assert_eq!(read("etc/imapd"), imapd);
    root.add_account("zoe@example.net");
    let server = Server::start(&root);
    let mut client = server.connect("esmtp");
    client.reply();
    client.smtp("EHLO c");
    client.smtp("MAIL FROM:<>");
    assert!(client.smtp("RCPT TO:<zoe@example.net>").starts_with("250"));
    assert!(client.smtp("RCPT TO:<ann@example.com>").starts_with("250"));
}

#[test]
fn accounts_come_and_go_under_a_running_server() {
    let root = Root::new();
    let server = Server::start(&root);
    let login = |user: &str, password: &str| {
        let mut client = server.connect("imap");
        client.line();
        let lines = client.imap("a", &format!("LOGIN {user} \"{password}\""));
        lines.last().is_some_and(|l| l.starts_with("a OK"))
    };
    assert!(!login("eve@example.com", PASSWORD));
    root.add_account("eve@example.com");
    assert!(login("eve@example.com", PASSWORD));
    let changed = root.run(
        &["account", "passwd", "eve@example.com", "--password-stdin"],
        "new",
    );
    assert!(changed.status.success(), "{changed:?}");
    assert!(login("eve@example.com", "new"));
    assert!(!login("eve@example.com", PASSWORD));
    let listed = root.run(&["account", "list"], "");
    let text = String::from_utf8(listed.stdout).expect("text");
    assert!(text.contains("eve@example.com"), "{text}");
    assert!(
        root.run(&["account", "remove", "eve@example.com"], "")
            .status
            .success()
    );
    assert!(!login("eve@example.com", "new"));
    let gone = root.run(&["account", "remove", "eve@example.com"], "");
    assert_eq!(gone.status.code(), Some(67), "{gone:?}");
}

#[test]
fn an_account_that_nothing_leads_to_is_told_at_once() {
    let root = Root::new();
    let add = |address: &str| {
        let added = root.run(&["account", "add", address, "--password-stdin"], "secret");
        let said = String::from_utf8(added.stderr).expect("text");
        (added.status.code(), said)
    };
    assert_eq!(add("carol@example.com"), (Some(0), String::new()));
    assert_eq!(add("carol"), (Some(0), String::new()));
    let (status, said) = add("dave@elsewhere.example");
    assert_eq!(status, Some(0));
    assert!(
        said.contains("courier init --domain elsewhere.example"),
        "{said}"
    );
    let (status, said) = add("dave@mx.example.com");
    assert_eq!(status, Some(0));
    assert!(said.contains("goes to the account dave:"), "{said}");
    root.configure("locallowercase", "");
    let (status, said) = add("Erin@example.com");
    assert_eq!(status, Some(64));
    assert!(
        said.contains("lead to the account erin@example.com: add that"),
        "{said}"
    );
    assert!(!root.maildir("Erin").exists());
}

#[test]
fn check_names_file_and_line() {
    let root = Root::new();
    let checked = root.run(&["check"], "");
    let text = String::from_utf8(checked.stdout).expect("text");
    assert_eq!(
        checked.status.code(),
        Some(0),
        "a new root is right: {text}"
    );
    root.configure("sizelimit", "");
    std::fs::write(root.path().join("etc/sizelimit"), "ten\n").expect("written");
    let checked = root.run(&["check"], "");
    let text = String::from_utf8(checked.stdout).expect("text");
    assert_eq!(checked.status.code(), Some(1), "{text}");
    assert!(
        text.lines().any(|l| l.contains("etc/sizelimit:1: error: ")),
        "{text}"
    );
}

#[test]
fn a_linked_configuration_is_served() {
    let root = Root::new();
    let etc = root.path().join("etc");
    let site = root.path().join("site");
    std::fs::rename(&etc, &site).expect("moved");
    std::os::unix::fs::symlink("site", &etc).expect("linked");
    for name in ["me", "imapd", "hosteddomains"] {
        let real = root.path().join(format!("{name}.real"));
        std::fs::rename(site.join(name), &real).expect("moved");
        std::os::unix::fs::symlink(&real, site.join(name)).expect("linked");
    }
    let checked = root.run(&["check"], "");
    assert!(checked.status.success(), "{checked:?}");
    let server = Server::start(&root);
    let mut client = server.connect("esmtp");
    assert!(client.reply().contains("mx.example.com"));
}

#[test]
fn a_hangup_reloads_and_a_broken_configuration_changes_nothing() {
    let root = Root::new();
    let server = Server::start(&root);
    let size = || {
        let mut client = server.connect("esmtp");
        client.reply();
        let reply = client.smtp("EHLO c");
        let line = reply.lines().find(|l| l.contains("SIZE ")).expect("SIZE");
        line[4..].trim_start_matches("SIZE ").to_owned()
    };
    let becomes = |wanted: &str| {
        let patience = Duration::from_secs(10);
        crate::harness::within(patience, || (size() == wanted).then_some(())).is_some()
    };
    assert_eq!(size(), "10485760");
    std::fs::write(root.path().join("etc/sizelimit"), "5000\n").expect("written");
    server.signal(Signal::HUP);
    assert!(becomes("5000"), "{}", size());
    std::fs::write(root.path().join("etc/sizelimit"), "what\n").expect("written");
    server.signal(Signal::HUP);
    let told = crate::harness::within(Duration::from_secs(10), || {
        server
            .log_lines()
            .iter()
            .any(|l| l.contains("sizelimit"))
            .then_some(())
    });
    assert!(told.is_some(), "the log names the broken file");
    assert_eq!(size(), "5000");
}

#[test]
fn without_listen_the_switched_on_services_start() {
    let root = Root::new();
    for (file, switch) in [
        ("esmtpd", "ESMTPDSTART"),
        ("esmtpd-msa", "ESMTPDSTART"),
        ("esmtpd-ssl", "ESMTPDSSLSTART"),
        ("imapd", "IMAPDSTART"),
        ("imapd-ssl", "IMAPDSSLSTART"),
        ("pop3d", "POP3DSTART"),
        ("pop3d-ssl", "POP3DSSLSTART"),
    ] {
        let address = if file.ends_with("-ssl") {
            "SSLADDRESS"
        } else {
            "ADDRESS"
        };
        root.configure(file, &format!("{switch}=NO\n{address}=127.0.0.1"));
    }
    let (imap, pop3s) = (free_port(), free_port());
    root.configure("imapd", &format!("IMAPDSTART=YES\nPORT={imap}"));
    root.configure("pop3d-ssl", &format!("POP3DSSLSTART=YES\nSSLPORT={pop3s}"));
    let mut command = courier();
    command.arg("serve").env("COURIER_ROOT", root.path());
    let server = Server::spawn(command);
    assert_eq!(server.services(), 2);
    assert!(server.connect("imap").line().starts_with("* OK"));
    assert_eq!(server.address("pop3s").port(), pop3s);
}

#[test]
fn sockets_of_a_service_manager_outlive_the_server() {
    let root = Root::new();
    for (name, argument) in [("esmtp", ""), ("", "--listen"), ("", "")] {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = socket.local_addr().expect("an address");
        for file in [
            "esmtpd-msa",
            "esmtpd-ssl",
            "imapd",
            "imapd-ssl",
            "pop3d",
            "pop3d-ssl",
        ] {
            let off = [
                "ESMTPD",
                "ESMTPDSSL",
                "IMAPD",
                "IMAPDSSL",
                "POP3D",
                "POP3DSSL",
            ];
            let off = off.map(|service| format!("{service}START=NO\n")).concat();
            root.configure(file, &off);
        }
        let on = format!(
            "ESMTPDSTART=YES\nADDRESS=127.0.0.1\nPORT={}",
            address.port()
        );
        root.configure("esmtpd", &on);
        // The shell gives its number and the socket on, as a service manager does.
        let serve = || {
            let mut command = std::process::Command::new("sh");
            let script =
                "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve --root \"$@\" 3<&0 0</dev/null";
            command.args(["-c", script, env!("CARGO_BIN_EXE_courier")]);
            command.arg(root.path()).env("LISTEN_FDNAMES", name);
            if !argument.is_empty() {
                command.arg(argument).arg(format!("esmtp={address}"));
            }
            let socket = socket.try_clone().expect("a descriptor");
            Server::spawn_with(command, std::os::fd::OwnedFd::from(socket).into())
        };
        let mut server = serve();
        assert_eq!(server.address("esmtp"), address, "{name} {argument}");
        assert!(server.connect("esmtp").reply().starts_with("220"));
        server.signal(Signal::TERM);
        server.wait(Duration::from_secs(10)).expect("it ends");
        let mut between = server.connect("esmtp");
        let _next = serve();
        assert!(between.reply().starts_with("220"), "nobody is refused");
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    socket.local_addr().expect("an address").port()
}

#[test]
fn the_demo_succeeds() {
    let output = courier()
        .args(["demo", "--once"])
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for word in ["SMTP", "IMAP", "POP3", "250", "no filter"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn help_and_version_work_and_nonsense_is_a_usage_error() {
    for argument in ["--help", "--version"] {
        assert!(
            courier()
                .arg(argument)
                .output()
                .expect("it runs")
                .status
                .success()
        );
    }
    let output = courier().arg("frobnicate").output().expect("it runs");
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr).lines().count(),
        1,
        "{output:?}"
    );
}

#[test]
fn a_json_log_is_json() {
    let root = Root::new();
    let mut command = courier();
    command.args([
        "serve",
        "--log",
        "json",
        "--listen",
        "imap=127.0.0.1:0",
        "--root",
    ]);
    let server = Server::spawn({
        command.arg(root.path());
        command
    });
    let mut client = server.connect("imap");
    client.line();
    client.imap("a", "LOGIN ann@example.com \"wrong\\\"word\"");
    let lines = server.log_lines();
    assert!(
        lines
            .iter()
            .any(|l| l.contains("\"event\":\"LOGIN FAILED\"")),
        "{lines:?}"
    );
    assert!(
        lines.iter().all(|l| l.starts_with('{') && l.ends_with('}')),
        "{lines:?}"
    );
}
