//! The runner of tests as its user sees it.

use std::fs;
use std::path::Path;

use clap::Parser as _;
use tempfile::TempDir;

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

const POLICY: &str = "apiVersion: egret.dev/v1alpha1
kind: Policy
providers: { a: { preset: openai, key: { fromEnv: A } } }
models: { a1: { provider: a, maxOutputTokens: 1000 } }
tenants: { app: { local: true, access: { allow: [a1] }, limits: { rpm: { requests: 2, per: 1m } } } }
";

const HEAD: &str = "apiVersion: egret.dev/v1alpha1\nkind: PolicyTest\ntests:\n";
const GOOD: &str = "  it answers <all> & \"more\":\n    call: { model: a1 }\n    expect: { status: 200, left: { rpm: 1 } }\n";
const BAD: &str = "  it refuses:\n    call: { model: a1 }\n    expect: { status: 429 }\n";

/// A folder with the policy and these tests.
fn folder(tests: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
    fs::write(folder.path().join("tests.yaml"), format!("{HEAD}{tests}")).unwrap();
    folder
}

/// What is printed, without the folder's name, and the exit code.
fn ran(folder: &Path, more: &[&str]) -> (String, ExitCode) {
    let path = folder.join("tests.yaml").display().to_string();
    let line = Line::try_parse_from(["test", &path].iter().chain(more)).unwrap();
    let mut out = Vec::new();
    let code = run(&line.args, &mut out).unwrap();
    (String::from_utf8(out).unwrap().replace(&format!("{}/", folder.display()), ""), code)
}

#[test]
fn what_passes_is_named_and_covered() {
    let folder = folder(GOOD);
    let (text, code) = ran(folder.path(), &[]);
    assert_eq!(
        text,
        "tests.yaml
  ok    it answers <all> & \"more\"
  coverage 100 %: tenants 1 of 1, limits 1 of 1, targets 1 of 1, conditions 0 of 0

1 passed, 0 failed; 1 call, 0 s of virtual time
"
    );
    assert_eq!(code, ExitCode::SUCCESS);
}

#[test]
fn what_fails_is_shown_where_it_is_expected_with_what_came() {
    let folder = folder(&format!("{GOOD}{BAD}"));
    let (text, code) = ran(folder.path(), &["--filter", "refuses"]);
    assert_eq!(
        text,
        "tests.yaml
  FAIL  it refuses
        status: expected 429, got 200
         --> tests.yaml:9:23
          |
        9 |     expect: { status: 429 }
          |                       ^^^
          = status 200, answered, tenant app, route a1, tried: a1 answered

0 passed, 1 failed; 1 call, 0 s of virtual time
"
    );
    assert_eq!(code, ExitCode::from(1));
}

#[test]
fn less_coverage_than_asked_for_is_a_failure() {
    let folder = folder("  it answers:\n    call: { model: a1 }\n    expect: { status: 200 }\n");
    let (text, code) = ran(folder.path(), &["--min-coverage", "90"]);
    assert!(text.contains("not covered: limit `rpm` of tenant `app`: no call meets it"), "{text}");
    assert!(text.contains("tests.yaml: the tests cover 66 % of"), "{text}");
    assert_eq!(code, ExitCode::from(1));
    assert_eq!(ran(folder.path(), &["--min-coverage", "66"]).1, ExitCode::SUCCESS);
}

#[test]
fn what_cannot_run_is_neither_a_pass_nor_a_failure() {
    for tests in [
        "  it:\n    call: { model: a1 }\n    expect: { stauts: 200 }\n",
        "  it:\n    as: { tenant: nobody }\n    call: { model: a1 }\n    expect: { status: 200 }\n",
        "  it:\n    call: { model: a1 }\n    expect: { left: { rpd: 1 } }\n",
        "  it: {}\n",
        "",
    ] {
        let folder = folder(tests);
        let (text, code) = ran(folder.path(), &[]);
        assert_eq!(code, ExitCode::from(2), "{text}");
        assert!(text.contains("--> tests.yaml:"), "{text}");
    }
    let folder = folder(GOOD);
    fs::write(folder.path().join("policy.yaml"), POLICY.replace("provider: a,", "provider: b,")).unwrap();
    let (text, code) = ran(folder.path(), &[]);
    assert!(text.contains("--> policy.yaml:4:"), "{text}");
    assert_eq!(code, ExitCode::from(2));
    assert_eq!(ran(Path::new("/nowhere"), &[]).1, ExitCode::from(2));
    assert_eq!(ran(folder.path(), &["--filter", "nothing"]).1, ExitCode::from(2));
}

#[test]
fn junit_is_xml_whatever_the_names() {
    let folder = folder(&format!("{GOOD}{BAD}"));
    let (text, code) = ran(folder.path(), &["--format", "junit"]);
    assert_eq!(code, ExitCode::from(1));
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"egret test\" tests=\"2\" failures=\"1\" errors=\"0\">"), "{text}");
    assert!(text.contains("name=\"it answers &lt;all&gt; &amp; &quot;more&quot;\""), "{text}");
    assert!(text.contains("<failure message=\"status: expected 429, got 200\""), "{text}");
    assert!(text.ends_with("</testsuites>\n"), "{text}");
}

#[test]
fn json_holds_tests_failures_and_coverage() {
    let folder = folder(&format!("{GOOD}{BAD}"));
    let (text, _) = ran(folder.path(), &["--format", "json"]);
    let all: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&all["passed"], &all["failed"]), (&1.into(), &1.into()), "{all:#}");
    let suite = &all["suites"][0];
    assert_eq!(suite["coverage"]["percent"], 100, "{all:#}");
    let failure = &suite["tests"][1]["failures"][0];
    assert_eq!((&failure["expected"], &failure["got"]), (&"429".into(), &"200".into()), "{all:#}");
    assert_eq!((&failure["place"]["line"], &failure["place"]["column"]), (&9.into(), &23.into()), "{all:#}");
}
