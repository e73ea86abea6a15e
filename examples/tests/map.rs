//! ARCHITECTURE.md is the map of the crates, and stays true.
#![expect(
    clippy::expect_used,
    reason = "this is a test, also where a function has no attribute"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of a crate: what lies in `src`, but for its root and its programs.
fn modules(source: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(source).expect("a crate has a src");
    let names = entries.map(|entry| entry.expect("an entry").path());
    let names = names.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    names
        .filter(|name| name != "lib" && name != "bin")
        .collect()
}

/// The modules that the map has for a crate: the first column of its table.
fn mapped(map: &str, name: &str) -> BTreeSet<String> {
    let section = map.split("\n### ").find(|section| {
        let title = section.lines().next().unwrap_or_default();
        title.split(", ").any(|title| title == name)
    });
    let section = section.unwrap_or_else(|| panic!("the map does not know {name}"));
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows = rows.filter_map(|row| row.split('`').next());
    rows.map(str::to_owned).collect()
}

#[test]
fn the_map_names_every_module_and_no_other() {
    let top: PathBuf = [env!("CARGO_MANIFEST_DIR"), ".."].iter().collect();
    let map = fs::read_to_string(top.join("ARCHITECTURE.md")).expect("a map");
    let mut crates = 0;
    for entry in fs::read_dir(&top).expect("the workspace") {
        let path = entry.expect("an entry").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with("courier-") {
            assert_eq!(mapped(&map, name), modules(&path.join("src")), "{name}");
            crates += 1;
        }
    }
    assert_eq!(crates, 8);
}
