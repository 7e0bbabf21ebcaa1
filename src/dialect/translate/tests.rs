//! The golden table of `tests/fixtures/dialect`: how the calls and answers of every dialect read in the others.
//!
//! A case is a file. `requests/FACE/NAME.json` is the body of a call; `answers/PROVIDER/NAME.json` is a plain answer and
//! `NAME.sse` the same as a stream, alone where it fails. What they become stands in `expected`, under the path of the case. With
//! `UPDATE_GOLDEN=1` that is written anew, to be read by a person before it is kept.

mod answers;
mod large;
mod properties;
mod requests;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Form, Stamp};
use crate::dialect::Api;

/// The operations by their directories.
const FORMS: [(&str, Form); 4] = [
    ("chat", Form::Chat),
    ("responses", Form::Responses),
    ("messages", Form::Messages),
    ("generate", Form::Generate),
];

const STAMP: Stamp<'_> = Stamp {
    id: "0123456789abcdef0123456789abcdef",
    created: 1_795_000_000,
    model: "alias",
    include_usage: true,
};

/// What a run of the table found.
struct Golden {
    updates: bool,
    faults: Vec<String>,
}

/// A file of the table, named as the table names it.
struct Case {
    form: Form,
    /// `requests/chat/tools`
    name: String,
    /// Without its extension.
    path: PathBuf,
}

impl Golden {
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone, which no policy knows")]
    fn new() -> Self {
        Self { updates: std::env::var_os("UPDATE_GOLDEN").is_some(), faults: Vec::new() }
    }

    /// What a case became, beside what it has to become.
    fn check(&mut self, case: &Case, name: &str, became: &str) {
        let path = root().join("expected").join(&case.name).join(name);
        if self.updates {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, became).unwrap();
            return;
        }
        match fs::read_to_string(&path) {
            Ok(expected) if expected == became => {}
            Ok(expected) => {
                self.fault(format!("{}/{name}: expected\n{expected}\nbut it became\n{became}", case.name));
            }
            Err(_) => self.fault(format!("{}/{name}: nothing is expected; see UPDATE_GOLDEN", case.name)),
        }
    }

    fn fault(&mut self, what: String) {
        self.faults.push(what);
    }

    fn finish(self) {
        assert!(self.faults.is_empty(), "{} faults\n{}", self.faults.len(), self.faults.join("\n"));
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialect")
}

/// The cases of a kind, `requests` or `answers`, in order. A directory may be missing.
fn cases(kind: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for (directory, form) in FORMS {
        let paths: BTreeSet<_> =
            files(&root().join(kind).join(directory)).iter().map(|path| path.with_extension("")).collect();
        for path in paths {
            let stem = path.file_name().unwrap().to_str().unwrap();
            cases.push(Case { form, name: format!("{kind}/{directory}/{stem}"), path });
        }
    }
    assert!(!cases.is_empty(), "no {kind}");
    cases
}

fn api(form: Form) -> Api {
    match form {
        Form::Chat => Api::Chat,
        Form::Responses => Api::Responses,
        Form::Messages => Api::Messages,
        Form::Generate => Api::Generate,
    }
}

fn files(directory: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// JSON for people to read.
fn pretty(json: &serde_json::Value) -> String {
    format!("{json:#}\n")
}

#[test]
fn everything_that_is_expected_is_expected_of_a_case() {
    for kind in ["requests", "answers"] {
        let names: BTreeSet<_> =
            cases(kind).into_iter().map(|case| root().join("expected").join(case.name)).collect();
        for (directory, _) in FORMS {
            let expected = files(&root().join("expected").join(kind).join(directory));
            assert_eq!(expected.difference(&names).collect::<Vec<_>>(), Vec::<&PathBuf>::new());
        }
    }
}
