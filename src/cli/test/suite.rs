//! The tests of one path: read, compiled under their policy, and run.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::progress::Progress;
use super::report::{Report, Suite};
use crate::app::{chain, rehearsal};
use crate::cli::place::from_here;
use crate::policy::compile::suite::Document;
use crate::policy::compile::{self, suite};
use crate::policy::diagnostic::Diagnostics;
use crate::policy::load::{self, Sources};

/// Runs the tests of a path. What cannot be read is noted in the report.
///
/// # Errors
/// The system gives no runtime.
pub(super) fn run(
    path: &Path,
    filter: Option<&str>,
    report: &mut Report,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let sources = match load::read(path) {
        Ok(sources) => sources,
        Err(error) => {
            report.faults.push(format!("error: {}", chain(&error)));
            return Ok(());
        }
    };
    let documents = match suite::read(&sources) {
        Ok(documents) => documents,
        Err(found) => {
            let found = placed(path, found);
            report.faults.push(format!("{found}\n\n{}: no test ran: the tests are faulty", path.display()));
            return Ok(());
        }
    };
    if documents.is_empty() {
        report.faults.push(format!("error: {} holds no document of `kind: PolicyTest`", path.display()));
    }
    for document in &documents {
        match compiled(path, &sources, document) {
            Err(fault) => report.faults.push(fault),
            Ok(mut ready) => {
                ready.tests.retain(|test| filter.is_none_or(|text| test.name.contains(text)));
                progress.expect(ready.tests.len());
                let mut outcomes = Vec::with_capacity(ready.tests.len());
                let coverage = rehearsal::run(&ready.policy, &ready.tests, |mut outcome| {
                    let failures = outcome.failures.iter_mut().map(|failure| &mut failure.place);
                    for place in failures.chain([&mut outcome.place]) {
                        place.file = from_here(path, &place.file);
                    }
                    progress.done(&outcome);
                    outcomes.push(outcome);
                })?;
                add(report, Suite { path: path.to_owned(), policy: ready.named, outcomes, coverage });
            }
        }
    }
    Ok(())
}

/// What was found in the files of a path, as they are found from here.
fn placed(path: &Path, mut found: Diagnostics) -> Diagnostics {
    for place in found.iter_mut().flat_map(|found| found.places_mut()) {
        place.file = from_here(path, &place.file);
    }
    found
}

/// Documents of one path under one policy are one suite: together they cover it.
fn add(report: &mut Report, suite: Suite) {
    let same =
        report.suites.iter_mut().find(|other| other.path == suite.path && other.policy == suite.policy);
    match same {
        Some(other) => {
            other.outcomes.extend(suite.outcomes);
            other.coverage.join(suite.coverage);
        }
        None => report.suites.push(suite),
    }
}

/// Tests that may run.
struct Ready {
    named: String,
    policy: Arc<crate::policy::Snapshot>,
    tests: Vec<crate::policy::suite::Test>,
}

fn compiled(path: &Path, sources: &Sources, document: &Document) -> Result<Ready, String> {
    let at = policy_of(path, sources, document);
    let overlays = overlays_of(path, document);
    let policy = load::read_with(&at, &overlays)
        .map_err(|error| format!("error: the policy under test: {}", chain(&error)))?;
    let policy = compile::rehearse(&policy).map_err(|found| {
        let found = if overlays.is_empty() { placed(&at, found) } else { found };
        format!("{found}\n\n{}: no test ran: the policy {} is faulty", path.display(), at.display())
    })?;
    let policy = Arc::new(policy.0);
    let tests = document.compile(sources, &policy).map_err(|found| {
        format!("{}\n\n{}: no test ran: the tests are faulty", placed(path, found), path.display())
    })?;
    let files = [&at].into_iter().chain(&overlays).map(|file| file.display().to_string());
    Ok(Ready { named: files.collect::<Vec<_>>().join(" + "), policy, tests })
}

/// Where the policy under test is: where the document says, else beside it.
pub(in crate::cli) fn policy_of(path: &Path, sources: &Sources, document: &Document) -> PathBuf {
    match document.policy() {
        Some(policy) => plain(&beside(path).join(policy)),
        None if path.is_dir() || compile::holds_policy(sources) => path.to_owned(),
        None => beside(path),
    }
}

/// A path without `..` behind names, as people write it.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        let name = plain.file_name().filter(|_| part == Component::ParentDir);
        if name.is_none() || plain.is_symlink() {
            plain.push(part);
        } else {
            plain.pop();
        }
        plain
    })
}

/// What is laid over it.
pub(in crate::cli) fn overlays_of(path: &Path, document: &Document) -> Vec<PathBuf> {
    document.overlays().map(|overlay| beside(path).join(overlay)).collect()
}

/// The folder from which the names in a document are seen.
fn beside(path: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_owned();
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}
