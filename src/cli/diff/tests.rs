//! Pairs of policies and what is told of them: `tests/fixtures/policy_diff/NAME`. `UPDATE_DIFF=1 cargo test --lib
//! cli::diff` writes what is expected, to be read before it is committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

fn pairs() -> Vec<PathBuf> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/policy_diff");
    let mut pairs: Vec<_> = fs::read_dir(all).unwrap().map(|entry| entry.unwrap().path()).collect();
    pairs.sort();
    pairs
}

fn told(folder: &Path, format: Format, fail_on: &[FailOn]) -> (u8, String, String) {
    of("old.yaml", "new.yaml", folder, format, fail_on)
}

fn of(old: &str, new: &str, folder: &Path, format: Format, fail_on: &[FailOn]) -> (u8, String, String) {
    let args = DiffArgs {
        old: old.into(),
        new: new.into(),
        fail_on: fail_on.to_vec(),
        format,
        overlays: Vec::new(),
    };
    let (mut out, mut faults) = (Vec::new(), Vec::new());
    let code = diff(&args, folder, false, &mut out, &mut faults).unwrap();
    (code, String::from_utf8(out).unwrap(), String::from_utf8(faults).unwrap())
}

#[test]
fn every_pair_is_told_as_expected() {
    let pairs = pairs();
    assert!(pairs.len() >= 25, "{}", pairs.len());
    let mut differing = Vec::new();
    for pair in pairs {
        for (name, format) in [("txt", Format::Text), ("md", Format::Markdown), ("json", Format::Json)] {
            let (code, shown, faults) = told(&pair, format, &[]);
            assert_eq!((code, &*faults), (0, ""), "{}", pair.display());
            let file = pair.join(format!("expected.{name}"));
            #[expect(clippy::disallowed_methods, reason = "said by who runs the tests")]
            let update = std::env::var_os("UPDATE_DIFF").is_some();
            if update {
                fs::write(&file, shown).unwrap();
            } else if fs::read_to_string(&file).unwrap_or_default() != shown {
                differing.push(format!("{}:\n{shown}", file.display()));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn no_line_of_text_is_longer_than_80_columns_but_for_words_that_are() {
    for pair in pairs() {
        let (_, shown, _) = told(&pair, Format::Text, &[]);
        let long = shown.lines().find(|line| line.chars().count() > 80 && line.trim().contains(' '));
        assert_eq!(long, None, "{}", pair.display());
    }
}

#[test]
fn the_exit_code_is_1_where_there_is_such_a_change() {
    let code = |name: &str, what: &[FailOn]| {
        let pair = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/policy_diff").join(name);
        told(&pair, Format::Json, what).0
    };
    let every = [FailOn::Loosening, FailOn::Tightening, FailOn::Risk, FailOn::Any];
    assert_eq!(every.map(|what| code("same_meaning", &[what])), [0, 0, 0, 0]);
    assert_eq!(every.map(|what| code("limit_raised", &[what])), [1, 0, 0, 1]);
    assert_eq!(every.map(|what| code("limit_lowered", &[what])), [0, 1, 0, 1]);
    assert_eq!(every.map(|what| code("limit_incomparable", &[what])), [1, 1, 0, 1]);
    assert_eq!(every.map(|what| code("fallback_lost", &[what])), [0, 0, 1, 1]);
    assert_eq!(every.map(|what| code("price_without_budget", &[what])), [0, 0, 0, 1]);
    assert_eq!(every.map(|what| code("price_falls_and_rises", &[what])), [1, 1, 0, 1]);
    assert_eq!(every.map(|what| code("refactored", &[what])), [0, 0, 0, 0]);
    assert_eq!(code("limit_raised", &[FailOn::Tightening, FailOn::Loosening]), 1);
}

const GOOD: &str = include_str!("../../../policies/quickstart.yaml");

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

#[test]
fn a_faulty_side_is_named_and_told_and_of_a_faulty_old_one_all_is_new() {
    let bad = GOOD.replace("local: true", "lokal: true");
    let folder = folder(&[("good.yaml", GOOD), ("bad.yaml", &bad)]);
    let told = |old, new| of(old, new, folder.path(), Format::Text, &[]);

    let (code, shown, faults) = told("good.yaml", "bad.yaml");
    assert_eq!((code, &*shown), (2, ""));
    assert!(faults.contains("unknown field `lokal`"), "{faults}");
    assert!(faults.ends_with("egret: NEW, bad.yaml, is not good: 1 error\n"), "{faults}");

    let (code, shown, faults) = told("bad.yaml", "good.yaml");
    assert_eq!(code, 2);
    assert!(faults.ends_with("egret: OLD, bad.yaml, is not good: 1 error\n"), "{faults}");
    assert!(
        shown.contains("bad.yaml (faulty: all is shown as new)") && shown.contains("tenant added"),
        "{shown}"
    );

    let (code, shown, faults) = told("nowhere.yaml", "good.yaml");
    assert_eq!((code, &*shown), (2, ""));
    assert!(faults.starts_with("egret: OLD cannot be read: cannot read "), "{faults}");
}

#[test]
fn a_comment_is_never_longer_than_github_takes() {
    let tenant = |n: usize| {
        format!(
            "  t{n}: {{ local: {}, access: {{ allow: [\"*\"] }}, limits: {{ l{n}: {{ requests: {}, per: 1m }} }} }}\n",
            n == 0,
            n + 1
        )
    };
    let many: String = (0..2_000).map(tenant).collect();
    let begin = "apiVersion: egret.dev/v1alpha1\nkind: Policy\nproviders: { openai: { key: { fromEnv: K } } }\nmodels: { gpt: { provider: openai } }\ntenants:\n";
    let folder =
        folder(&[("old.yaml", &format!("{begin}{}", tenant(0))), ("new.yaml", &format!("{begin}{many}"))]);
    let (_, shown, _) = told(folder.path(), Format::Markdown, &[]);
    assert!(shown.len() <= 65_536 && shown.len() > 60_000, "{}", shown.len());
    assert!(shown.contains("more changes are left out"), "{}", &shown[shown.len() - 300..]);
    assert_eq!(shown.matches("<details>").count(), shown.matches("</details>").count());
}

/// A repository with one commit of these files, tagged `v1`.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = folder(files);
    git(&folder, &["init", "--quiet"]);
    commit(&folder);
    git(&folder, &["tag", "v1"]);
    folder
}

fn commit(folder: &tempfile::TempDir) {
    git(folder, &["add", "--all"]);
    let who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
    git(folder, &[&who[..], &["commit", "--quiet", "--message", "c"]].concat());
}

fn git(folder: &tempfile::TempDir, arguments: &[&str]) {
    let status = Command::new("git").current_dir(folder).args(arguments).status().unwrap();
    assert!(status.success(), "{arguments:?}");
}

#[test]
fn a_revision_of_git_is_read_from_the_top_or_from_the_current_folder() {
    let dearer = GOOD.replace("    local: true", "    annotate: true\n    local: true");
    let folder = repository(&[("deploy/policy.yaml", GOOD), ("deploy/README.md", "no policy"), ("x", "")]);
    fs::write(folder.path().join("deploy/policy.yaml"), dearer).unwrap();
    let here = folder.path().join("deploy");
    let in_top = |old: &str, new: &str| of(old, new, folder.path(), Format::Text, &[FailOn::Any]);
    let in_deploy = |old: &str, new: &str| of(old, new, &here, Format::Text, &[FailOn::Any]);

    for (code, shown, faults) in [
        in_top("git:v1:deploy/policy.yaml", "deploy/policy.yaml"),
        in_top("git:HEAD:deploy", "deploy"),
        in_deploy("git:HEAD:deploy/policy.yaml", "policy.yaml"),
        in_deploy("git:HEAD:./policy.yaml", "policy.yaml"),
        in_deploy("git:v1:.", "."),
        in_deploy("git:v1:../deploy/", "."),
    ] {
        assert_eq!((code, &*faults), (1, ""));
        assert!(shown.contains("annotate: false -> true"), "{shown}");
    }
    commit(&folder);
    assert_eq!(in_top("git:HEAD:deploy", "deploy").0, 0, "the same files have the same meaning");
    assert_eq!(in_top("git:v1:deploy", "git:HEAD:deploy").0, 1);
}

#[test]
fn what_git_cannot_give_is_said() {
    let folder = repository(&[("deploy/policy.yaml", GOOD), ("docs/a.md", "")]);
    let here = folder.path().join("deploy");
    let fault = |at: &str, folder: &Path| git::read(at, folder).unwrap_err().to_string();
    assert_eq!(fault("nope:deploy", folder.path()), "there is no revision `nope` in this repository");
    assert_eq!(fault("--help:deploy", folder.path()), "there is no revision `--help` in this repository");
    assert_eq!(fault("v1:polices", folder.path()), "there is no `polices` at `v1`");
    assert_eq!(
        fault("v1:policy.yaml", &here),
        "there is no `policy.yaml` at `v1`; from the current folder it is git:v1:./policy.yaml"
    );
    assert_eq!(fault("v1:../../x", &here), "there is no `../../x` at `v1`");
    assert_eq!(fault("v1:docs", folder.path()), "`docs` holds no *.yaml or *.yml file there");
    assert!(fault("v1", folder.path()).contains("write git:REV:PATH"));
    let bare = tempfile::tempdir().unwrap();
    let said = fault("v1:policy.yaml", bare.path());
    assert!(said.contains("not a git repository"), "{said}");
}

#[cfg(unix)]
#[test]
fn links_in_git_are_followed_as_on_disk() {
    let folder = folder(&[("shared/base.yaml", GOOD), ("prod/keep.md", "")]);
    std::os::unix::fs::symlink("../shared/base.yaml", folder.path().join("prod/policy.yaml")).unwrap();
    git(&folder, &["init", "--quiet"]);
    commit(&folder);
    let (code, shown, faults) = of("git:HEAD:prod", "prod", folder.path(), Format::Text, &[FailOn::Any]);
    assert_eq!((code, &*faults), (0, ""), "{shown}");
}
