//! What authors of overlays read of their slips.

use super::*;
use crate::policy::compile::compile;

/// What is wrong with the base policy under an overlay.
fn found(text: &str) -> Diagnostics {
    compile(&sources(BASE, &[&overlay(text)])).expect_err("the overlay is faulty")
}

/// The only error: its sentence, place and hint.
fn error(text: &str) -> (String, String, String) {
    only(&found(text))
}

fn only(found: &Diagnostics) -> (String, String, String) {
    assert_eq!(found.counts().0, 1, "{found}");
    let error = found.iter().next().unwrap();
    let place =
        error.place.as_ref().map_or_else(String::new, |at| format!("{}:{}:{}", at.file, at.line, at.column));
    (error.message.clone(), place, error.hint.clone().unwrap_or_default())
}

fn told(message: &str, place: &str, hint: &str) -> (String, String, String) {
    (message.to_owned(), place.to_owned(), hint.to_owned())
}

#[test]
fn a_deletion_of_what_is_not_there() {
    assert_eq!(
        error("tenants: { app: { limits: { mont: { $patch: delete } } } }"),
        told("there is no `mont` to delete", "over/0.yaml:3:29", "did you mean `month`?")
    );
    assert_eq!(
        error("plans: { pro: { $patch: delete } }").0,
        "there is no `pro` to delete",
        "in a section that is not there"
    );
    assert_eq!(error("models: { other: { $patch: delete } }").2, "there is `small`, `large`");
}

#[test]
fn a_deletion_in_what_is_new() {
    assert_eq!(
        error("tenants: { web: { plan: { $patch: delete }, access: { allow: [chat] } } }"),
        told(
            "there is no `plan` to delete",
            "over/0.yaml:3:19",
            "what stands here is new, or replaced as a whole: leave it out"
        )
    );
}

#[test]
fn an_unknown_word() {
    let with =
        |word: &str| error(&format!("tenants: {{ app: {{ limits: {{ tpm: {{ $patch: {word} }} }} }} }}"));
    let place = "over/0.yaml:3:44";
    assert_eq!(with("delte"), told("`delte` is no `$patch`", place, "did you mean `delete`?"));
    assert_eq!(with("merge"), told("`merge` is no `$patch`", place, "maps merge where no `$patch` stands"));
    assert_eq!(with("true"), told("a boolean is no `$patch`", place, "one of delete, replace"));
    assert_eq!(with("remove").2, "one of delete, replace");
}

#[test]
fn something_beside_a_deletion() {
    assert_eq!(
        error("tenants: { app: { limits: { tpm: { $patch: delete, tokens: 5 } } } }"),
        told(
            "nothing stands beside `$patch: delete`",
            "over/0.yaml:3:52",
            "to put something else in its place, write `$patch: replace`"
        )
    );
}

#[test]
fn nothing_where_a_deletion_was_meant() {
    assert_eq!(
        error("tenants: { app: { limits: { tpm: null } } }"),
        told("nothing stands at `tpm`", "over/0.yaml:3:34", "to delete it write `tpm: { $patch: delete }`")
    );
}

#[test]
fn a_patch_of_the_whole_policy_and_one_in_a_list() {
    assert_eq!(error("$patch: replace").0, "a whole policy is neither deleted nor replaced");
    assert_eq!(
        error("routes: { chat: { targets: [{ $patch: delete, model: large }] } }"),
        told(
            "`$patch` has no meaning in a list",
            "over/0.yaml:3:31",
            "an overlay's list takes the place of the one below it, whole: write it out"
        )
    );
}

#[test]
fn a_patch_in_a_policy_that_is_no_overlay() {
    let base = format!("{BASE}plans: {{ pro: {{ $patch: delete }} }}\n");
    let found = compile(&sources(&base, &[])).unwrap_err();
    assert_eq!(
        only(&found),
        told(
            "`$patch` stands in overlays only",
            "policy.yaml:22:17",
            "an overlay is a file of its own, outside of the policy's folder: `--overlay prod.yaml`"
        )
    );
}

#[test]
fn an_overlay_that_is_no_policy() {
    let of = |text: &str| only(&compile(&sources(BASE, &[text])).unwrap_err());
    let begin = "begin with `apiVersion: egret.dev/v1alpha1` and `kind: Policy`; or leave the overlay away";
    let none = "this overlay holds no document of `kind: Policy`";
    assert_eq!(of(""), told(none, "over/0.yaml:1:1", begin));
    assert_eq!(of("# nothing yet\n"), told(none, "over/0.yaml:1:1", begin));
    assert_eq!(of("kind: PolicyTest\ntests: {}\n"), told(none, "over/0.yaml:1:1", begin));
    assert_eq!(of("- a\n- b\n").0, "expected a map, found a list");
    assert_eq!(
        of("kind: Policy\nrevision: prod\n"),
        told(
            "`apiVersion` is missing",
            "over/0.yaml:1:1",
            "write `apiVersion: egret.dev/v1alpha1` at the top of the document"
        )
    );
    assert_eq!(
        of("apiVersion: egret.dev/v1alpha1\nkind: ConfigMap\n"),
        told(
            "this egret reads `kind: Policy` only",
            "over/0.yaml:2:7",
            "an overlay is written in the language of the policy that it is laid over"
        )
    );
}

#[test]
fn what_an_overlay_says_twice() {
    let texts = [("over/a.yaml", "revision: a"), ("over/b.yaml", "revision: b")];
    let files = texts.map(|(name, text)| (name.into(), overlay(text).into_bytes()));
    let found = compile(&sources(BASE, &[]).overlaid(files)).unwrap_err();
    assert_eq!(only(&found).0, "`revision` is said twice in this overlay");
    assert_eq!(only(&found).1, "over/b.yaml:3:1");
    let texts = [
        ("over/a.yaml", "models: { m: { provider: local } }"),
        ("over/b.yaml", "models: { m: { provider: openai } }"),
    ];
    let files = texts.map(|(name, text)| (name.into(), overlay(text).into_bytes()));
    let found = compile(&sources(BASE, &[]).overlaid(files)).unwrap_err();
    assert_eq!(only(&found).0, "`m` is said twice in this overlay");
}

#[test]
fn an_overlay_that_is_no_yaml_is_told_and_nothing_is_said_of_what_it_may_hold() {
    let found = compile(&sources(
        BASE,
        &[&overlay("models: { m: [ }"), &overlay("models: { m: { $patch: delete } }")],
    ));
    let (_, place, _) = only(&found.unwrap_err());
    assert!(place.starts_with("over/0.yaml:3:"), "{place}");
}

#[test]
fn an_unknown_field_of_an_overlay_has_its_place_there() {
    assert_eq!(
        error("tenants: { app: { limits: { month: { usdd: \"5.00\" } } } }"),
        told("unknown field `usdd`", "over/0.yaml:3:38", "did you mean `usd`?")
    );
}

#[test]
fn a_reference_to_what_an_overlay_deletes_names_both_places() {
    let found = found("models: { small: { $patch: delete } }").to_string();
    let expected = r#"error: there is no model `small`
  --> policy.yaml:14:48
   |
14 |   chat: { targets: [{ model: large }, { model: small }] }
   |                                                ^^^^^
   = help: this policy has `large`
note: an overlay deletes it here
 --> over/0.yaml:3:11
  |
3 | models: { small: { $patch: delete } }
  |           ^^^^^"#;
    assert!(found.contains(expected), "{found}");
}

#[test]
fn a_name_that_is_defined_twice_below_stays_a_fault_under_an_overlay() {
    let file = |name: &str| (name.into(), overlay("models: { m: { provider: local } }").into_bytes());
    let base = [("policy.yaml".into(), BASE.as_bytes().to_vec()), file("a.yaml"), file("b.yaml")];
    let over = ("over/0.yaml".into(), overlay("models: { m: { $patch: delete } }").into_bytes());
    let found = compile(&Sources::from_iter(base).overlaid([over])).unwrap_err();
    assert_eq!(only(&found).0, "model `m` is defined twice");
}
