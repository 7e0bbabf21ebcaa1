//! Typical mistakes, and the whole of what their authors read.

use super::*;

/// What `check` shows for the good policy with one text in place of another.
fn shown(old: &str, new: &str) -> String {
    compile(&Sources::single("policy.yaml", with(old, new))).unwrap_err().to_string()
}

#[test]
fn a_field_with_a_slip() {
    let expected = r#"error: unknown field `acess`
  --> policy.yaml:14:34
   |
14 |   app: { local: true, plan: pro, acess: { allow: ["*"] } }
   |                                  ^^^^^
   = help: did you mean `access`?

warning[nothing-allowed]: tenant `app` may not use anything
  --> policy.yaml:14:3
   |
14 |   app: { local: true, plan: pro, acess: { allow: ["*"] } }
   |   ^^^
   = help: allow names of routes and models: `access: { allow: [chat, "gpt-*"] }`"#;
    assert_eq!(
        shown("plan: pro, access: { allow: [\"*\"] }", "plan: pro, acess: { allow: [\"*\"] }"),
        expected
    );
}

#[test]
fn a_field_that_is_not_built_yet() {
    let expected = r#"error: `user` is not built yet
  --> policy.yaml:14:37
   |
14 |   app: { local: true, attributes: { user: { header: x-user } }, plan: pro, access: { allow: ["*"] } }
   |                                     ^^^^"#;
    assert_eq!(shown("local: true,", "local: true, attributes: { user: { header: x-user } },"), expected);
}

#[test]
fn a_choice_that_is_not_built_yet() {
    let expected = r#"error: `shadow` is not built yet
  --> policy.yaml:14:50
   |
14 |   app: { local: true, plan: pro, access: { mode: shadow, allow: ["*"] } }
   |                                                  ^^^^^^"#;
    assert_eq!(shown("allow: [\"*\"]", "mode: shadow, allow: [\"*\"]"), expected);
}

#[test]
fn a_target_that_does_not_exist() {
    let expected = r#"error: there is no model `lage`
  --> policy.yaml:10:30
   |
10 |   chat: { targets: [{ model: lage }, { model: small }] }
   |                              ^^^^
   = help: did you mean `large`?"#;
    assert_eq!(shown("{ model: large }, ", "{ model: lage }, "), expected);
}

#[test]
fn a_plan_that_does_not_exist() {
    let expected = r#"error: there is no plan `free`
  --> policy.yaml:14:29
   |
14 |   app: { local: true, plan: free, access: { allow: ["*"] } }
   |                             ^^^^
   = help: this policy has `pro`"#;
    assert_eq!(shown("plan: pro,", "plan: free,"), expected);
}

#[test]
fn a_key_in_the_policy() {
    let expected = r#"error: a key never stands in a policy: it comes from `fromEnv` or `fromFile`
 --> policy.yaml:5:18
  |
5 |   openai: { key: ***
  |                  ^
  = help: write `key: { fromEnv: NAME }` or `key: { fromFile: /PATH }`"#;
    assert_eq!(shown("{ fromEnv: OPENAI_API_KEY }", "hunter2"), expected);
}

#[test]
fn a_key_in_a_pool() {
    let expected = r#"error: a key never stands in a policy: it comes from `fromEnv` or `fromFile`
 --> policy.yaml:5:31
  |
5 |   openai: { keys: [{ name: a, ***
  |                               ^
  = help: known here: name, fromEnv, fromFile"#;
    assert_eq!(shown("key: { fromEnv: OPENAI_API_KEY }", "keys: [{ name: a, value: hunter2 }]"), expected);
}

#[test]
fn a_target_without_a_condition_that_ever_holds() {
    let expected = r#"error: no call has more than 8000 and less than 8000 tokens: this never holds
  --> policy.yaml:10:73
   |
10 |   chat: { targets: [{ when: { inputTokensAbove: 8000, inputTokensBelow: 8000 }, model: large }, { model: small }] }
   |                                                                         ^^^^
   = help: for one or the other write two targets, each with its own `when`"#;
    let when = "{ when: { inputTokensAbove: 8000, inputTokensBelow: 8000 }, model: large }";
    assert_eq!(shown("{ model: large }", when), expected);
}

#[test]
fn a_condition_on_a_limit_that_nobody_has() {
    let expected = r#"error: no tenant that may use `chat` has a limit `rpn`
  --> policy.yaml:10:46
   |
10 |   chat: { targets: [{ when: { budgetBelow: { rpn: 20% } }, model: large }, { model: small }] }
   |                                              ^^^
   = help: did you mean `rpm`?"#;
    assert_eq!(shown("{ model: large }", "{ when: { budgetBelow: { rpn: 20% } }, model: large }"), expected);
}

#[test]
fn a_timeout_of_the_whole_call_at_a_model() {
    let expected = r#"error: unknown field `total`
 --> policy.yaml:8:24
  |
8 |   large: { timeouts: { total: 5s }, provider: openai }
  |                        ^^^^^
  = help: `total` is the whole call's: say it at a route or in `defaults`"#;
    assert_eq!(shown("large: {", "large: { timeouts: { total: 5s },"), expected);
}

#[test]
fn a_hedge_without_a_shape() {
    let expected = r#"error: expected a map, found text
  --> policy.yaml:10:18
   |
10 |   chat: { hedge: p95, targets: [{ model: large }, { model: small }] }
   |                  ^^^
   = help: write `{ after: p95 }` or `{ after: 2s, maxShare: 0.05 }`"#;
    assert_eq!(shown("chat: {", "chat: { hedge: p95,"), expected);
}

#[test]
fn a_key_that_looks_like_one() {
    let expected = r#"error: a key never stands in a policy: it comes from `fromEnv` or `fromFile`
 --> policy.yaml:5:20
  |
5 |   openai: { key: { ***
  |                    ^
  = help: write `key: { fromEnv: NAME }` or `key: { fromFile: /PATH }`"#;
    assert_eq!(shown("{ fromEnv: OPENAI_API_KEY }", "{ value: sk-proj-a1b2c3d4e5f6 }"), expected);
}

#[test]
fn a_key_where_its_variable_belongs() {
    let expected = r#"error: this names neither an environment variable nor a file
 --> policy.yaml:5:18
  |
5 |   openai: { key: ***
  |                  ^
  = help: write the variable's name, `key: { fromEnv: OPENAI_API_KEY }`, not what it holds"#;
    assert_eq!(shown("OPENAI_API_KEY", "sk-proj-a1b2c3d4e5f6"), expected);
}

#[test]
fn a_time_without_its_unit() {
    let expected = r#"error: expected a window with its unit, such as 1m, found a number
  --> policy.yaml:12:47
   |
12 |   pro: { limits: { rpm: { requests: 100, per: 60, each: user } } }
   |                                               ^^
   = help: write a whole number and a unit: 30s, 1m, 2h, 1d; or day, week, month"#;
    assert_eq!(shown("per: 1m", "per: 60"), expected);
}

#[test]
fn a_price_in_nano_dollars() {
    let expected = r#"error: this price is too large
 --> policy.yaml:7:36
  |
7 |   small: { price: [{ inputPerMTok: "2500000000", outputPerMTok: "8" }], provider: openai, name: gpt-small }
  |                                    ^^^^^^^^^^^^
  = help: a million tokens cost less than 10000000 US dollars"#;
    assert_eq!(
        shown("small: {", "small: { price: [{ inputPerMTok: \"2500000000\", outputPerMTok: \"8\" }],"),
        expected
    );
}

#[test]
fn a_price_without_quotes() {
    let expected = r#"error: expected a price in quotes, such as "2.00", found a number
 --> policy.yaml:7:36
  |
7 |   small: { price: [{ inputPerMTok: 2.50, outputPerMTok: "8" }], provider: openai, name: gpt-small }
  |                                    ^^^^
  = help: write US dollars per million tokens: "2.00", at most nine digits after the point"#;
    assert_eq!(
        shown("small: {", "small: { price: [{ inputPerMTok: 2.50, outputPerMTok: \"8\" }],"),
        expected
    );
}

#[test]
fn a_boolean_of_yaml_1_1() {
    let expected = r#"error: `yes` is not a boolean
  --> policy.yaml:14:17
   |
14 |   app: { local: yes, plan: pro, access: { allow: ["*"] } }
   |                 ^^^
   = help: write true or false"#;
    assert_eq!(shown("local: true", "local: yes"), expected);
}

#[test]
fn a_target_without_its_field() {
    let expected = r#"error: expected a map, found text
  --> policy.yaml:10:21
   |
10 |   chat: { targets: [large, { model: small }] }
   |                     ^^^^^
   = help: write `{ model: NAME }`"#;
    assert_eq!(shown("[{ model: large }, { model: small }]", "[large, { model: small }]"), expected);
}

#[test]
fn a_name_twice_in_one_map() {
    let expected = r#"error: `small` is written twice in one map
 --> policy.yaml:8:3
  |
8 |   small: { provider: openai }
  |   ^^^^^
  = help: keep one of them"#;
    assert_eq!(shown("  large: {", "  small: {"), expected);
}

#[test]
fn an_address_with_a_password() {
    let expected = r#"error: this base URL must not hold a user name or password; keys come from `fromEnv` or `fromFile`
 --> policy.yaml:5:22
  |
5 |   openai: { baseUrl: "https://**********@example.com", key: { fromEnv: OPENAI_API_KEY } }
  |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: such as https://api.example.com/v1"#;
    assert_eq!(shown("{ key:", "{ baseUrl: \"https://me:hunter2@example.com\", key:"), expected);
}

#[test]
fn a_tab() {
    let expected = r#"error: this is not YAML: tabs disallowed within this context (block indentation)
  --> policy.yaml:10:1
   |
10 |  chat: { targets: [{ model: large }, { model: small }] }
   | ^
   = help: indent with spaces"#;
    assert_eq!(shown("  chat:", "\tchat:"), expected);
}

#[test]
fn a_file_tells_all_its_faults_in_one_go() {
    let text = r#"apiVersion: egret.dev/v1alpha1
kind: Policy
defaults: { timeouts: { connect: 3, totl: 5s } }
providers:
  openai: { key: sk-abc, apis: [chat, chats], streamUsage: sometimes }
  house: { baseUrl: "ftp://x", mock: {} }
models:
  a: { provider: opnai, contextTokens: 0 }
  b: { provider: openai, maxOutputTokens: many, price: [{ inputPerMTok: 1, outputPerMTok: "x" }] }
  c d: { provider: openai }
routes:
  chat: { strategy: fasted, targets: [{ model: x }, { modell: a }] }
  none: { targets: [] }
plans:
  pro: { limits: { rpm: { requests: 0, per: 1 }, tpm: { tokens: 5, per: month } } }
tenants:
  t: { match: [{ name: ci }, { apiKeySha256: abc }], plan: prp, access: { allow: chat, mode: shadow } }
  u: { local: on, limits: { x: {}, y: { concurrent: 1, per: 1m, each: usr } } }
"#;
    let lines: Vec<u32> = faults(text)
        .iter()
        .filter(|fault| fault.contains(" error: "))
        .map(|fault| fault.split(' ').next().unwrap().parse().unwrap())
        .collect();
    let expected =
        [3, 3, 5, 5, 5, 6, 6, 8, 8, 9, 9, 9, 10, 12, 12, 12, 13, 15, 15, 17, 17, 17, 17, 17, 18, 18, 18, 18];
    assert_eq!(lines, expected, "{:#?}", faults(text));
}
