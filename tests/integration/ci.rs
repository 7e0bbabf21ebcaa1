//! What stands in `deploy/ci` does what it says: its shell steps, taken from the files, are run in a git repository with a
//! good change, one that loosens, and a broken one. What Kubernetes gets is looked at by `tests/delivery/test_ci.py`.

mod repository;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use repository::Repository;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn yaml(name: &str) -> Value {
    serde_yaml::from_str(&fs::read_to_string(file(name)).unwrap()).unwrap()
}

/// What is done to the policy in a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edit {
    /// It says the same in other words.
    Harmless,
    /// Its limit is twice what it was, and its tests know.
    Loosening,
    /// Its limit is twice what it was, and its tests do not know.
    Untested,
    /// It is no policy.
    Broken,
}

/// A repository with a policy, and a change of it.
fn changed(edit: Edit) -> Repository {
    let repository = Repository::new();
    let base = |name: &str| fs::read_to_string(file("deploy/ci/kubernetes/policy").join(name)).unwrap();
    let (policy, tests) = (base("policy.yaml"), base("tests.yaml"));
    repository.commit(&[("policies/policy.yaml", &policy), ("policies/tests.yaml", &tests)]);
    let wider = policy.replace("requests: 60", "requests: 120");
    let known = tests.replace("rpm: 59", "rpm: 119").replace("amount: 60", "amount: 120");
    match edit {
        Edit::Harmless => repository.commit(&[("policies/policy.yaml", &format!("# Ours.\n{policy}"))]),
        Edit::Loosening => {
            repository.commit(&[("policies/policy.yaml", &wider), ("policies/tests.yaml", &known)]);
        }
        Edit::Untested => repository.commit(&[("policies/policy.yaml", &wider)]),
        Edit::Broken => {
            repository
                .commit(&[("policies/policy.yaml", &policy.replace("provider: openai", "provider: opena1"))]);
        }
    }
    repository
}

/// The script of a step of the workflow.
fn github(step: &str) -> String {
    let workflow = yaml("deploy/ci/github/policy.yaml");
    let steps = workflow["jobs"]["policy"]["steps"].as_array().unwrap();
    let found = steps.iter().find(|found| found["name"] == step).unwrap_or_else(|| panic!("no step {step}"));
    found["run"].as_str().unwrap().to_owned()
}

/// Runs steps of the workflow, in order; the first that fails ends it. Gives whether all went well, and what was said.
fn workflow(repository: &Repository, steps: &[&str], labels: &str) -> (bool, String) {
    let mut said = String::new();
    for step in steps {
        let outputs = repository.outputs();
        let code = outputs.strip_prefix("code=").map_or("", str::trim);
        let environment = [
            ("BASE", "HEAD~1"),
            ("CODE", code),
            ("LABELS", labels),
            ("NUMBER", "7"),
            ("EGRET_IMAGE", "egret:0.1.0"),
        ];
        let (good, text) = repository.run(&github(step), &environment);
        said += &text;
        if !good {
            return (false, said);
        }
    }
    (true, said)
}

#[test]
fn the_workflow_takes_egret_out_of_its_image() {
    let repository = changed(Edit::Harmless);
    repository.fake(
        "docker",
        "case $1 in create) echo made ;; cp) [ $2 = made:/egret ] && cp \"$(command -v egret)\" $3 ;; esac",
    );
    let (good, said) = workflow(&repository, &["Install egret"], "");
    assert!(good, "{said}");
    assert!(repository.temporary("bin/egret").is_file());
}

#[test]
fn the_workflow_checks_and_tests() {
    let steps = ["Check", "Test"];
    let (good, said) = workflow(&changed(Edit::Harmless), &steps, "");
    assert!(good && said.contains("3 passed, 0 failed"), "{said}");
    let (good, said) = workflow(&changed(Edit::Untested), &steps, "");
    assert!(!good && said.contains("sixty calls a minute"), "{said}");
    let (good, said) = workflow(&changed(Edit::Broken), &steps, "");
    assert!(!good && said.contains("::error") && said.contains("opena1"), "{said}");
}

#[test]
fn the_workflow_comments_and_wants_consent_for_what_loosens() {
    let steps = ["Diff", "Comment", "Loosening needs consent"];
    let told = |edit, labels| {
        let repository = changed(edit);
        repository.fake("gh", "cat \"$RUNNER_TEMP/diff.md\" >\"$RUNNER_TEMP/comment\"; echo \"gh $*\"");
        let (good, said) = workflow(&repository, &steps, labels);
        (good, said, fs::read_to_string(repository.temporary("comment")).unwrap())
    };
    let (good, said, _) = told(Edit::Harmless, "");
    assert!(good && said.contains("gh pr comment 7 "), "{said}");
    let (good, said, comment) = told(Edit::Loosening, "docs");
    assert!(!good && said.contains("policy-loosening"), "{said}");
    assert!(comment.contains("rpm") && comment.contains("120"), "{comment}");
    let (good, said, _) = told(Edit::Loosening, "docs,policy-loosening");
    assert!(good, "{said}");
    let (good, said, _) = told(Edit::Broken, "");
    assert!(!good && said.contains("cannot be compared"), "{said}");
}

#[test]
fn the_workflow_takes_a_policy_that_is_new() {
    let repository = Repository::new();
    repository.commit(&[("README.md", "nothing")]);
    repository.commit(&[("policies/policy.yaml", "new")]);
    let (good, said) = workflow(&repository, &["Diff", "Loosening needs consent"], "");
    assert!(good, "{said}");
}

/// Runs the job of GitLab. Gives whether it went well, and what was said.
fn job(repository: &Repository, labels: &str) -> (bool, String) {
    let job = &yaml("deploy/ci/gitlab/policy.gitlab-ci.yml")["policy"];
    let lines: Vec<_> = job["script"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let variables = job["variables"].as_object().unwrap();
    let own = variables.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    let given = [
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "HEAD~1"),
        ("CI_MERGE_REQUEST_LABELS", labels),
        ("CI_API_V4_URL", "https://gitlab.example.com/api/v4"),
        ("CI_PROJECT_ID", "5"),
        ("CI_MERGE_REQUEST_IID", "7"),
        ("EGRET_NOTE_TOKEN", "hush"),
    ];
    repository.run(&lines.join("\n"), &own.chain(given).collect::<Vec<_>>())
}

#[test]
fn the_job_checks_tests_notes_and_wants_consent() {
    let told = |edit, labels| {
        let repository = changed(edit);
        repository.fake(
            "curl",
            "cp policy-diff.md \"$RUNNER_TEMP/note\"; for last; do :; done; echo \"curl $last\"",
        );
        let (good, said) = job(&repository, labels);
        (good, said, fs::read_to_string(repository.temporary("note")).unwrap_or_default(), repository)
    };
    let (good, said, ..) = told(Edit::Untested, "");
    assert!(!good && said.contains("sixty calls a minute"), "{said}");
    let (good, said, ..) = told(Edit::Broken, "");
    assert!(!good && said.contains("opena1"), "{said}");
    let (good, said, _, repository) = told(Edit::Harmless, "");
    assert!(
        good && said.contains("curl https://gitlab.example.com/api/v4/projects/5/merge_requests/7/notes"),
        "{said}"
    );
    assert!(repository.read("policy-tests.xml").contains("<testsuite"), "JUnit's report is left for GitLab");
    let (good, said, note, _) = told(Edit::Loosening, "");
    assert!(!good && said.contains("set the label"), "{said}");
    assert!(note.contains("rpm") && !said.contains("hush"), "{note}");
    let (good, said, ..) = told(Edit::Loosening, "policy-loosening");
    assert!(good, "{said}");
}

#[test]
fn the_hooks_of_pre_commit_refuse_what_is_broken() {
    let hooks = yaml(".pre-commit-hooks.yaml");
    let hooks: Vec<_> = hooks.as_array().unwrap().iter().map(command).collect();
    let all_go = |edit| {
        let repository = changed(edit);
        hooks.iter().all(|hook| repository.run(hook, &[]).0)
    };
    assert!(all_go(Edit::Harmless) && all_go(Edit::Loosening));
    assert!(!all_go(Edit::Untested) && !all_go(Edit::Broken));
}

/// The command line of a hook that takes no names of files.
fn command(hook: &Value) -> String {
    assert_eq!(hook["pass_filenames"], false);
    let arguments = hook["args"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap());
    let words: Vec<_> = std::iter::once(hook["entry"].as_str().unwrap()).chain(arguments).collect();
    words.join(" ")
}

#[test]
fn the_hook_of_git_looks_at_what_is_staged() {
    let hook = fs::read_to_string(file("deploy/ci/git/pre-commit")).unwrap();
    let repository = changed(Edit::Harmless);
    let good = repository.read("policies/policy.yaml");
    let broken = good.replace("provider: openai", "provider: opena1");
    repository.write("policies/policy.yaml", &broken);
    assert!(repository.run(&hook, &[]).0, "what is not staged is not committed");
    repository.git(&["add", "policies"]);
    repository.write("policies/policy.yaml", &good);
    let (goes, said) = repository.run(&hook, &[]);
    assert!(!goes && said.contains("opena1"), "what is staged is, whatever lies in the folder: {said}");
    repository.git(&["add", "policies"]);
    repository.write("README.md", "other");
    repository.git(&["add", "README.md"]);
    let (goes, said) = repository.run(&hook, &[]);
    assert!(goes && said.is_empty(), "a commit that touches no policy is none of its business: {said}");
}

#[test]
fn the_containers_of_the_job_refuse_what_is_broken() {
    let job = yaml("deploy/ci/kubernetes/check/job.yaml");
    let pod = &job["spec"]["template"]["spec"];
    let containers = ["initContainers", "containers"].map(|kind| pod[kind][0].clone());
    let all_go = |edit| {
        let repository = changed(edit);
        containers.iter().all(|container| {
            let mounted = container["volumeMounts"][0]["mountPath"].as_str().unwrap();
            let words: Vec<_> =
                container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
            repository.run(&format!("egret {}", words.join(" ").replace(mounted, "policies")), &[]).0
        })
    };
    assert!(all_go(Edit::Harmless));
    assert!(!all_go(Edit::Untested) && !all_go(Edit::Broken));
}
