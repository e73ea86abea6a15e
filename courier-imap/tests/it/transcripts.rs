//! Runs `tests/transcripts/*.txt`; `peer` has the words of their questions and answers.

use std::path::Path;

use courier_core::testing::transcript;

use crate::peer::Scripted;

#[test]
fn every_transcript_holds_in_every_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    assert!(names.len() > 10);
    let only = std::env::var("ONLY").unwrap_or_default();
    for path in names
        .into_iter()
        .filter(|path| path.to_string_lossy().contains(&only))
    {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let login = !text.starts_with("# before login");
        transcript::check(&name, &text, || Scripted::new(&text, login));
    }
}
