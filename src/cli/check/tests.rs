use std::fs;
use std::path::PathBuf;

use clap::Parser;
use serde_json::Value;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: CheckArgs,
}

const GOOD: &str = include_str!("../../../policies/quickstart.yaml");

struct Run {
    folder: tempfile::TempDir,
    environment: Environment,
    input: Vec<u8>,
    terminal: bool,
    columns: Option<u16>,
}

impl Run {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self {
            folder,
            environment: Environment::given([]),
            input: Vec::new(),
            terminal: false,
            columns: None,
        }
    }

    /// The exit code and what was written, for these arguments; `@` stands for the folder.
    fn check(&self, arguments: &[&str]) -> (String, String) {
        let folder = self.folder.path().display().to_string();
        let arguments = arguments.iter().map(|argument| argument.replace('@', &folder));
        let line = Line::try_parse_from(std::iter::once("check".to_owned()).chain(arguments)).unwrap();
        let around = Around {
            environment: &self.environment,
            today: "2026-06-30".parse().unwrap(),
            terminal: self.terminal,
            columns: self.columns,
        };
        let mut out = Vec::new();
        let code = run(&line.args, &around, &mut &*self.input, &mut out);
        (format!("{code:?}"), String::from_utf8(out).unwrap().replace(&folder, "policies"))
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.check(arguments).1).unwrap()
    }
}

fn exits(code: u8) -> String {
    format!("{:?}", ExitCode::from(code))
}

#[test]
fn a_good_policy_is_one_line_with_its_revision_and_counts() {
    let (code, shown) = Run::new(&[("policy.yaml", GOOD)]).check(&["@", "--deny-warnings"]);
    assert_eq!(code, exits(0), "{shown}");
    assert_eq!(shown.lines().count(), 1);
    assert!(shown.starts_with("policies: good, revision "), "{shown}");
    assert!(shown.ends_with(": 1 provider, 2 models, 3 names to ask for, 1 tenant\n"), "{shown}");
}

#[test]
fn a_faulty_policy_shows_its_findings_and_counts_them() {
    let run = Run::new(&[("policy.yaml", &GOOD.replace("local: true", "lokal: true"))]);
    let (code, shown) = run.check(&["@"]);
    assert_eq!(code, exits(1));
    assert!(shown.contains("error: unknown field `lokal`\n  --> policies/policy.yaml:"), "{shown}");
    assert!(shown.contains("policies: not good: 1 error, 1 warning\n"), "{shown}");
}

#[test]
fn warnings_fail_only_where_they_are_denied_and_not_allowed() {
    let run = Run::new(&[("policy.yaml", &GOOD.replace("\"gpt-*\"", "\"gpd-*\""))]);
    assert_eq!(run.check(&["@"]).0, exits(0));
    let (code, shown) = run.check(&["@", "--deny-warnings"]);
    assert_eq!(code, exits(1));
    assert!(shown.contains("warning[pattern-matches-nothing]: "), "{shown}");
    assert_eq!(run.check(&["@", "--deny-warnings", "--allow", "pattern-matches-nothing"]).0, exits(0));
}

#[test]
fn only_warnings_may_be_allowed() {
    let parse = |code| Line::try_parse_from(["check", "policy.yaml", "--allow", code]);
    assert!(parse("no-limits").is_ok());
    for wrong in ["unknown-field", "no-such-thing"] {
        let error = parse(wrong).err().unwrap().to_string();
        assert!(error.contains("single-target-route"), "{error}");
    }
}

#[test]
fn a_path_that_cannot_be_read_is_named_with_its_cause_and_the_others_are_checked() {
    let run = Run::new(&[("policy.yaml", GOOD)]);
    let (code, shown) = run.check(&["nowhere/policy.yaml", "@"]);
    assert_eq!(code, exits(2));
    assert!(shown.starts_with("error: cannot read nowhere/policy.yaml: "), "{shown}");
    assert!(shown.contains("policies: good"), "{shown}");
}

#[test]
fn a_policy_may_come_in_on_standard_input() {
    let mut run = Run::new(&[]);
    run.input = GOOD.replace("kind: Policy", "kind: Polcy").into_bytes();
    let (code, shown) = run.check(&["-"]);
    assert_eq!(code, exits(1));
    assert!(shown.contains(" --> <stdin>:6:7\n"), "{shown}");
    run.input = vec![b'#'; MAX_BYTES + 1];
    assert_eq!(run.check(&["-"]).0, exits(2));
}

#[test]
fn text_is_coloured_on_a_terminal_that_wants_it() {
    let mut run = Run::new(&[("policy.yaml", "kind: Policy\n")]);
    run.terminal = true;
    let coloured = |run: &Run, color: &str| run.check(&["@", "--color", color]).1.contains('\u{1b}');
    assert!(coloured(&run, "auto") && coloured(&run, "always") && !coloured(&run, "never"));
    for refuses in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        run.environment = Environment::given([refuses]);
        assert!(!coloured(&run, "auto") && coloured(&run, "always"), "{refuses:?}");
    }
    run.environment = Environment::given([("NO_COLOR", ""), ("TERM", "xterm")]);
    assert!(coloured(&run, "auto"));
    run.terminal = false;
    assert!(!coloured(&run, "auto"));
}

#[test]
fn findings_fit_a_narrow_terminal_and_what_is_piped_has_a_line_for_each_sentence() {
    let names = "gpt-4.1, ".repeat(30);
    let text = GOOD.replace("[chat, \"gpt-*\"]", &format!("[{names}chatt, {names}]"));
    let mut run = Run::new(&[("p.yaml", &text)]);
    let widest = |run: &Run| {
        let shown = run.check(&["@", "--color", "never"]).1;
        let findings = shown.lines().filter(|line| !line.starts_with("policies:") && !line.contains("-->"));
        findings.map(|line| line.chars().count()).max().unwrap()
    };
    assert!(widest(&run) > 120);
    run.terminal = true;
    for columns in [60, 80, 100] {
        run.columns = Some(columns);
        assert!(widest(&run) <= columns.into(), "{columns}: {}", run.check(&["@", "--color", "never"]).1);
    }
    run.columns = Some(80);
    let shown = run.check(&["@", "--color", "never"]).1;
    let lines: Vec<_> = shown.lines().collect();
    let caret = lines.iter().position(|line| line.contains("^^^^^")).unwrap();
    let at = lines[caret].find('^').unwrap();
    assert_eq!(lines[caret - 1].get(at..at + 5), Some("chatt"), "{shown}");
}

/// One error with a hint, one with another place, one of the policy as a whole.
const FAULTY: &str = "apiVersion: egret.dev/v1alpha1
kind: Policy
providers: { openai: { key: { fromEnv: KEY } } }
models:
  m: { provider: opena1 }
routes:
  r: { targets: [{ model: m }, { model: m }] }
---
apiVersion: egret.dev/v1alpha1
kind: Policy
models: { m: { provider: openai } }
";

#[test]
fn json_has_every_field_of_every_finding() {
    let run = Run::new(&[("a, b.yaml", FAULTY)]);
    let document = run.json(&["@", "nowhere", "--format", "json"]);
    let (policy, nowhere) = (&document["policies"][0], &document["policies"][1]);
    assert_eq!((&document["version"], &policy["verdict"]), (&1.into(), &"faulty".into()));
    assert_eq!(
        (&policy["errors"], &policy["warnings"], &policy["leftOut"]),
        (&3.into(), &0.into(), &0.into())
    );
    let expected = serde_json::json!({
        "severity": "error", "code": "unknown-name", "message": "there is no provider `opena1`",
        "hint": "did you mean `openai`?", "file": "policies/a, b.yaml", "line": 5, "column": 18, "endColumn": 24,
        "other": null,
    });
    assert_eq!(policy["diagnostics"][0], expected);
    let other = &policy["diagnostics"][1]["other"];
    assert_eq!(
        (&other["message"], &other["line"], &other["endColumn"]),
        (&"first here".into(), &5.into(), &4.into())
    );
    assert_eq!(policy["diagnostics"][2]["code"], "no-policy");
    assert_eq!(nowhere["verdict"], "unreadable");
    assert!(nowhere["error"].as_str().unwrap().starts_with("cannot read nowhere: "));
}

#[test]
fn github_reads_commands_with_their_signs_escaped() {
    let run = Run::new(&[("a, b.yaml", FAULTY)]);
    let (code, shown) = run.check(&["@", "--format", "github"]);
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(code, exits(1));
    assert_eq!(
        lines[0],
        "::error file=policies/a%2C b.yaml,line=5,col=18,endColumn=24,title=egret unknown-name::there is no provider \
         `opena1`%0Ahelp: did you mean `openai`?"
    );
    assert!(lines[1].ends_with("%0Anote: first here: policies/a, b.yaml:5:3"), "{}", lines[1]);
    assert!(
        lines[2].ends_with(
            "line=1,col=1,endColumn=2,title=egret no-policy::the policy has no tenants%0Ahelp: say who may call: `app: { local: \
             true, access: { allow: [\"*\"] } }`"
        ),
        "{}",
        lines[2]
    );
    assert_eq!(lines[3], "policies: not good: 3 errors");
    assert_eq!(lines.len(), 4);
}

#[test]
fn sarif_has_a_rule_for_each_result_and_uris_from_here() {
    let run = Run::new(&[("a, b.yaml", FAULTY)]);
    let log = run.json(&["@", "nowhere", "--format", "sarif"]);
    let of = &log["runs"][0];
    let results = of["results"].as_array().unwrap();
    let rules = of["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!((&log["version"], results.len(), rules.len()), (&"2.1.0".into(), 3, 3));
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
    let at = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(at["artifactLocation"]["uri"], "file://policies/a%2C%20b.yaml");
    assert_eq!(at["region"], serde_json::json!({ "startLine": 5, "startColumn": 18, "endColumn": 24 }));
    assert_eq!(results[1]["relatedLocations"][0]["message"]["text"], "first here");
    assert_eq!(of["invocations"][0]["executionSuccessful"], false);
}

#[test]
fn a_file_is_named_as_it_is_found_from_here() {
    let named = |path: &str| from_here(&PathBuf::from(path), &"policy.yaml".into()).to_string();
    assert_eq!(named("prod/policy.yaml"), "prod/policy.yaml");
    assert_eq!(named("./prod/policy.yaml"), "prod/policy.yaml");
    assert_eq!(named("/etc/egret/policy.yaml"), "/etc/egret/policy.yaml");
    assert_eq!(named("."), "policy.yaml");
}

#[test]
fn secrets_are_looked_up_only_where_that_is_asked_for_and_never_shown() {
    let pool =
        "openai: { keys: [{ name: a, fromEnv: A }, { name: b, fromEnv: B }, { name: c, fromFile: @/key }] }";
    let mut run = Run::new(&[("key", "hunter2-and-more")]);
    let folder = run.folder.path().display().to_string();
    let pool = pool.replace('@', &folder);
    let text = GOOD.replace("openai: { mock: { latency: 50ms, tokensPerSecond: 100 } }", &pool);
    fs::write(run.folder.path().join("policy.yaml"), text).unwrap();
    let (environment, asked) = Environment::noting([("A", "hunter2"), ("B", " ")]);
    run.environment = environment;
    let path = ["@/policy.yaml", "--allow", "unpriced-model", "--color", "never"];

    assert!(run.check(&path).1.contains(": good"));
    assert!(asked.lock().is_empty(), "{asked:?}");

    let (_, shown) = run.check(&[&path[..], &["--with-secrets"]].concat());
    assert!(shown.starts_with("warning[missing-secret]: environment variable B is empty\n"), "{shown}");
    assert!(shown.contains(", 1 warning\n") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn help_names_every_warning_and_the_exit_codes() {
    let mut command = Line::augment_args_for_tests();
    let help = command.render_long_help().to_string();
    assert!(help.contains("2  a path cannot be read"), "{help}");
    for code in Code::ALL.iter().filter(|code| code.is_lint()) {
        assert!(help.contains(code.name()), "{}", code.name());
    }
}

impl Line {
    fn augment_args_for_tests() -> clap::Command {
        <CheckArgs as Args>::augment_args(clap::Command::new("check"))
    }
}
