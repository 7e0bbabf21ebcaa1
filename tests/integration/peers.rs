//! The list of complaints in `main.rs`, and the tests it speaks of.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Complaint and file, of each row of the list.
fn listed() -> BTreeSet<(u8, String)> {
    let rows = include_str!("main.rs").lines().filter_map(|line| line.strip_prefix("//! | ")).skip(1);
    let pairs = rows.flat_map(|row| {
        let (complaints, files) = row.split_once(" | ").unwrap();
        let numbers = complaints.split_whitespace().filter_map(|word| word.parse::<u8>().ok());
        let files = files.split('`').skip(1).step_by(2);
        numbers.flat_map(move |number| files.clone().map(move |file| (number, file.to_owned())))
    });
    pairs.collect()
}

/// Complaint and file, of each test.
fn tested() -> BTreeSet<(u8, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    for folder in ["src", "tests/integration", "tests/delivery", "tests/telemetry"] {
        each(&root.join(folder), &mut |file, text| {
            let file = file.strip_prefix(root).unwrap().to_str().unwrap();
            for name in ["fn peer_bug_", "def test_peer_bug_"] {
                let rests = text.split(name).skip(1);
                found.extend(rests.filter_map(|rest| Some((rest.get(..2)?.parse().ok()?, file.to_owned()))));
            }
        });
    }
    found
}

fn each(folder: &Path, then: &mut impl FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each(&path, then);
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "py") {
            then(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_complaint_on_the_list_has_its_test_in_each_of_its_files_and_the_list_has_all_tests() {
    let (listed, tested) = (listed(), tested());
    let without: Vec<_> = listed.difference(&tested).collect();
    let unlisted: Vec<_> = tested.difference(&listed).collect();
    assert!(without.is_empty() && unlisted.is_empty(), "no test: {without:?}; not listed: {unlisted:?}");
}
