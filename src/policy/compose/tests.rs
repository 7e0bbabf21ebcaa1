//! What overlays make of policies: the rules, one test each, and what holds for any policy.

mod faults;
mod laws;
mod manual;

use super::*;
use crate::policy::diagnostic::Diagnostics;

const BASE: &str = r#"
apiVersion: egret.dev/v1alpha1
kind: Policy
defaults:
  timeouts: { connect: 3s, total: 600s }
  reserveOutput: { cap: 4096 }
providers:
  openai: { key: { fromEnv: OPENAI_API_KEY }, limits: { rpm: { requests: 1000, per: 1m } } }
  local: { dialect: openai, baseUrl: "http://127.0.0.1:8000/v1" }
models:
  small: { provider: openai, price: [{ inputPerMTok: "1.00", outputPerMTok: "2.00" }] }
  large: { provider: openai }
routes:
  chat: { targets: [{ model: large }, { model: small }] }
tenants:
  app:
    local: true
    access: { allow: [chat, small], deny: [large] }
    limits:
      tpm: { tokens: 200000, per: 1m, onExceed: { clamp: { atLeast: 256 } } }
      month: { usd: "500.00", per: month, timeZone: Europe/Berlin }
"#;

/// An overlay's text, whose fields begin in line 3.
fn overlay(text: &str) -> String {
    let text = text.replace("\n        ", "\n");
    format!("apiVersion: egret.dev/v1alpha1\nkind: Policy\n{}\n", text.trim_start())
}

fn sources(base: &str, overlays: &[&str]) -> Sources {
    overlays.iter().enumerate().fold(Sources::single("policy.yaml", base), |sources, (n, text)| {
        sources.overlaid([(format!("over/{n}.yaml").into(), text.as_bytes().to_vec())])
    })
}

/// The tree under a path, or that it is not there; spans and the order of keys left away.
fn tree(sources: &Sources) -> serde_json::Value {
    let mut found = Findings::new(sources);
    let documents = gathered(sources, &mut found);
    if found.errors() > 0 {
        panic!("{}", found.finish(None::<()>).unwrap_err());
    }
    let mut fields = serde_json::Map::new();
    for (key, value) in documents.iter().flat_map(|document| document.entries().unwrap()) {
        let again = fields.insert(key.text.clone(), bare(value));
        assert!(again.is_none() || HEAD.iter().any(|(name, _)| *name == key.text), "{} twice", key.text);
    }
    fields.into()
}

fn bare(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        // As text, so that no number is taken for another.
        Value::Whole(value) => format!("whole {value}").into(),
        Value::Fraction(value) => format!("fraction {value:?}").into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(bare).collect(),
        Value::Map(entries) => entries.iter().map(|(key, value)| (key.text.clone(), bare(value))).collect(),
    }
}

/// What stands at a path of the base policy after overlays, as JSON.
fn at(path: &str, overlays: &[&str]) -> String {
    let overlays: Vec<String> = overlays.iter().map(|text| overlay(text)).collect();
    let overlays: Vec<&str> = overlays.iter().map(String::as_str).collect();
    let tree = tree(&sources(BASE, &overlays));
    tree.pointer(path).map_or_else(|| "nothing".to_owned(), |value| value.to_string().replace('"', ""))
}

#[test]
fn a_scalar_takes_the_place_of_one_and_its_neighbours_stay() {
    let over = "tenants: { app: { limits: { month: { usd: \"50.00\" } } } }";
    assert_eq!(at("/tenants/app/limits/month", &[over]), "{per:month,timeZone:Europe/Berlin,usd:50.00}");
    assert_eq!(at("/tenants/app/limits/tpm/tokens", &[over]), "whole 200000");
}

#[test]
fn maps_merge_by_name_at_every_level() {
    let over = "
        defaults: { timeouts: { total: 60s } }
        plans: { pro: { limits: { rpm: { requests: 5, per: 1m } } } }
        tenants: { web: { plan: pro }, app: { plan: pro } }";
    assert_eq!(at("/defaults/timeouts", &[over]), "{connect:3s,total:60s}");
    assert_eq!(at("/plans/pro/limits/rpm/requests", &[over]), "whole 5");
    assert_eq!(at("/tenants/web", &[over]), "{plan:pro}");
    assert_eq!(at("/tenants/app/local", &[over]), "true");
    assert_eq!(at("/tenants/app/plan", &[over]), "pro");
}

#[test]
fn a_list_takes_the_place_of_one_whole() {
    let over = "
        tenants: { app: { access: { allow: [large] } } }
        models: { small: { price: [] } }";
    assert_eq!(at("/tenants/app/access", &[over]), "{allow:[large],deny:[large]}");
    assert_eq!(at("/models/small/price", &[over]), "[]");
}

#[test]
fn a_choice_takes_the_place_of_one_whole_with_all_that_it_takes() {
    let over = "
        defaults: { reserveOutput: { expect: 100 } }
        providers: { openai: { key: { fromFile: /run/key } } }
        tenants: { app: { limits: { tpm: { onExceed: { queue: { maxWait: 5s } } } } } }";
    assert_eq!(at("/defaults/reserveOutput", &[over]), "{expect:whole 100}");
    assert_eq!(at("/providers/openai/key", &[over]), "{fromFile:/run/key}");
    assert_eq!(at("/tenants/app/limits/tpm/onExceed", &[over]), "{queue:{maxWait:5s}}");
    let word = "tenants: { app: { limits: { tpm: { onExceed: reject } } } }";
    assert_eq!(at("/tenants/app/limits/tpm/onExceed", &[over, word]), "reject");
}

#[test]
fn what_a_limit_counts_takes_the_place_of_what_it_counted() {
    let over = "tenants: { app: { limits: { month: { tokens: 5000000 } } } }";
    assert_eq!(
        at("/tenants/app/limits/month", &[over]),
        "{per:month,timeZone:Europe/Berlin,tokens:whole 5000000}"
    );
    let at_once = "tenants: { app: { limits: { month: { concurrent: 5 } } } }";
    assert_eq!(at("/tenants/app/limits/month", &[at_once]), "{concurrent:whole 5}");
}

#[test]
fn an_endpoint_takes_the_place_of_another_and_a_pool_that_of_a_key() {
    let over = "
        allowMock: true
        providers:
          local: { mock: { says: hello } }
          openai: { keys: [{ name: a, fromEnv: A }] }";
    assert_eq!(at("/providers/local", &[over]), "{dialect:openai,mock:{says:hello}}");
    assert_eq!(at("/providers/openai/key", &[over]), "nothing");
    assert_eq!(at("/providers/openai/keys", &[over]), "[{fromEnv:A,name:a}]");
    let back = "providers: { local: { baseUrl: \"http://10.0.0.1/v1\" } }";
    assert_eq!(at("/providers/local", &[over, back]), "{baseUrl:http://10.0.0.1/v1,dialect:openai}");
}

#[test]
fn what_is_deleted_is_gone_be_it_a_thing_or_a_field() {
    let over = "
        providers: { local: { $patch: delete } }
        tenants: { app: { limits: { tpm: { $patch: delete }, month: { timeZone: { $patch: delete } } } } }";
    assert_eq!(at("/providers/local", &[over]), "nothing");
    assert_eq!(at("/tenants/app/limits", &[over]), "{month:{per:month,usd:500.00}}");
}

#[test]
fn a_whole_section_is_deleted_or_replaced() {
    let over = "
        routes: { $patch: delete }
        providers: { $patch: replace, only: { preset: openai } }";
    assert_eq!(at("/routes", &[over]), "nothing");
    assert_eq!(at("/providers", &[over]), "{only:{preset:openai}}");
}

#[test]
fn a_map_is_replaced_whole_where_that_is_said() {
    let over = "tenants: { app: { limits: { $patch: replace, rpm: { requests: 5, per: 1m } } } }";
    assert_eq!(at("/tenants/app/limits", &[over]), "{rpm:{per:1m,requests:whole 5}}");
    assert_eq!(at("/tenants/app/local", &[over]), "true");
}

#[test]
fn replacing_what_is_not_there_puts_it_there() {
    let over = "tenants: { web: { $patch: replace, local: false } }";
    assert_eq!(at("/tenants/web", &[over]), "{local:false}");
}

#[test]
fn overlays_are_laid_one_over_the_other_in_their_order() {
    let amounts = ["50.00", "5.00"]
        .map(|usd| format!("tenants: {{ app: {{ limits: {{ month: {{ usd: \"{usd}\" }} }} }} }}"));
    let [first, second] = amounts.each_ref().map(String::as_str);
    assert_eq!(at("/tenants/app/limits/month/usd", &[first, second]), "5.00");
    assert_eq!(at("/tenants/app/limits/month/usd", &[second, first]), "50.00");
    let [gone, back] = ["models: { large: { $patch: delete } }", "models: { large: { provider: local } }"];
    assert_eq!(at("/models/large", &[gone, back]), "{provider:local}");
    assert_eq!(at("/models/large", &[back, gone]), "nothing");
}

#[test]
fn a_policy_of_several_files_is_merged_before_an_overlay_of_several_is_laid_over_it() {
    let file = |name: &str, text: &str| (name.into(), overlay(text).into_bytes());
    let base = [
        file("a.yaml", "models: { m: { provider: p } }\ntenants: { one: { plan: free } }"),
        file("b.yaml", "tenants: { two: { plan: free } }"),
    ];
    let over = [
        file("over/a.yaml", "tenants: { two: { plan: pro } }"),
        file(
            "over/b.yaml",
            "tenants: { one: { $patch: delete }, three: { plan: pro } }\nmodels: { m: { provider: q } }",
        ),
    ];
    let tree = tree(&Sources::from_iter(base).overlaid(over));
    assert_eq!(tree["tenants"], serde_json::json!({ "two": { "plan": "pro" }, "three": { "plan": "pro" } }));
    assert_eq!(tree["models"], serde_json::json!({ "m": { "provider": "q" } }));
}

#[test]
fn tests_of_policies_that_lie_in_an_overlay_are_left_out() {
    let with_tests = format!("{}---\nkind: PolicyTest\ntests: {{}}\n", overlay("revision: prod"));
    assert_eq!(tree(&sources(BASE, &[&with_tests]))["revision"], "prod");
}

/// Fields of a limit that an overlay exchanges are those that its spec has.
#[test]
fn what_takes_anothers_place_are_fields_of_the_language() {
    let policy = shape_of::<spec::Policy>();
    let of = |path: &[&str]| path.iter().fold(&policy, |shape, key| shape.at(key).unwrap()).clone();
    let types = [of(&["tenants", "", "limits", ""]), of(&["providers", ""])];
    for (name, fields, gone) in merge::EXCHANGED {
        let shape = types.iter().find(|shape| matches!(shape, Shape::Fields(of, _) if *of == name));
        let shape = shape.unwrap_or_else(|| panic!("no type {name}"));
        let mut all = fields.iter().chain(gone);
        assert!(all.all(|field| shape.at(field).is_some()), "{name}: {fields:?} {gone:?}");
    }
}
