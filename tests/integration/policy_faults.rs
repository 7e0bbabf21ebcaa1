//! `tests/fixtures/policy_faults`: broken and doubtful policies, each beside what `egret check` says of it.
//! `UPDATE_FAULTS=1 cargo test --test integration policy_faults` writes that anew; the difference is then read.
//!
//! A case is `NAME.yaml`, or a folder `NAME` for a policy of several files; `NAME.txt` is what is said. Where its cause
//! stands is marked in the case itself, by a comment of carets under it, so that a place is never just what came out:
//!
//! ```yaml
//! kind: Polcy
//! #     ^
//! ```
//!
//! `#<` marks the first column. A case without a mark is at fault as a whole: 1:1. Arguments of `check` may stand in the
//! first line: `# check: --max-price-age 90d`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use egret::cli::check::{self, Around, CheckArgs};
use egret::environment::Environment;
use egret::policy::diagnostic::Code;
use serde_json::Value;

const FOLDER: &str = "tests/fixtures/policy_faults";

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: CheckArgs,
}

/// A line, a column, and in which file.
type Place = (String, u64, u64);

struct Case {
    name: String,
    path: PathBuf,
}

impl Case {
    fn all() -> Vec<Self> {
        let entries = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
        let is_case = |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|ext| ext == "yaml");
        let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut cases: Vec<_> =
            entries.filter(is_case).map(|path| Self { name: name(&path), path }).collect();
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        cases
    }

    fn expected(&self) -> PathBuf {
        Path::new(FOLDER).join(format!("{}.txt", self.name))
    }

    /// Its files: their names and their bytes.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let paths = if self.path.is_dir() {
            fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().path()).collect()
        } else {
            vec![self.path.clone()]
        };
        let named = |path: PathBuf| {
            (path.strip_prefix(FOLDER).unwrap().display().to_string(), fs::read(&path).unwrap())
        };
        paths.into_iter().map(named).collect()
    }

    /// What `check` says of it in a format.
    fn check(&self, format: &str) -> String {
        let said = self.files().iter().find_map(|(_, bytes)| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            Some(text.lines().next()?.strip_prefix("# check: ")?.to_owned())
        });
        let said = said.unwrap_or_default();
        let path = self.path.display().to_string();
        let line = ["check", &path, "--format", format].into_iter().chain(said.split_whitespace());
        let args = Line::try_parse_from(line).unwrap().args;
        let environment = Environment::given([("EMPTY_KEY", "")]);
        let today = "2026-06-30".parse().unwrap();
        let around = Around { environment: &environment, today, terminal: false, columns: None };
        let mut out = Vec::new();
        check::run(&args, &around, &mut &b""[..], &mut out);
        let out = String::from_utf8(out).unwrap().replace(&format!("{FOLDER}/"), "");
        // The revision is of the text, and says nothing of what is wrong with it.
        let lines = out.lines().map(|line| match line.split_once("good, revision ") {
            Some((before, after)) => format!("{before}good{}\n", &after[12..]),
            None => format!("{line}\n"),
        });
        lines.collect()
    }

    /// What is told of it, worst first.
    fn findings(&self) -> Vec<Value> {
        let document: Value = serde_json::from_str(&self.check("json")).unwrap();
        document["policies"][0]["diagnostics"].as_array().unwrap().clone()
    }

    /// Where its author says that the causes are.
    fn marks(&self) -> BTreeSet<Place> {
        let mut marks = BTreeSet::new();
        let files = self.files();
        for (name, bytes) in &files {
            let mut above = 0;
            for (line, text) in (1..).zip(String::from_utf8_lossy(bytes).lines()) {
                match carets(text) {
                    Some(columns) => marks.extend(columns.map(|column| (name.clone(), above, column))),
                    None => above = line,
                }
            }
        }
        if marks.is_empty() {
            marks.insert((files[0].0.clone(), 1, 1));
        }
        marks
    }
}

/// The columns that a line marks; none for a line that is no comment of marks.
fn carets(line: &str) -> Option<impl Iterator<Item = u64>> {
    let marks = line.trim_start_matches('\u{feff}').strip_prefix('#')?.trim_end();
    let only = !marks.is_empty() && marks.chars().all(|c| matches!(c, '^' | '<' | ' '));
    let column = |(at, c)| match c {
        '<' => Some(1),
        '^' => Some(at),
        _ => None,
    };
    only.then(|| (2..).zip(marks.chars().collect::<Vec<_>>()).filter_map(column))
}

fn place(finding: &Value) -> Place {
    let number = |field| finding[field].as_u64().unwrap_or_default();
    (finding["file"].as_str().unwrap_or_default().to_owned(), number("line"), number("column"))
}

#[test]
fn each_broken_policy_is_told_as_it_is_written_beside_it() {
    #[expect(clippy::disallowed_methods, reason = "said by who runs the tests")]
    let update = std::env::var_os("UPDATE_FAULTS").is_some();
    let mut wrong = Vec::new();
    for case in Case::all() {
        let said = case.check("text");
        if update {
            fs::write(case.expected(), &said).unwrap();
        }
        let expected = fs::read_to_string(case.expected()).unwrap_or_default();
        if said != expected {
            wrong.push(format!("--- {}\nexpected:\n{expected}\nsaid:\n{said}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_fault_is_told_where_its_author_marked_it() {
    let mut wrong = Vec::new();
    for case in Case::all() {
        let findings = case.findings();
        let are = |severity: &str| findings.iter().filter(|found| found["severity"] == severity).collect();
        let errors: Vec<_> = are("error");
        // What is doubtful in a policy that is broken may well follow from what is broken.
        let told = if errors.is_empty() { are("warning") } else { errors };
        let told: BTreeSet<_> = told.into_iter().map(place).collect();
        let marks = case.marks();
        if told != marks {
            wrong.push(format!("{}: marked {marks:?}, told {told:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_cases_of_every_kind_of_finding() {
    let cases = Case::all();
    assert!(cases.len() >= 120, "{}", cases.len());
    let told: BTreeSet<_> =
        cases.iter().flat_map(Case::findings).map(|found| found["code"].to_string()).collect();
    let missing =
        Code::ALL.iter().map(|code| format!("\"{}\"", code.name())).filter(|code| !told.contains(code));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn nothing_is_left_beside_the_cases() {
    let cases: BTreeSet<_> = Case::all().into_iter().map(|case| case.expected()).collect();
    let texts = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path());
    let left: Vec<_> = texts
        .filter(|path| path.extension().is_some_and(|ext| ext == "txt") && !cases.contains(path))
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

#[test]
fn every_warning_says_what_to_do() {
    let without = |case: &Case| {
        let findings = case.findings().into_iter();
        let warnings = findings.filter(|found| found["severity"] == "warning" && found["hint"].is_null());
        warnings.map(|found| format!("{}: {}", case.name, found["message"])).collect::<Vec<_>>()
    };
    assert_eq!(Case::all().iter().flat_map(without).collect::<Vec<_>>(), Vec::<String>::new());
}
