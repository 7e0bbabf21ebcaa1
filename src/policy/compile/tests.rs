//! Rules of the policy language, one test each; what whole findings look like is in `golden`.

mod attributes;
mod budgets;
mod conditions;
mod dialects;
mod exceed;
mod golden;
mod keys;
mod mock;
mod provider_limits;
mod reference;
mod resilience;
mod routes;
mod tenants;
mod timeouts;

use super::*;
use crate::clock::Timestamp;
use crate::dialect::provider::{AuthHeader, StreamUsage};
use crate::dialect::{Api, ApiSet};
use crate::mock::{ErrorCode, Fault};
use crate::policy::diagnostic::Severity;
use crate::policy::schema;
use crate::policy::snapshot::Timeouts;
use crate::pricing::{PerMillion, Price};
use crate::secret::SecretRef;

/// A small policy that is good without a warning; tests change one thing.
const GOOD: &str = r#"
apiVersion: egret.dev/v1alpha1
kind: Policy
providers:
  openai: { key: { fromEnv: OPENAI_API_KEY } }
models:
  small: { provider: openai, name: gpt-small }
  large: { provider: openai }
routes:
  chat: { targets: [{ model: large }, { model: small }] }
plans:
  pro: { limits: { rpm: { requests: 100, per: 1m, each: user } } }
tenants:
  app: { local: true, plan: pro, access: { allow: ["*"] } }
"#;

/// The good policy with one text in place of another.
fn with(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old}");
    GOOD.replace(old, new)
}

/// Compiles; gives the snapshot and the first lines of its warnings. The schema accepts it, too.
fn good(text: &str) -> (Snapshot, Vec<String>) {
    match compile(&Sources::single("policy.yaml", text)) {
        Ok((snapshot, warnings)) => {
            schema::tests::accepts_all_of(text);
            assert!(warnings.iter().all(|warning| warning.severity == Severity::Warning));
            (snapshot, warnings.into_iter().map(|warning| warning.message).collect())
        }
        Err(found) => panic!("{found}"),
    }
}

/// Everything that is wrong: line, severity's initial and message.
fn faults(text: &str) -> Vec<String> {
    let found = compile(&Sources::single("policy.yaml", text)).unwrap_err();
    let line = |d: &Diagnostic| d.place.as_ref().map_or(0, |place| place.line);
    found.iter().map(|d| format!("{} {}: {}", line(d), d.severity.name(), d.message)).collect()
}

/// The one error that this change brings.
fn fault_of(old: &str, new: &str) -> String {
    let text = with(old, new);
    let faults = faults(&text);
    let errors: Vec<_> = faults.iter().filter(|fault| fault.contains(" error: ")).collect();
    assert_eq!(errors.len(), 1, "{faults:#?}");
    errors[0].split_once(": ").unwrap().1.to_owned()
}

#[test]
fn a_good_policy_compiles_without_a_warning() {
    let (snapshot, warnings) = good(GOOD);
    assert_eq!(warnings, [""; 0]);
    assert_eq!(snapshot.models["small"].name.as_ref(), "gpt-small");
    assert_eq!(snapshot.models["large"].name.as_ref(), "large");
    let openai = &snapshot.providers["openai"];
    assert_eq!(openai.endpoint.to_string(), "https://api.openai.com/v1");
    assert_eq!(openai.auth, AuthHeader::Bearer);
    assert_eq!(openai.keys[0].at, Some(SecretRef::Env("OPENAI_API_KEY".into())));
    assert_eq!(openai.stream_usage, StreamUsage::Ask);
}

#[test]
fn every_model_is_an_implicit_route_and_an_explicit_one_of_its_name_shadows_it() {
    let (snapshot, _) = good(&with("chat:", "large:"));
    let targets = |route: &str| -> Vec<&str> {
        snapshot.routes[route].targets.iter().map(|target| target.model.id.as_str()).collect()
    };
    assert_eq!(targets("small"), ["small"]);
    // `model: large` in its targets is the model, not the route itself.
    assert_eq!(targets("large"), ["large", "small"]);
}

#[test]
fn a_provider_that_is_no_preset_needs_a_dialect_and_an_address() {
    let found = faults(&with("openai: {", "house: {").replace("provider: openai", "provider: house"));
    assert_eq!(
        found,
        [
            "5 error: provider `house` has no `baseUrl`",
            "5 error: provider `house` has no `dialect`, and its name is no preset"
        ]
    );
    let house =
        "openai: { preset: azure, baseUrl: https://house.example.com/v1, apis: [chat], streamUsage: never,";
    let (snapshot, _) = good(&with("openai: {", house));
    let provider = &snapshot.providers["openai"];
    assert_eq!(provider.auth, AuthHeader::ApiKey);
    assert_eq!(provider.apis, ApiSet::of(&[Api::Chat]));
    assert_eq!(provider.stream_usage, StreamUsage::Never);
}

#[test]
fn a_preset_without_a_key_is_warned_of() {
    let (_, warnings) = good(&with("{ key: { fromEnv: OPENAI_API_KEY } }", "{}"));
    assert_eq!(warnings, ["provider `openai` has no key: openai will refuse its calls"]);
}

#[test]
fn a_mock_needs_allow_mock_and_no_address() {
    let mock = "openai: { mock: { faults: [ok, { status: { code: 429, retryAfter: 7s } }, html, { slowHead: 2s }] } }";
    let text = with("openai: { key: { fromEnv: OPENAI_API_KEY } }", mock);
    assert_eq!(
        faults(&text),
        ["5 error: a scripted provider serves only where the policy says `allowMock: true`"]
    );
    let (snapshot, _) = good(&text.replace("kind: Policy", "kind: Policy\nallowMock: true"));
    let provider = &snapshot.providers["openai"];
    assert_eq!(provider.endpoint.to_string(), "memory:openai");
    let status = Fault::Status { status: 429, retry_after: Some(7) };
    let slow = Fault::SlowHead { delay: Duration::from_secs(2) };
    assert_eq!(provider.mock.as_ref().unwrap().faults, [Fault::None, status, Fault::Html, slow]);

    let both = with("openai: {", "openai: { mock: {}, baseUrl: \"http://localhost\",")
        .replace("kind: Policy", "kind: Policy\nallowMock: true");
    let address = "`baseUrl` makes no sense beside `mock`, which stands in place of an address";
    assert_eq!(faults(&both), [format!("6 error: {address}")]);

    let keyed =
        with("openai: {", "openai: { mock: {},").replace("kind: Policy", "kind: Policy\nallowMock: true");
    let (snapshot, _) = good(&keyed);
    assert!(snapshot.providers["openai"].keys[0].at.is_some());
}

#[test]
fn a_name_defined_twice_across_files_is_an_error_that_names_both_places() {
    let more = "apiVersion: egret.dev/v1alpha1\nkind: Policy\nmodels: { small: { provider: openai } }\n";
    let files = [("b.yaml", more), ("a.yaml", GOOD)];
    let sources = files.into_iter().map(|(name, text)| (name.into(), text.as_bytes().to_vec())).collect();
    let found = compile(&sources).unwrap_err();
    let finding = found.iter().next().unwrap();
    assert_eq!(finding.message, "model `small` is defined twice");
    let (place, (_, other)) = (finding.place.as_ref().unwrap(), finding.other.as_ref().unwrap());
    assert_eq!((&*place.file, place.line, &*other.file, other.line), ("b.yaml", 3, "a.yaml", 7));
}

#[test]
fn documents_make_one_policy_and_policy_tests_are_skipped() {
    let text = with(
        "routes:",
        "---\nkind: PolicyTest\nanything: [at, all]\n---\napiVersion: egret.dev/v1alpha1\nkind: Policy\nroutes:",
    );
    assert_eq!(good(&text).0.routes.len(), 3);
    let twice = with(
        "routes:",
        "---\napiVersion: egret.dev/v1alpha1\nkind: Policy\nallowMock: true\n---\napiVersion: egret.dev/v1alpha1\nkind: Policy\nallowMock: false\nroutes:",
    );
    assert_eq!(faults(&twice), ["16 error: `allowMock` is said twice in this policy"]);
}

#[test]
fn a_file_that_cannot_be_read_does_not_hide_the_faults_of_the_others() {
    let mock = with("{ key: { fromEnv: OPENAI_API_KEY } }", "{ mock: {} }");
    let text =
        mock.replace("{ model: large }", "{ model: elsewhere }").replace("requests: 100", "requests: 0");
    let broken = "apiVersion: egret.dev/v1alpha1\nkind: Policy\nmodels: [\n";
    let files = [("a.yaml", text.as_str()), ("b.yaml", broken)];
    let sources = files.into_iter().map(|(name, text)| (name.into(), text.as_bytes().to_vec())).collect();
    let found = compile(&sources).unwrap_err();
    let places: Vec<_> =
        found.iter().map(|d| d.place.as_ref().map(|place| (&*place.file, place.line))).collect();
    // `elsewhere` and `allowMock` may stand in the file that cannot be read.
    assert_eq!(places, [Some(("a.yaml", 12)), Some(("b.yaml", 3))], "{found}");
}

#[test]
fn no_providers_models_or_tenants_is_an_error_each() {
    assert_eq!(
        faults("apiVersion: egret.dev/v1alpha1\nkind: Policy\n"),
        [
            "1 error: the policy has no providers",
            "1 error: the policy has no models",
            "1 error: the policy has no tenants"
        ]
    );
}

#[test]
fn what_is_no_policy_is_said_to_be_none() {
    for text in ["", "# nothing\n", "---\n---\n", "kind: PolicyTest\n"] {
        assert_eq!(faults(text).len(), 1, "{text:?}");
        assert!(faults(text)[0].contains("there is no policy here"), "{text:?}");
    }
    assert_eq!(faults("just text"), ["1 error: expected a map, found text"]);
    assert_eq!(faults("[1, 2]"), ["1 error: expected a map, found a list"]);
    assert_eq!(faults("kind: Policy"), ["1 error: `apiVersion` is missing"]);
    assert_eq!(
        faults("apiVersion: v1\nkind: ConfigMap\nmetadata: {}"),
        ["2 error: this egret reads `kind: Policy` and `kind: PolicyTest` only"]
    );
}

#[test]
fn time_spans_have_units_and_sane_bounds() {
    let defaults = |timeouts: &str| {
        with("providers:", &format!("defaults: {{ timeouts: {{ {timeouts} }} }}\nproviders:"))
    };
    let (snapshot, _) = good(&defaults("connect: 500ms, total: 1d"));
    let timeouts = snapshot.routes["chat"].targets[0].timeouts;
    assert_eq!((timeouts.connect, snapshot.routes["chat"].total), (Duration::from_millis(500), DAY));
    assert_eq!(timeouts.answer, Timeouts::default().answer);
    assert_eq!(
        faults(&defaults("connect: 2m, answer: 5, streamIdle: 1 s, total: 9ms")),
        [
            "4 error: this time span must be from 10ms to 1m",
            "4 error: expected a time span with its unit, such as 30s, found a number",
            "4 error: this is no time span",
            "4 error: this time span must be from 10ms to 1d"
        ]
    );
}

#[test]
fn a_routes_timeouts_stand_over_the_defaults_field_by_field() {
    let text = with("providers:", "defaults: { timeouts: { connect: 1s, answer: 7s } }\nproviders:")
        .replace("chat: {", "chat: { timeouts: { answer: 9s },");
    let (snapshot, _) = good(&text);
    let of = |route: &str| {
        let timeouts = snapshot.routes[route].targets[0].timeouts;
        (timeouts.connect.as_secs(), timeouts.answer.as_secs())
    };
    assert_eq!((of("chat"), of("small")), ((1, 9), (1, 7)));
}

#[test]
fn a_key_in_place_of_its_variables_name_is_refused_and_not_shown() {
    for key in ["sk-proj-a1b2c3", "gsk_a1b2c3d4e5", "0123456789abcdef0123456789abcdef", "4711081547110815"] {
        for written in [key.to_owned(), format!("\"{key}\""), format!("|\n      {key}\n    ")] {
            let text = with("OPENAI_API_KEY", &written);
            let found = compile(&Sources::single("policy.yaml", text)).unwrap_err().to_string();
            assert!(!found.contains(key), "{found}");
        }
    }
}

#[test]
fn only_fields_that_would_be_refused_are_forwarded() {
    let key = "fromEnv: OPENAI_API_KEY }";
    let (snapshot, _) = good(&with(key, &format!("{key}, forward: [prompt.id, models]")));
    let forward: Vec<_> = snapshot.providers["openai"].forward.iter().map(|name| &**name).collect();
    assert_eq!(forward, ["models", "prompt"]);
    let fault = fault_of(key, &format!("{key}, forward: [modells]"));
    assert_eq!(fault, "`modells` is no field that would be refused");
}

#[test]
fn prices_and_days_are_quoted() {
    let price = |written: &str| fault_of("small: {", &format!("small: {{ price: [{{ {written} }}], "));
    assert_eq!(
        price("inputPerMTok: 2.00, outputPerMTok: \"8\""),
        "expected a price in quotes, such as \"2.00\", found a number"
    );
    assert_eq!(price("inputPerMTok: \"2,00\", outputPerMTok: \"8\""), "this is no price");
    assert_eq!(price("inputPerMTok: \"2\""), "`outputPerMTok` is missing");
    assert_eq!(price("inputPerMTok: \"10000000\", outputPerMTok: \"8\""), "this price is too large");
    assert_eq!(
        price("inputPerMTok: \"2\", outputPerMTok: \"8\", reasoningPerMTok: \"0.0000000001\""),
        "a price has at most nine digits after the point"
    );
    let day = |day: &str| price(&format!("inputPerMTok: \"2\", outputPerMTok: \"8\", effectiveFrom: {day}"));
    assert_eq!(day("2026-01-01"), "a day is written in quotes");
    assert_eq!(day("\"2026-02-30\""), "this is no day of the calendar");
}

#[test]
fn the_price_that_holds_is_the_latest_that_has_begun() {
    let price = |input: u32, day: &str| format!("{{ inputPerMTok: \"{input}\", outputPerMTok: \"1\"{day} }}");
    let prices = format!(
        "small: {{ price: [{}, {}, {}],",
        price(3, ", effectiveFrom: \"2026-07-01\""),
        price(2, ", effectiveFrom: \"2026-01-01\""),
        price(1, "")
    );
    let (snapshot, _) = good(&with("small: {", &prices));
    let model = &snapshot.models["small"];
    let input_at = |time: &str| model.prices.at(time.parse().unwrap()).map(|listed| &*listed.written.input);
    assert_eq!(input_at("2025-12-31T23:59:59Z"), Some("1"));
    assert_eq!(input_at("2026-01-01T00:00:00Z"), Some("2"));
    assert_eq!(input_at("2026-06-30T23:59:59Z"), Some("2"));
    assert_eq!(input_at("2027-01-01T00:00:00Z"), Some("3"));

    let twice = format!("small: {{ price: [{}, {}],", price(1, ""), price(2, ""));
    assert_eq!(fault_of("small: {", &twice), "two prices hold from the same day on");
}

#[test]
fn a_price_is_charged_as_it_is_written_and_what_is_not_written_is_as_input_or_output() {
    let listed = |more: &str| {
        let price = format!("small: {{ price: [{{ inputPerMTok: \"2.00\", outputPerMTok: \"8\"{more} }}],");
        let (snapshot, _) = good(&with("small: {", &price));
        snapshot.models["small"].prices.at(Timestamp::UNIX_EPOCH).unwrap().clone()
    };
    let amount = |dollars: &str| dollars.parse::<PerMillion>().unwrap();
    let plain = listed("");
    assert_eq!(plain.price, Price::new(amount("2"), amount("8")));
    assert_eq!((&*plain.written.input, plain.written.reasoning), ("2.00", None));

    let full = listed(concat!(
        r#", cacheReadPerMTok: "0.50", cacheWritePerMTok: "2.5", reasoningPerMTok: "9.000000001""#,
        r#", audioInputPerMTok: "40", audioOutputPerMTok: "080.0""#,
    ));
    let expected = Price {
        cache_read: amount("0.5"),
        cache_write: amount("2.5"),
        reasoning: amount("9.000000001"),
        input_audio: amount("40"),
        output_audio: amount("80"),
        ..plain.price
    };
    assert_eq!(full.price, expected);
    assert_eq!(full.written.audio_output.as_deref(), Some("080.0"));
}

#[test]
fn names_have_plain_letters() {
    for wrong in ["\"\"", "-x", "\"a b\"", "ä", "\"a*\"", "(none)", "\"a\\nb\""] {
        let fault = fault_of("chat:", &format!("{wrong}:"));
        assert!(fault.ends_with("cannot be the name of a route"), "{wrong}: {fault}");
    }
    let (snapshot, _) = good(&with("chat:", "meta/Llama-3.3:70b_x@eu:"));
    assert!(snapshot.routes.contains_key("meta/Llama-3.3:70b_x@eu"));
}

#[test]
fn what_refers_to_something_faulty_is_not_at_fault() {
    let text = with("openai: { key", "openai: { kex").replace("requests: 100", "requests: x");
    let faults = faults(&text);
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert!(faults[0].contains("unknown field `kex`"));
    assert!(faults[1].contains("expected a whole number"));
    assert!(faults[2].contains("has no key"));
}

#[test]
fn unreferenced_providers_and_models_are_fine() {
    let text = with(
        "models:",
        "  spare: { dialect: openai, baseUrl: \"http://localhost:8000\" }\nmodels:\n  idle: { provider: spare }",
    );
    assert_eq!(good(&text).1, [""; 0]);
}

#[test]
fn yaml_1_1_booleans_are_refused_where_a_boolean_is_meant() {
    for word in ["yes", "on", "off", "y", "True1"] {
        let fault = fault_of("local: true", &format!("local: {word}"));
        assert_eq!(fault, format!("`{word}` is not a boolean"));
    }
}

#[test]
fn aliases_of_whole_values_work() {
    let text = with("{ requests: 100, per: 1m, each: user }", "&rate { requests: 100, per: 1m }")
        .replace("plan: pro,", "plan: pro, limits: { again: *rate },");
    assert_eq!(good(&text).0.tenants["app"].limits.len(), 2);
}

#[test]
fn the_revision_is_that_of_the_sources_and_the_label_the_authors() {
    let (snapshot, _) = good(&with("kind: Policy", "kind: Policy\nrevision: \"4f2c1a9\""));
    assert_eq!(snapshot.label.as_deref(), Some("4f2c1a9"));
    let sources = Sources::single("policy.yaml", GOOD);
    assert_eq!(good(GOOD).0.revision, sources.revision());
    assert_eq!(
        fault_of("kind: Policy", "kind: Policy\nrevision: 4712"),
        "expected text, found the number 4712"
    );
}

#[test]
fn the_quickstart_compiles_without_a_warning() {
    let (snapshot, warnings) = good(include_str!("../../../policies/quickstart.yaml"));
    assert_eq!(warnings, [""; 0]);
    assert!(snapshot.local.is_some());
}
