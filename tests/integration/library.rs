//! The examples in `policies/`: each is good, its tests hold and see all of it, and they notice when it changes.

mod mutants;
mod trial;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use egret::policy::compile::compile;
use egret::policy::load;

use trial::{Example, Verdict};

/// Of a hundred changes how many the tests of an example notice at least.
const CAUGHT: usize = 90;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("policies")
}

/// Where the tests of each example are, in order.
fn suites() -> Vec<PathBuf> {
    let listed = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let own = listed(&folder()).into_iter().map(|path| path.join("tests.yaml")).filter(|path| path.is_file());
    let of_files = listed(&folder().join("tests"));
    let mut suites: Vec<_> = own.chain(of_files).collect();
    suites.sort();
    suites
}

#[test]
fn every_example_has_tests() {
    let suites = suites();
    let tested: Vec<_> = suites.iter().map(|path| Example::read(path).policy).collect();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // The reference shows every field; it is no policy to serve with.
        if ["README.md", "reference.yaml", "tests"].contains(&name) || name.ends_with(".schema.json") {
            continue;
        }
        let policy = if path.is_dir() { path.join("policy.yaml") } else { path.clone() };
        assert!(tested.contains(&policy), "{name} has no tests");
    }
}

#[test]
fn every_example_is_good_and_without_warnings() {
    for suite in suites() {
        let example = Example::read(&suite);
        let sources = load::read(&example.policy).unwrap();
        let (_, warnings) = compile(&sources).unwrap_or_else(|found| panic!("{found}"));
        assert!(warnings.is_empty(), "{}: {}", example.policy.display(), warnings[0]);
    }
}

#[test]
fn the_tests_of_every_example_hold_and_see_all_of_it() {
    for suite in suites() {
        let example = Example::read(&suite);
        let (failures, coverage) = example.run();
        assert!(failures.is_empty(), "{}: {failures:#?}", suite.display());
        let missed: Vec<_> = coverage.missed.iter().map(ToString::to_string).collect();
        assert!(missed.is_empty(), "{}: {missed:#?}", suite.display());
    }
}

#[test]
fn the_costs_that_the_manual_shows_are_what_egret_says() {
    let manual = fs::read_to_string(folder().join("README.md")).unwrap();
    let (_, section) = manual.split_once("## Costs\n").unwrap();
    let mut blocks = section.split("```").skip(1).step_by(2);
    let command = blocks.next().unwrap().strip_prefix("sh\negret ").unwrap().replace("\\\n", "");
    let done = Command::new(env!("CARGO_BIN_EXE_egret"))
        .args(command.split_whitespace())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert_eq!(
        blocks.next().unwrap().strip_prefix("text\n"),
        Some(&*String::from_utf8(done.stdout).unwrap())
    );
}

/// `SURVIVORS=1 cargo test --test integration library::a_change -- --nocapture` lists what no test notices.
#[test]
fn a_change_of_an_example_is_noticed_by_its_tests() {
    #[expect(clippy::disallowed_methods, reason = "said by who runs the tests")]
    let tell = std::env::var_os("SURVIVORS").is_some();
    let suites = suites();
    let mut figures = BTreeMap::new();
    std::thread::scope(|scope| {
        let judged = suites.iter().map(|suite| scope.spawn(|| judged(suite))).collect::<Vec<_>>();
        for (suite, judged) in suites.iter().zip(judged) {
            figures.insert(suite, judged.join().unwrap());
        }
    });
    let (mut all, mut noticed) = (0, 0);
    for (suite, figure) in &figures {
        let name = suite.strip_prefix(folder()).unwrap().display();
        println!("{name}: {figure}");
        if tell {
            figure.survivors.iter().for_each(|what| println!("    {what}"));
        }
        all += figure.noticed + figure.survivors.len();
        noticed += figure.noticed;
    }
    println!("all: {noticed} of {all} changes noticed, {} %", noticed * 100 / all);
    let low: Vec<_> = figures.values().filter(|figure| figure.percent() < CAUGHT).collect();
    assert!(low.is_empty() && noticed * 100 >= CAUGHT * all, "{low:#?}");
}

/// How many changes of an example its tests notice.
#[derive(Debug)]
struct Figure {
    noticed: usize,
    survivors: Vec<String>,
    /// What `egret check` refuses, so that no test is asked.
    refused: usize,
}

impl Figure {
    fn percent(&self) -> usize {
        (self.noticed * 100).checked_div(self.noticed + self.survivors.len()).unwrap_or(0)
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { noticed, survivors, refused } = self;
        let all = noticed + survivors.len();
        write!(f, "{noticed} of {all} changes noticed, {} %; {refused} more refused by check", self.percent())
    }
}

fn judged(suite: &Path) -> Figure {
    let example = Example::read(suite);
    let policy = mutants::parse(&fs::read_to_string(&example.policy).unwrap());
    let mut figure = Figure { noticed: 0, survivors: Vec::new(), refused: 0 };
    for mutant in mutants::of(&policy) {
        match example.judge(&mutant.policy.to_string()) {
            Verdict::Refused => figure.refused += 1,
            Verdict::Noticed => figure.noticed += 1,
            Verdict::Unnoticed => figure.survivors.push(mutant.what),
        }
    }
    figure
}
