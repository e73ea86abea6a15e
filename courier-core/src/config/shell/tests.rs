use proptest::prelude::*;

use super::*;

/// Each statement as a short text.
fn told(script: &str) -> Vec<String> {
    let tell = |word: &Word| {
        let pieces = word.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Variable {
                name,
                instead: None,
            } => format!("<{name}>"),
            Piece::Variable {
                name,
                instead: Some((instead, word)),
            } => format!("<{name} {instead:?} {:?}>", word.literal()),
        });
        pieces.collect::<String>()
    };
    Script::parse(script.as_bytes())
        .statements
        .iter()
        .map(|statement| {
            let what = match &statement.what {
                What::Assign { name, value } => format!("{name}={}", tell(value)),
                What::Export(list) => {
                    let list = list
                        .iter()
                        .map(|(name, value)| format!(" {name}={}", tell(value)));
                    format!("export{}", list.collect::<String>())
                }
                What::Include(file) => format!(". {}", tell(file)),
                What::Skip(why) => format!("! {why}"),
            };
            format!("{} {what}", statement.line)
        })
        .collect()
}

#[test]
fn quotes_and_continuations_are_those_of_sh() {
    let script = r#"# a comment
A=plain # another
B="two words $A" C='$A\n'

D=a\ b\#c\
d
E="several
lines \"quoted\" \$A \x"
  F=#no comment
G=
H=''x""
I=a#b
"#;
    assert_eq!(
        told(script),
        [
            "2 A=plain",
            "3 B=two words <A>",
            "3 C=$A\\n",
            "5 D=a b#cd",
            "7 E=several\nlines \"quoted\" $A \\x",
            "9 F=#no",
            "10 G=",
            "11 H=x",
            "12 I=a#b",
        ]
        .map(|line| match line {
            // `F=#no comment` runs a command named comment.
            "9 F=#no" => "9 ! the command \"comment\" is not run here; only assignments, export and . are understood",
            line => line,
        })
    );
}

#[test]
fn variables_come_in_every_form() {
    assert_eq!(
        told("A=$B/${C}x${D:-d}${E-}${F:+f}${G+'g }'}$\n"),
        [
            "1 A=<B>/<C>x<D Empty Some(\"d\")><E Unset Some(\"\")><F Filled Some(\"f\")>\
         <G Set Some(\"g }\")>$"
        ]
    );
    assert_eq!(told("A=\"${B-'x'}\"\n"), ["1 A=<B Unset Some(\"'x'\")>"]);
    for (script, wanted) in [
        (
            "A=$(date)\nB=1",
            "! the output of a command is used, and no commands are run here",
        ),
        (
            "A=`date`\nB=1",
            "! the output of a command is used, and no commands are run here",
        ),
        (
            "A=$1\nB=1",
            "! an expansion other than $NAME, ${NAME} and ${NAME:-word}",
        ),
        (
            "A=${B%x}\nB=1",
            "! an expansion other than $NAME, ${NAME} and ${NAME:-word}",
        ),
        (
            "A=\"x $(date) y\"\nB=1",
            "! the output of a command is used, and no commands are run here",
        ),
        (
            "A=${}\nB=1",
            "! an expansion other than $NAME, ${NAME} and ${NAME:-word}",
        ),
    ] {
        assert_eq!(
            told(script),
            [format!("1 {wanted}"), "2 B=1".to_owned()],
            "{script}"
        );
    }
    let nested = format!("A={}x{}\nB=1", "${A:-".repeat(9), "}".repeat(9));
    assert_eq!(
        told(&nested),
        ["1 ! expansions are nested too deep", "2 B=1"]
    );
}

#[test]
fn export_and_inclusion_are_understood() {
    assert_eq!(
        told(
            "export A=1 B\nexport -p\n. /etc/environment\nsource \"$X/y\"; C=2\nreadonly D=3\n:\n"
        ),
        [
            "1 export A=1",
            "2 export",
            "3 . /etc/environment",
            "4 . <X>/y",
            "4 C=2",
            "5 export D=3"
        ]
    );
}

#[test]
fn commands_are_skipped_with_what_depends_on_them() {
    let script = "umask 022\nA=1 B=2 command\ntest -f x && . x && C=1\nD=1 && E=2\nF=1 || G=1\n\
                  echo x > file\nH=1 | I=1\nJ=1";
    let told = told(script);
    let short: Vec<_> = told
        .iter()
        .map(|line| line.split(" is not").next().expect("text"))
        .collect();
    assert_eq!(
        short,
        [
            "1 ! the command \"umask\"",
            "2 ! the command \"command\"",
            "3 ! the command \"test\"",
            "4 D=1",
            "4 E=2",
            "5 ! the command \"|, &, < or >\"",
            "6 ! the command \"echo\"",
            "7 ! the command \"|, &, < or >\"",
            "8 J=1",
        ]
    );
}

#[test]
fn compound_commands_are_skipped_as_one() {
    let script = "if [ -f x ]; then\n A=1\n if true; then B=1; fi\nelse\n C=1\nfi\nD=1\n\
        for x in a b; do E=$x; done\ncase $D in\n 1) F=1;;\n *) if x; then G=1; fi;;\nesac\n\
        (H=1; cd /)\n{ I=1\n}\nfunc() {\n J=1\n}\nwhile :; do K=1; done; L=1\nif_not=1\nM=if\n";
    let told = told(script);
    let short: Vec<_> = told
        .iter()
        .map(|line| line.split(" and what").next().expect("text"))
        .map(|line| line.split(" is not").next().expect("text"))
        .collect();
    assert_eq!(
        short,
        [
            "1 ! \"if\"",
            "7 D=1",
            "8 ! \"for\"",
            "9 ! \"case\"",
            "13 ! \"(\"",
            "14 ! \"{\"",
            "16 ! the command \"func\"",
            "19 ! \"while\"",
            "19 L=1",
            "20 if_not=1",
            "21 M=if",
        ]
    );
}

#[test]
fn what_is_never_closed_ends_the_file() {
    for (script, wanted) in [
        (
            "A=1\nB='x\nC=2\n",
            "2 ! a quote is not closed before the end of the file",
        ),
        (
            "A=1\nB=\"x\nC=2\n",
            "2 ! a double quote is not closed before the end of the file",
        ),
        (
            "A=1\nB=${C\n",
            "2 ! an expansion other than $NAME, ${NAME} and ${NAME:-word}",
        ),
        (
            "A=1\nif x; then\nC=2\n",
            "2 ! fi is not closed before the end of the file",
        ),
        (
            "A=1\ncat <<END\nC=2\n",
            "2 ! a here-document; the rest of the file is not read",
        ),
    ] {
        let told = told(script);
        assert_eq!(told, ["1 A=1", wanted], "{script}");
    }
}

#[test]
fn windows_line_ends_are_taken_off() {
    assert_eq!(told("A=1\r\nB=\"x\r\ny\"\r\n"), ["1 A=1", "2 B=x\ny"]);
}

#[test]
fn latin_1_is_reported_where_it_counts() {
    let script = Script::parse(b"# caf\xe9\nA=1\nB=caf\xe9\nC=1");
    assert_eq!(script.statements.len(), 3);
    let why = What::Skip(Skipped::Word(ShellError::NotUtf8));
    assert_eq!(script.statements[1], Statement { line: 3, what: why });
}

proptest! {
    #[test]
    fn what_is_quoted_is_read_back(value in "\\PC{0,20}|[ -~\n\t]{0,30}") {
        let script = Script::parse(format!("A={}\n", quote(&value)).as_bytes());
        prop_assert_eq!(script.statements.len(), 1);
        match &script.statements[0].what {
            What::Assign { name, value: word } => {
                prop_assert_eq!(name.as_str(), "A");
                prop_assert_eq!(word.literal(), Some(value.as_str()));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn no_file_panics_and_lines_ascend(text in "[A-C=$(){}'\"`\\\\;&|<># \nifdone]{0,80}", odd: Vec<u8>) {
        for octets in [text.as_bytes(), &odd] {
            let script = Script::parse(octets);
            let lines = u32::try_from(octets.iter().filter(|&&b| b == b'\n').count()).expect("few");
            prop_assert!(script.statements.iter().all(|s| s.line >= 1 && s.line <= lines + 1));
        }
    }
}
