//! `egret diff` as it is run: files, folders and revisions of git, its formats and exit codes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const POLICY: &str = r#"apiVersion: egret.dev/v1alpha1
kind: Policy
providers: { openai: { key: { fromEnv: OPENAI_API_KEY } } }
models:
  gpt-4.1: { provider: openai, contextTokens: 1000, maxOutputTokens: 100 }
  gpt-4.1-mini: { provider: openai, contextTokens: 1000, maxOutputTokens: 100 }
routes:
  chat: { targets: [{ model: gpt-4.1 }, { model: gpt-4.1-mini }] }
"#;
const TENANTS: &str = r#"apiVersion: egret.dev/v1alpha1
kind: Policy
tenants:
  app:
    local: true
    access: { allow: [chat] }
    limits: { rpm: { requests: 60, per: 1m } }
"#;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, files);
    folder
}

fn write(folder: &TempDir, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// A repository with one commit, tagged `v1`, of a policy of two files.
fn repository() -> TempDir {
    let folder = folder(&[("policies/base.yaml", POLICY), ("policies/tenants.yaml", TENANTS)]);
    git(&folder, &["init", "--quiet"]);
    commit(&folder);
    git(&folder, &["tag", "v1"]);
    folder
}

fn commit(folder: &TempDir) {
    git(folder, &["add", "--all"]);
    let who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
    git(folder, &[&who[..], &["commit", "--quiet", "--message", "c"]].concat());
}

fn git(folder: &TempDir, arguments: &[&str]) {
    let status = Command::new("git").current_dir(folder).args(arguments).status().unwrap();
    assert!(status.success(), "{arguments:?}");
}

/// What it says, what it complains of, and its exit code.
fn diff(folder: &Path, arguments: &[&str]) -> (String, String, i32) {
    told(command(folder, arguments).output().unwrap())
}

/// Finds programs where this test finds them, and knows nothing else of its environment.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_egret"));
    command.env_clear().current_dir(folder).arg("diff").args(arguments);
    #[expect(clippy::disallowed_methods, reason = "git has to be found")]
    let path = std::env::var_os("PATH");
    command.envs(path.map(|path| ("PATH", path)));
    command
}

fn told(output: Output) -> (String, String, i32) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap())
}

#[test]
fn a_folder_is_compared_with_its_state_at_a_revision() {
    let repository = repository();
    let lowered = TENANTS.replace("60", "30");
    write(&repository, &[("policies/tenants.yaml", &lowered)]);

    let (said, faults, code) = diff(repository.path(), &["git:v1:policies", "policies"]);
    assert_eq!((code, &*faults), (0, ""));
    assert!(said.starts_with("1 tightening: git:v1:policies (revision "), "{said}");
    let change = "\ntenant app\n  tightening  limits.rpm: 60 requests per 1m -> 30 requests per 1m\n                \
                  [tenants.yaml:7 -> tenants.yaml:7]\n";
    assert!(said.ends_with(change), "{said}");

    commit(&repository);
    let between = ["git:v1:policies", "git:HEAD:policies", "--fail-on", "tightening"];
    let (again, faults, code) = diff(repository.path(), &between);
    assert_eq!((code, &*faults), (1, ""));
    assert!(again.ends_with(change), "{again}");
    // A single file of the folder, of one revision: it is no whole policy.
    let (said, faults, code) = diff(repository.path(), &["git:v1:policies/base.yaml", "policies"]);
    assert_eq!(code, 2);
    assert!(faults.contains("the policy has no tenants"), "{faults}");
    assert!(said.contains("(faulty: all is shown as new)"), "{said}");
}

#[test]
fn moving_parts_between_files_changes_nothing() {
    let one = TENANTS.replace("apiVersion: egret.dev/v1alpha1\nkind: Policy\n", POLICY);
    let folder = folder(&[("old/all.yaml", &one), ("new/a.yaml", TENANTS), ("new/b.yaml", POLICY)]);
    let (said, faults, code) = diff(folder.path(), &["old", "new", "--fail-on", "any"]);
    assert_eq!((code, &*faults), (0, ""));
    assert!(said.starts_with("no change of meaning: old (revision "), "{said}");
}

#[test]
fn what_git_cannot_give_ends_with_2_and_a_sentence() {
    let repository = repository();
    let fault = |old: &str| {
        let (said, faults, code) = diff(repository.path(), &[old, "policies"]);
        assert_eq!((code, &*said), (2, ""), "{old}: {faults}");
        faults
    };
    assert_eq!(
        fault("git:v2:policies"),
        "egret: OLD cannot be read: there is no revision `v2` in this repository\n"
    );
    assert_eq!(fault("git:v1:polices"), "egret: OLD cannot be read: there is no `polices` at `v1`\n");
    assert!(fault("git:v1").contains("write git:REV:PATH"));

    let mut without = command(repository.path(), &["git:v1:policies", "policies"]);
    let (_, faults, code) = told(without.env("PATH", repository.path()).output().unwrap());
    assert_eq!(code, 2);
    assert!(faults.starts_with("egret: OLD cannot be read: git cannot be started: "), "{faults}");

    let nowhere = folder(&[("policy.yaml", POLICY)]);
    let (_, faults, code) = diff(nowhere.path(), &["git:v1:policy.yaml", "policy.yaml"]);
    assert_eq!(code, 2);
    assert!(faults.contains("not a git repository"), "{faults}");
}

#[test]
fn a_wrong_command_line_or_a_faulty_policy_ends_with_2() {
    let good = format!("{POLICY}{}", TENANTS.split_once("Policy\n").unwrap().1);
    let bad = good.replace("allow: [chat]", "allow: [chat], denny: []");
    let folder = folder(&[("good.yaml", &good), ("bad.yaml", &bad)]);
    let code = |arguments: &[&str]| diff(folder.path(), arguments).2;
    assert_eq!(code(&["good.yaml"]), 2);
    assert_eq!(code(&["good.yaml", "good.yaml", "--fail-on", "everything"]), 2);
    assert_eq!(code(&["good.yaml", "good.yaml", "--format", "html"]), 2);
    assert_eq!(code(&["good.yaml", "nowhere.yaml"]), 2);
    let (said, faults, code) = diff(folder.path(), &["good.yaml", "bad.yaml", "--fail-on", "any"]);
    assert_eq!((code, &*said), (2, ""));
    assert!(faults.contains("bad.yaml:12:") && faults.contains("did you mean `deny`?"), "{faults}");
}

#[test]
fn every_format_tells_the_same_and_a_pipe_gets_no_colours() {
    let good = format!("{POLICY}{}", TENANTS.split_once("Policy\n").unwrap().1);
    let looser =
        good.replace("requests: 60", "requests: 90").replace("allow: [chat]", "allow: [chat, \"gpt-*\"]");
    let folder = folder(&[("old.yaml", &good), ("new.yaml", &looser)]);
    let in_format = |format| diff(folder.path(), &["old.yaml", "new.yaml", "--format", format]).0;
    let (text, markdown, json) = (in_format("text"), in_format("markdown"), in_format("json"));
    assert!(!text.contains('\x1b'), "{text}");
    assert!(text.contains("loosening   access.allow added: gpt-4.1, gpt-4.1-mini [new.yaml:12]"), "{text}");
    let row = "| **loosening** | `access.allow` |  | `gpt-4.1, gpt-4.1-mini`<br><sub>new.yaml:12</sub> |\n";
    assert!(markdown.starts_with("## egret diff: 2 loosening\n") && markdown.contains(row), "{markdown}");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["summary"]["loosening"], 2);
    let change = &json["subjects"][0]["changes"][0];
    assert_eq!((&change["what"], &change["newAt"][0]), (&"access.allow".into(), &"new.yaml:12".into()));
}

#[test]
fn a_key_that_was_written_into_a_policy_is_never_shown() {
    const KEY: &str = "sk-proj-canarycanarycanarycanary1234567890";
    let good = format!("{POLICY}{}", TENANTS.split_once("Policy\n").unwrap().1);
    let mut faults = String::new();
    for written in [
        format!("key: {KEY}"),
        format!("key: {{ fromEnv: {KEY} }}"),
        format!("baseUrl: \"https://u:{KEY}@example.com\""),
    ] {
        let leaky = good.replace("key: { fromEnv: OPENAI_API_KEY }", &written);
        let folder = folder(&[("good.yaml", &good), ("leaky.yaml", &leaky)]);
        for sides in [["good.yaml", "leaky.yaml"], ["leaky.yaml", "good.yaml"]] {
            for format in ["text", "markdown", "json"] {
                let (said, complained, code) = diff(folder.path(), &[sides[0], sides[1], "--format", format]);
                assert_eq!(code, 2, "{written}");
                faults += &(said + &complained);
            }
        }
    }
    assert!(!faults.contains("canary"), "{faults}");
}

#[test]
fn the_example_of_the_manual_is_told_as_it_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/README.md");
    let page = fs::read_to_string(page).unwrap();
    let block = |after: &str, kind: &str| {
        let (_, rest) = page.split_once(after).unwrap();
        let (_, rest) = rest.split_once(&format!("```{kind}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let old = block("\n## A policy\n", "yaml");
    let new = old
        .replace("requests: 60", "requests: 30")
        .replace("usd: \"500.00\"", "usd: \"800.00\"")
        .replace("\"8.00\"", "\"6.00\"")
        .replace("{ model: gpt-4.1 }, { model: deepseek-chat }", "{ model: gpt-4.1 }");
    let folder = folder(&[("old.yaml", &old), ("new.yaml", &new)]);
    let (said, faults, code) = diff(folder.path(), &["old.yaml", "new.yaml"]);
    assert_eq!((code, &*faults), (0, ""));
    let (_, changes) = said.split_once("\n\n").unwrap();
    assert_eq!(block("\n## Comparing\n", "text"), changes, "egret diff says\n{changes}");
}

#[test]
fn an_overlay_is_laid_over_both_as_it_is_at_each_revision() {
    let overlay = |requests: u32| {
        format!(
            "apiVersion: egret.dev/v1alpha1\nkind: Policy\ntenants: {{ app: {{ limits: {{ rpm: {{ requests: {requests} }} }} }} }}\n"
        )
    };
    let folder = repository();
    write(&folder, &[("overlays/prod.yaml", &overlay(100))]);
    commit(&folder);
    write(&folder, &[("overlays/prod.yaml", &overlay(200))]);
    let with = ["--overlay", "overlays/prod.yaml"];
    let (text, _, code) = diff(
        folder.path(),
        &[&["git:HEAD:policies", "policies", "--fail-on", "loosening"], &with[..]].concat(),
    );
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("limits.rpm: 100 requests per 1m -> 200 requests per 1m"), "{text}");
    assert!(text.contains("prod.yaml:3"), "{text}");
    // Without it nothing changes.
    assert_eq!(diff(folder.path(), &["git:HEAD:policies", "policies", "--fail-on", "any"]).2, 0);
    // At the first revision there was none.
    let (_, faults, code) = diff(folder.path(), &[&["git:v1:policies", "policies"], &with[..]].concat());
    assert_eq!(code, 2, "{faults}");
    assert!(faults.contains("there is no `./overlays/prod.yaml` at `v1`"), "{faults}");
}

#[test]
fn a_key_in_the_place_of_its_path_is_not_shown() {
    let with = |key: &str| POLICY.replace("fromEnv: OPENAI_API_KEY", &format!("fromFile: /run/{key}"));
    let canary = "sk-proj-canary0123456789canary0123456789";
    let (old, new) = (with("openai"), with(canary));
    let folder = folder(&[
        ("old/a.yaml", &old),
        ("old/b.yaml", TENANTS),
        ("new/a.yaml", &new),
        ("new/b.yaml", TENANTS),
    ]);
    for format in ["text", "markdown", "json"] {
        let (said, faults, code) = diff(folder.path(), &["old", "new", "--format", format]);
        assert_eq!((code, &*faults), (0, ""));
        assert!(said.contains("/run/openai") && !said.contains("canary"), "{said}");
    }
}
