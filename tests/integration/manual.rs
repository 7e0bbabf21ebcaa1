//! `policies/README.md`, the manual of the policy language: its prose stands there, what is between its marks is made from
//! the JSON Schemas and the source. `UPDATE_MANUAL=1 cargo test --test integration manual` writes it anew; the difference
//! is then read in the change.

mod known;
mod lints;
mod page;
mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use egret::app::rehearsal;
use egret::policy::compile::{compile, rehearse, suite};
use egret::policy::load::Sources;
use egret::scenario::Outcome;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/README.md")
}

/// The page as it is written, after it was written anew where that is asked for.
fn manual() -> &'static str {
    static MANUAL: OnceLock<String> = OnceLock::new();
    MANUAL.get_or_init(|| {
        let written = fs::read_to_string(file()).unwrap();
        #[expect(clippy::disallowed_methods, reason = "said by who runs the tests")]
        let update = std::env::var_os("UPDATE_MANUAL").is_some();
        if !update {
            return written;
        }
        let made = made(&written);
        fs::write(file(), &made).unwrap();
        made
    })
}

/// The page as it should be: its prose, with what the source says between the marks.
fn made(written: &str) -> String {
    let types = types::types(&known::known());
    let parts = [
        ("fields", page::fields(&types)),
        ("tests", page::tests(&types)),
        ("presets", page::presets()),
        ("guarded", page::guarded()),
        ("planned", page::planned(&types)),
        ("lints", lints::table()),
    ];
    parts.iter().fold(written.to_owned(), |page, (mark, text)| with(&page, mark, text.trim_end()))
}

/// The page with other text between two marks of that name.
fn with(page: &str, mark: &str, text: &str) -> String {
    let (opens, closes) = (format!("<!-- {mark} -->\n"), format!("<!-- /{mark} -->\n"));
    let (before, rest) = page.split_once(&opens).unwrap_or_else(|| panic!("no mark: {opens}"));
    let (_, after) = rest.split_once(&closes).unwrap_or_else(|| panic!("no mark: {closes}"));
    format!("{before}{opens}\n{text}\n\n{closes}{after}")
}

/// The code of that language on the page, block by block.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let opens = format!("\n```{language}\n");
    page.split(&opens).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

#[test]
fn the_manual_is_what_the_source_says() {
    let (written, made) = (manual(), made(manual()));
    let differs = written.lines().zip(made.lines()).find(|(written, made)| written != made);
    assert!(
        written == made,
        "policies/README.md is not what the source says; run this test with UPDATE_MANUAL=1\n{differs:#?}"
    );
}

/// What has a row, by the heading above it; values by what they are called.
fn told(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut heading = "";
    for line in page.lines() {
        if let Some(next) = line.strip_prefix("### ") {
            heading = next;
            told.entry(heading.to_owned()).or_default();
        } else if line.starts_with("## ") {
            heading = "";
        } else if let Some(row) = line.strip_prefix("| `").filter(|_| !heading.is_empty()) {
            let (name, _) = row.split_once('`').unwrap();
            told.get_mut(heading).unwrap().insert(name.to_owned());
        }
    }
    told
}

#[test]
fn the_manual_has_every_type_field_and_choice_that_a_policy_can_have_and_no_other() {
    let told = told(manual());
    let known = known::known();
    for (of, names) in &known.types {
        match told.get(of) {
            Some(told) => {
                let names: BTreeSet<String> = names.iter().cloned().collect();
                assert_eq!(*told, names, "fields and choices of `{of}`");
            }
            None => assert!(page::is_value(of), "the manual does not tell of `{of}`"),
        }
    }
    let others = told.keys().filter(|of| !known.types.contains_key(*of) && *of != "Values");
    assert_eq!(others.collect::<Vec<_>>(), Vec::<&String>::new(), "nobody can write these");
    assert!(
        known.types.len() > 50 && known.types["OnExceed"].iter().any(|name| name == "clamp.atLeast"),
        "not all was walked"
    );
}

/// The names of fields and choices, those of what a choice takes with the choice's before them.
fn names(of: &types::Type) -> BTreeSet<String> {
    match &of.shape {
        types::Shape::Map(fields) => fields.iter().map(|field| field.name.clone()).collect(),
        types::Shape::Choices(choices) => {
            let below = |of: &types::Choice| match &of.takes {
                types::Takes::Map(fields) => {
                    fields.iter().map(|field| format!("{}.{}", of.name, field.name)).collect()
                }
                types::Takes::Nothing | types::Takes::One(_) => Vec::new(),
            };
            choices.iter().flat_map(|of| below(of).into_iter().chain([of.name.clone()])).collect()
        }
        types::Shape::As(_) | types::Shape::Value => BTreeSet::new(),
    }
}

#[test]
fn the_schema_has_every_type_field_and_choice_that_is_read_and_no_other() {
    let known = known::known();
    let types = types::types(&known);
    for of in &types {
        let read = known.types.get(&of.name).map(|names| names.iter().cloned().collect());
        assert!(read.is_some() || page::is_value(&of.name), "nobody reads `{}`", of.name);
        assert_eq!(names(of), read.unwrap_or_default(), "fields and choices of `{}`", of.name);
    }
    let missing: Vec<_> =
        known.types.keys().filter(|name| types.iter().all(|of| of.name != **name)).collect();
    assert_eq!(missing, Vec::<&String>::new(), "the schema does not tell of these");
    assert!(types.len() > 70, "both kinds");
}

#[test]
fn the_links_of_the_manual_lead_somewhere() {
    let page = manual();
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let headings = headings.filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
    let anchors: Vec<String> = headings.map(|heading| heading.to_lowercase().replace(' ', "-")).collect();
    for target in page.split("](").skip(1).map(|rest| rest.split_once(')').unwrap().0) {
        match target.strip_prefix('#') {
            Some(anchor) => {
                let there = anchors.iter().filter(|known| *known == anchor).count();
                assert_eq!(there, 1, "#{anchor}");
            }
            None => assert!(file().with_file_name(target).exists(), "{target}"),
        }
    }
}

#[test]
fn the_policy_of_the_manual_is_good_and_the_faulty_one_is_told_as_it_says() {
    let page = manual();
    let [good, faulty] = blocks(page, "yaml")[..2] else { panic!("two policies") };
    compile(&Sources::single("policy.yaml", good)).expect("the first policy is good");
    let found = compile(&Sources::single("policy.yaml", faulty)).expect_err("the second policy is faulty");
    let told = blocks(page, "text")[0];
    assert!(told.starts_with(&found.to_string()), "egret check says\n{found}");
}

/// The first block of code in a language, in the part of the page under a heading.
fn block(heading: &str, language: &str) -> &'static str {
    let (_, part) = manual().split_once(&format!("\n## {heading}\n")).unwrap();
    blocks(part, language)[0]
}

/// Asserts that so many tests pass under a policy.
#[track_caller]
fn pass(policy: &str, tests: &str, count: usize) {
    let policy =
        rehearse(&Sources::single("policy.yaml", policy)).unwrap_or_else(|found| panic!("{found}")).0;
    let policy = Arc::new(policy);
    let sources = Sources::single("tests.yaml", tests);
    let documents = suite::read(&sources).unwrap();
    let tests = documents[0].compile(&sources, &policy).unwrap_or_else(|found| panic!("{found}"));
    let mut outcomes = Vec::new();
    rehearsal::run(&policy, &tests, |outcome| outcomes.push(outcome)).unwrap();
    assert_eq!(outcomes.len(), count);
    assert!(outcomes.iter().all(Outcome::passed), "{outcomes:#?}");
}

#[test]
fn the_tests_of_the_manual_pass() {
    pass(block("A policy", "yaml"), block("Testing", "yaml"), 3);
}

#[test]
fn the_test_of_the_readme_passes_under_its_policy() {
    let readme = include_str!("../../README.md");
    let part = |heading: &str| blocks(readme.split_once(heading).unwrap().1, "yaml")[0];
    let policy = part("\n## A policy in twenty lines\n");
    let policy = policy.replace("<64 hex digits from egret key>", &"0a".repeat(32));
    pass(&policy, part("\n## Policies in git\n"), 1);
}

#[test]
fn the_call_of_the_manual_is_explained_as_it_says() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.yaml"), block("A policy", "yaml")).unwrap();
    let words = block("Explaining", "sh").split_whitespace().skip(1);
    let mut command = Command::new(env!("CARGO_BIN_EXE_egret"));
    let output = command.args(words).current_dir(&folder).env_clear().output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), block("Explaining", "text"));
}
