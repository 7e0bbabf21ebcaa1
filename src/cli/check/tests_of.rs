//! The tests that lie beside a policy, or alone: documents of `kind: PolicyTest`. They are read, not run.

use std::path::{Path, PathBuf};

use super::counted;
use crate::cli::test::{overlays_of, policy_of};
use crate::policy::Snapshot;
use crate::policy::compile::suite::{self, Document};
use crate::policy::compile::{compile, holds_policy};
use crate::policy::diagnostic::Code;
use crate::policy::lint::Checked;
use crate::policy::load::{self, Sources};

/// Adds what is wrong with the tests at a path to what is wrong with its policy. Gives how many tests there are.
///
/// None of it where no file names their kind: most policies are then read once.
pub(super) fn check(path: &Path, sources: &Sources, checked: &mut Checked) -> usize {
    let names_them = |bytes: &[u8]| memchr::memmem::find(bytes, b"PolicyTest").is_some();
    if !sources.files().iter().any(|file| names_them(&file.bytes)) {
        return 0;
    }
    let read = suite::read(sources);
    if read.as_ref().is_ok_and(Vec::is_empty) {
        return 0;
    }
    // Tests may lie apart from the policy that they are of.
    let alone = !holds_policy(sources) && checked.found.take(Code::NoPolicy);
    let documents = match read {
        Ok(documents) => documents,
        Err(found) => {
            checked.found.add(found);
            return 0;
        }
    };
    documents.iter().map(|document| one(path, sources, document, alone, checked)).sum()
}

fn one(path: &Path, sources: &Sources, document: &Document, alone: bool, checked: &mut Checked) -> usize {
    let (at, overlays) = (policy_of(path, sources, document), overlays_of(path, document));
    let own = !alone && at == path && overlays.is_empty();
    let other = if own { None } else { Some(policy(&at, &overlays)) };
    let compiled = match (&other, &checked.snapshot) {
        (Some(Ok(policy)), _) | (None, Some(policy)) => document.compile(sources, policy),
        (Some(Err(why)), _) => Err(document.without_policy(sources, why)),
        // Its faults are told, and its names not known.
        (None, None) => return 0,
    };
    match compiled {
        Ok(tests) => tests.len(),
        Err(found) => {
            checked.found.add(found);
            0
        }
    }
}

/// The policy that tests elsewhere are of, or why there is none.
fn policy(at: &Path, overlays: &[PathBuf]) -> Result<Snapshot, String> {
    let sources = load::read_with(at, overlays).map_err(|error| crate::app::chain(&error))?;
    let compiled = compile(&sources);
    compiled.map(|(snapshot, _)| snapshot).map_err(|found| {
        let (errors, _) = found.counts();
        format!("the policy {} has {}", at.display(), counted(errors, "error"))
    })
}
