//! Overlays of `run` and `check`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::client::{ask, chat};
use super::policy;
use super::reload::ConfigMap;
use super::support::{Egret, PolicyFile, egret, eventually, output, within};

/// An overlay by which the local tenant may ask for other names.
fn allowing(names: &str) -> String {
    format!(
        "apiVersion: egret.dev/v1alpha1\nkind: Policy\ntenants:\n  app: {{ access: {{ allow: {names} }} }}\n"
    )
}

/// The status with which a call of each model is answered.
fn statuses(egret: &Egret) -> [u16; 2] {
    ["small", "large"].map(|model| ask(egret.listen, &chat(model)).status)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_policy_serves_as_its_overlays_say_the_last_wins_and_a_change_of_one_is_followed() {
    let file = PolicyFile::new(&policy::scripted());
    let [one, two] = ["one.yaml", "two.yaml"].map(|name| file.beside(name));
    fs::write(&one, allowing("[]")).unwrap();
    fs::write(&two, allowing("[large]")).unwrap();
    let both = format!("{}:{}", one.display(), two.display());
    let mut command = egret("run");
    let egret = Egret::start(command.env("EGRET_OVERLAY", both).arg("--policy").arg(&file.path));
    assert_eq!(statuses(&egret), [403, 200]);

    fs::write(&two, allowing("[small]")).unwrap();
    within(Duration::from_secs(2), "the change is in force", || statuses(&egret) == [200, 403]);

    let bad = "apiVersion: egret.dev/v1alpha1\nkind: Policy\nmodels: { medium: { $patch: delete } }\n";
    fs::write(&one, bad).unwrap();
    eventually("the bad one shows with its line", || {
        let fault = egret.json("/policy")["fault"].as_str().unwrap_or_default().to_owned();
        fault.contains("there is no `medium` to delete") && fault.contains("one.yaml:3:11")
    });
    assert_eq!(statuses(&egret), [200, 403], "the last good one goes on");

    fs::remove_file(&one).unwrap();
    eventually("one that is gone shows", || {
        let fault = egret.json("/policy")["fault"].as_str().unwrap_or_default().to_owned();
        fault.contains("cannot read") && fault.contains("one.yaml")
    });
    assert_eq!(statuses(&egret), [200, 403]);
}

#[test]
fn updates_of_an_overlays_config_map_are_followed() {
    let file = PolicyFile::new(&policy::scripted());
    let map = ConfigMap::new(&allowing("[large]"));
    let overlay = map.folder.path().join("policy.yaml");
    let egret = Egret::run(&file.path, &["--overlay", overlay.to_str().unwrap()]);
    assert_eq!(statuses(&egret), [403, 200]);
    for update in 0..6 {
        let (names, expected) = [("[small]", [200, 403]), ("[large]", [403, 200])][update % 2];
        map.update(update, &allowing(names));
        within(Duration::from_secs(2), "the update is in force", || statuses(&egret) == expected);
    }
}

#[test]
fn a_start_with_a_faulty_overlay_ends_with_2_and_the_overlays_line() {
    let file = PolicyFile::new(&policy::scripted());
    let overlay = file.beside("prod.yaml");
    fs::write(&overlay, allowing("[small]").replace("allow:", "alow:")).unwrap();
    let mut command = egret("run");
    let ended = output(command.arg("--policy").arg(&file.path).arg("--overlay").arg(&overlay));
    assert_eq!(ended.status.code(), Some(2));
    let said = text(&ended.stderr);
    assert!(said.contains("unknown field `alow`") && said.contains("prod.yaml:4:20"), "{said}");
}

/// What `check` of the policy under an overlay says, and its exit code.
fn checked(policy: &Path, overlay: &Path, flags: &[&str]) -> (Option<i32>, String) {
    let mut command = egret("check");
    let ended = output(command.arg(policy).arg("--overlay").arg(overlay).args(flags));
    (ended.status.code(), text(&ended.stdout) + &text(&ended.stderr))
}

#[test]
fn check_judges_the_policy_under_its_overlays() {
    let file = PolicyFile::new(&policy::scripted());
    let overlay = file.beside("prod.yaml");
    fs::write(&overlay, allowing("[large]")).unwrap();
    assert_eq!(checked(&file.path, &overlay, &[]).0, Some(0));

    fs::write(&overlay, allowing("[large]").replace("app:", "app: { $patch: delete }\n  web:")).unwrap();
    let (code, said) = checked(&file.path, &overlay, &["--deny-warnings"]);
    assert_eq!(code, Some(1), "{said}");

    fs::write(
        &overlay,
        "apiVersion: egret.dev/v1alpha1\nkind: Policy\nproviders: { fake: { $patch: delete } }\n",
    )
    .unwrap();
    let (code, said) = checked(&file.path, &overlay, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("there is no provider `fake`") && said.contains("an overlay deletes it here"),
        "{said}"
    );

    let (code, said) = checked(&file.path, &file.beside("nowhere.yaml"), &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("nowhere.yaml"), "{said}");

    let folder = file.path.parent().unwrap();
    let (code, said) = checked(folder, &overlay, &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("prod.yaml is part of the policy already"), "{said}");
}

#[test]
fn check_shows_the_merged_policy_with_the_place_of_each_value_and_that_is_a_policy_again() {
    let file = PolicyFile::new(&policy::scripted());
    let overlay = file.beside("prod.yaml");
    fs::write(&overlay, allowing("[large]")).unwrap();
    let (code, shown) = checked(&file.path, &overlay, &["--show-merged"]);
    assert_eq!(code, Some(0), "{shown}");
    let line = shown.lines().find(|line| line.contains("- large")).unwrap();
    let origin = format!("# {}:4 over policy.yaml:12", overlay.display());
    assert!(line.ends_with(&origin), "{line}");
    assert!(
        shown.lines().any(|line| line.contains("contextTokens: 8000") && line.ends_with("# policy.yaml:7"))
    );

    let again = PolicyFile::new(&shown);
    let egret = Egret::run(&again.path, &[]);
    assert_eq!(statuses(&egret), [403, 200]);
}
