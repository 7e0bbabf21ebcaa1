use super::*;

const BASE: &str = "apiVersion: egret.dev/v1alpha1
kind: Policy
models:
  gpt-4.1: { provider: openai, price: [{ inputPerMTok: \"2.00\", outputPerMTok: \"8.00\" }] }
  gpt-4: { provider: openai }
tenants:
  app:
    access: { allow: [chat, \"claude-*\"] }
    limits:
      month: { usd: \"500.00\", per: month }
";

const PROD: &str = "apiVersion: egret.dev/v1alpha1
kind: Policy
tenants:
  app:
    access: { allow: [chat] }
    limits:
      month: { usd: \"50.00\" }
      day: { usd: \"9.00\", per: day }
";

fn origins() -> Origins {
    let prod = ("overlays/prod.yaml".into(), PROD.as_bytes().to_vec());
    Origins::of(&Sources::single("policy.yaml", BASE).overlaid([prod]))
}

fn shown(path: &str) -> String {
    origins().named(path).map_or_else(|| "nowhere".to_owned(), |origin| origin.to_string())
}

#[test]
fn a_value_has_its_line_and_what_it_replaced() {
    assert_eq!(shown("tenants.app.limits.month.usd"), "overlays/prod.yaml:7 over policy.yaml:10");
    assert_eq!(shown("tenants.app.limits.month.per"), "policy.yaml:10");
    assert_eq!(shown("tenants.app.limits.day.usd"), "overlays/prod.yaml:8");
    assert_eq!(shown("tenants.app.access.allow.0"), "overlays/prod.yaml:5 over policy.yaml:8");
}

#[test]
fn a_thing_stands_where_its_name_was_first_said() {
    assert_eq!(shown("tenants.app.limits.month"), "policy.yaml:10");
    assert_eq!(shown("tenants.app.limits.day"), "overlays/prod.yaml:8");
    assert_eq!(shown("tenants"), "policy.yaml:6");
}

#[test]
fn names_may_have_dots() {
    assert_eq!(shown("models.gpt-4.1.price.0.outputPerMTok"), "policy.yaml:4");
    assert_eq!(shown("models.gpt-4.provider"), "policy.yaml:5");
    let at = origins().at(&["models", "gpt-4.1", "provider"]).unwrap();
    assert_eq!((at.place.line, at.place.column), (4, 24));
}

#[test]
fn what_is_not_there_has_no_origin() {
    for path in [
        "",
        "tenant",
        "tenants.app.limits.rpm",
        "tenants.app.access.allow.7",
        "tenants.app.access.allow.x",
        "models..price",
    ] {
        assert_eq!(shown(path), "nowhere", "{path}");
    }
}

#[test]
fn a_policy_that_cannot_be_read_has_no_origins() {
    assert!(Origins::of(&Sources::single("policy.yaml", "a: [")).at(&["a"]).is_none());
}

#[test]
fn the_policy_is_printed_as_one_with_the_place_of_every_value() {
    let expected = r#"apiVersion: egret.dev/v1alpha1
kind: Policy
models:
  gpt-4.1:
    provider: openai           # policy.yaml:4
    price:
      - inputPerMTok: "2.00"   # policy.yaml:4
        outputPerMTok: "8.00"  # policy.yaml:4
  gpt-4:
    provider: openai           # policy.yaml:5
tenants:
  app:
    access:
      allow:
        - chat                 # overlays/prod.yaml:5 over policy.yaml:8
    limits:
      month:
        usd: "50.00"           # overlays/prod.yaml:7 over policy.yaml:10
        per: month             # policy.yaml:10
      day:
        usd: "9.00"            # overlays/prod.yaml:8
        per: day               # overlays/prod.yaml:8
"#;
    assert_eq!(origins().print(), expected);
}

#[test]
fn no_secret_is_printed() {
    let text = "apiVersion: egret.dev/v1alpha1
kind: Policy
providers:
  a: { key: hunter2, keys: [hunter3, { name: a, fromEnv: KEY_A }], baseUrl: \"https://me:hunter4@host/v1\" }
  b: { name: sk-proj-abcDEF123, token: 77777777, limits: { each: key } }
  sk-live-0123456789: { says: \"two lines\\nkey: hunter5\" }
";
    let printed = Origins::of(&Sources::single("policy.yaml", text)).print();
    for secret in ["hunter", "sk-", "7777"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    for shown in ["key: \"***\"", "fromEnv: KEY_A", "https://", "@host/v1", "each: key", "two lines"] {
        assert!(printed.contains(shown), "{shown} in {printed}");
    }
    // It is YAML all the same.
    let again = Sources::single("policy.yaml", printed);
    assert!(Origins::of(&again).at(&["providers", "a", "keys", "1", "fromEnv"]).is_some());
}
