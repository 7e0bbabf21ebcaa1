//! The house: a module names only rows below it, and siblings do not name each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The rows, lowest first; a top-level module or file of `src` that is in none is a fault.
const ROWS: [&[&str]; 9] = [
    &["ids", "units", "usage", "clock", "environment", "random", "secret", "sync", "tasks", "meters"],
    &["dialect", "limits", "resilience", "pricing", "net"],
    &["auth", "telemetry", "mock"],
    &["policy"],
    &["relay"],
    &["server", "admin", "scenario", "inject"],
    &["app"],
    &["cli"],
    &["main"],
];

/// Siblings of row 0 are one vocabulary: these may name each other.
const VOCABULARY: [(&str, &str); 2] = [("usage", "units"), ("secret", "environment")];

#[test]
fn a_module_names_only_rows_below_its_own() {
    let row = rows();
    let mut faults = Vec::new();
    for file in rust_files(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let from = module_of(&file);
        if from == "lib" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for to in named_modules(&text) {
            let (Some(mine), Some(theirs)) = (row.get(from.as_str()), row.get(to.as_str())) else {
                faults
                    .push(format!("{}: `{from}` names `{to}`, and one of them is in no row", file.display()));
                continue;
            };
            let below = theirs < mine;
            if from != to && !below && !VOCABULARY.contains(&(from.as_str(), to.as_str())) {
                faults.push(format!("{}: `{from}` (row {mine}) names `{to}` (row {theirs})", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_is_in_a_row() {
    let row = rows();
    let modules: BTreeSet<String> = rust_files(Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .iter()
        .map(|file| module_of(file))
        .collect();
    let homeless: Vec<_> = modules.iter().filter(|m| *m != "lib" && !row.contains_key(m.as_str())).collect();
    assert!(homeless.is_empty(), "in no row of the house: {homeless:?}");
}

#[test]
fn the_search_finds_every_way_to_name_a_module() {
    let text = "use crate::ids::TenantId;\nuse crate::{limits::Rule, net};\nlet x = crate::policy::load();\n// crate::app\nuse egret::relay;";
    let named = named_modules(text);
    assert_eq!(named, ["ids", "limits", "net", "policy", "relay"].map(String::from).into());
}

fn rows() -> BTreeMap<&'static str, usize> {
    ROWS.iter()
        .enumerate()
        .flat_map(|(row, modules)| modules.iter().map(move |module| (*module, row)))
        .collect()
}

/// `src/policy/load.rs` is of `policy`, `src/ids.rs` of `ids`.
fn module_of(file: &Path) -> String {
    let below = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The top-level modules that a file names in its code: after `crate::`, or `egret::` in the binary.
fn named_modules(text: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for marker in ["crate::", "egret::"] {
        for (at, _) in code.match_indices(marker) {
            let rest = &code[at + marker.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(heads_of_group(group)),
                None => found.extend(identifier(rest)),
            }
        }
    }
    found
}

/// The first names of `{a::X, b::{C, D}, e}`, given what follows the opening brace.
fn heads_of_group(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let (mut depth, mut at_head) = (0, true);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            c if at_head && depth == 0 && !c.is_whitespace() => {
                heads.extend(identifier(&group[i..]));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    // Types of the crate root (macros, re-exports) are no modules.
    name.starts_with(|c: char| c.is_ascii_lowercase()).then_some(name)
}

fn rust_files(folder: PathBuf) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}
