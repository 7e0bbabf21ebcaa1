//! `when` of routes and targets.

use super::*;
use crate::clock::{Time, TimeZone};
use crate::ids::{LimitKey, PlanId};
use crate::policy::snapshot::{TimeOfDay, When};

/// The good policy with a condition on the first target of its route.
fn conditioned(when: &str) -> String {
    with("{ model: large }", &format!("{{ when: {{ {when} }}, model: large }}"))
}

/// The same with a tenant whose calls say what they are about.
fn named(when: &str) -> String {
    let attributes = "attributes: { task: { header: x-task }, priority: { header: x-priority }, \
                      skills: { metadata: skills } },";
    conditioned(when).replace("local: true,", &format!("local: true, {attributes}"))
}

fn when(written: &str) -> When {
    let (snapshot, warnings) = good(&named(written));
    assert_eq!(warnings, [""; 0]);
    *snapshot.routes["chat"].targets[0].when.clone().unwrap()
}

/// The errors that a condition brings, without their places.
fn errors(when: &str) -> Vec<String> {
    let told = compile(&Sources::single("policy.yaml", named(when))).err();
    let errors = told.iter().flat_map(|told| told.iter()).filter(|found| found.severity == Severity::Error);
    errors.map(|found| found.message.clone()).collect()
}

fn texts(texts: &[&str]) -> Vec<Box<str>> {
    texts.iter().map(|text| Box::from(*text)).collect()
}

#[test]
fn a_condition_says_what_has_to_hold() {
    let of = when(
        "inputTokensBelow: 8000, inputTokensAbove: 100, task: [summarization, extraction], priority: [low], \
         skills: [code], plan: [pro], header: { X-Env: [staging, \"a b\"], x-any: [] }, budgetBelow: { rpm: 20% }",
    );
    let expected = When {
        input_tokens_below: Some(8000),
        input_tokens_above: Some(100),
        task: texts(&["summarization", "extraction"]),
        priority: texts(&["low"]),
        skills: texts(&["code"]),
        plan: vec![PlanId::from("pro")],
        header: vec![
            ("x-env".parse().unwrap(), texts(&["staging", "a b"])),
            ("x-any".parse().unwrap(), Vec::new()),
        ],
        budget_below: vec![(LimitKey::from("rpm"), 20)],
        time_of_day: None,
    };
    assert_eq!(of, expected);
}

#[test]
fn a_route_has_conditions_too() {
    let (snapshot, warnings) = good(&with("chat: {", "chat: { when: { plan: [pro] }, "));
    assert_eq!(warnings, [""; 0]);
    let route = &snapshot.routes["chat"];
    assert_eq!(route.when.as_ref().unwrap().plan, [PlanId::from("pro")]);
    assert!(route.targets.iter().all(|target| target.when.is_none()));
    assert!(snapshot.routes["large"].when.is_none(), "a model by its own name has none");
}

#[test]
fn a_time_of_the_day_may_go_over_midnight_and_is_of_utc_unless_a_zone_is_named() {
    let of = |written: &str| when(&format!("timeOfDay: {{ {written} }}")).time_of_day.unwrap();
    let time = |hour, minute| Time::new(hour, minute, 0, 0).unwrap();
    let night = of("from: \"22:00\", to: \"06:30\"");
    let expected = TimeOfDay {
        from: time(22, 0),
        to: time(6, 30),
        days: [true; 7],
        zone: std::sync::Arc::new(TimeZone::UTC),
    };
    assert_eq!(night, expected);
    let berlin = of("from: \"09:00\", to: \"00:00\", timeZone: Europe/Berlin, days: [sun, tue, tue]");
    assert_eq!(berlin.days, [false, true, false, false, false, false, true]);
    assert_eq!(*berlin.zone, TimeZone::get("Europe/Berlin").unwrap());
}

#[test]
fn a_time_of_the_day_that_makes_no_sense_is_an_error() {
    let of = |written: &str| errors(&format!("timeOfDay: {{ {written} }}"));
    assert_eq!(of("from: 22:00, to: \"06:00\""), ["a time of the day is written in quotes"]);
    assert_eq!(of("from: \"22:00\", to: \"22:00\""), ["it ends when it begins: this never holds"]);
    assert_eq!(of("from: \"22:00\", to: \"24:00\""), ["this is no time of the day"]);
    assert_eq!(of("from: \"22:00\""), ["`to` is missing"]);
    assert_eq!(
        of("from: 22, to: \"06:00\""),
        ["expected a time of the day in quotes, such as \"22:00\", found a number"]
    );
    let rest = "from: \"22:00\", to: \"06:00\"";
    assert_eq!(of(&format!("{rest}, days: []")), ["nothing is in this list: it never holds"]);
    assert_eq!(of(&format!("{rest}, days: [monday]")), ["unknown choice `monday`"]);
    assert_eq!(of(&format!("{rest}, timeZone: Berlin")).len(), 1);
}

#[test]
fn a_condition_that_says_nothing_is_an_error() {
    assert_eq!(errors(""), ["this condition says nothing"]);
    for list in ["task", "priority", "skills", "plan"] {
        assert_eq!(errors(&format!("{list}: []")), ["nothing is in this list: it never holds"]);
    }
    for map in ["header", "budgetBelow"] {
        assert_eq!(errors(&format!("{map}: {{}}")), ["nothing is named here"]);
    }
    assert_eq!(errors("tasks: [a]"), ["unknown field `tasks`"]);
}

#[test]
fn a_condition_that_can_never_hold_is_an_error() {
    let never =
        |above: u32, below: u32| errors(&format!("inputTokensAbove: {above}, inputTokensBelow: {below}"));
    let message = |above: u32, below: u32| {
        format!("no call has more than {above} and less than {below} tokens: this never holds")
    };
    assert_eq!(never(9, 8), [message(9, 8)]);
    assert_eq!(never(8, 8), [message(8, 8)]);
    assert_eq!(never(7, 8), [message(7, 8)], "there is no whole number between");
    assert_eq!(never(6, 8), [""; 0]);
    assert_eq!(errors("inputTokensBelow: 0"), ["zero makes no sense here"]);
    assert_eq!(errors("inputTokensAbove: 0"), [""; 0]);
}

#[test]
fn plans_of_conditions_are_those_of_the_policy() {
    assert_eq!(errors("plan: [pro, prp]"), ["there is no plan `prp`"]);
}

#[test]
fn no_condition_looks_into_a_credential() {
    let header = |name: &str| errors(&format!("header: {{ {name}: [a] }}"));
    for name in ["authorization", "Authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"] {
        assert_eq!(
            header(name),
            [format!("header `{name}` carries a credential, into which no policy looks")]
        );
    }
    assert_eq!(header("\"x env\""), ["`x env` cannot be the name of a header"]);
    assert_eq!(header("\"\""), ["`` cannot be the name of a header"]);
    assert_eq!(errors("header: { x-env: [a], X-Env: [b] }"), ["header `x-env` is named twice"]);
    assert_eq!(errors("header: { x-env: staging }"), ["expected a list, found text"]);
    for value in ["\"\"", "\" a\"", "\"a\\nb\"", "é"] {
        assert_eq!(errors(&format!("header: {{ x-env: [{value}] }}")), ["no header has this value"]);
    }
}

#[test]
fn words_that_calls_name_are_plain() {
    assert_eq!(errors("task: [\"a b\"]"), ["`a b` cannot be the name of a task"]);
    assert_eq!(errors("priority: [\"\"]"), ["`` cannot be the name of a priority"]);
    assert_eq!(errors("skills: [\"code,vision\"]"), ["`code,vision` cannot be the name of a skill"]);
    assert_eq!(errors("task: [5]"), ["expected text, found the number 5"]);
    assert_eq!(errors("task: summarization"), ["expected a list, found text"]);
}

#[test]
fn a_condition_on_a_budget_needs_a_limit_of_those_who_may_use_the_route() {
    let of = |limit: &str| errors(&format!("budgetBelow: {{ {limit} }}"));
    assert_eq!(of("rpm: 20%"), [""; 0]);
    assert_eq!(of("month: 20%"), ["no tenant that may use `chat` has a limit `month`"]);
    assert_eq!(of("rpm: 0%"), ["what is left of a limit is from 1% to 100%"]);
    assert_eq!(of("rpm: 20"), ["expected a part in percent, such as 20%, found a number"]);

    // One tenant that has it is enough, but it has to be one that may use the route.
    let other = |allowed: &str| {
        let other = "  other: { match: [], access: { allow: [NAME] }, limits: { month: { requests: 5, per: month } } }";
        format!("{}{}\n", named("budgetBelow: { month: 20% }"), other.replace("NAME", allowed))
    };
    assert!(compile(&Sources::single("policy.yaml", other("chat"))).is_ok());
    assert_eq!(faults(&other("small"))[0], "10 error: no tenant that may use `chat` has a limit `month`");
    // Where nobody may use the route, those of all are known.
    let nobody = named("budgetBelow: { rpm: 20% }").replace("allow: [\"*\"]", "allow: [small]");
    assert!(compile(&Sources::single("policy.yaml", nobody)).is_ok());
}

#[test]
fn of_calls_at_once_no_budget_is_left() {
    let text = named("budgetBelow: { open: 20% }")
        .replace("plan: pro,", "plan: pro, limits: { open: { concurrent: 5 } },");
    assert_eq!(
        faults(&text),
        ["10 error: limit `open` of tenant `app` counts calls at once, of which no budget is left"]
    );
}

#[test]
fn a_condition_on_what_no_call_says_is_warned_of() {
    for what in ["task", "priority", "skills"] {
        let written = format!("{what}: [a]");
        let message = format!(
            "no tenant that may use `chat` says where its calls name their `{what}`: this never holds"
        );
        assert_eq!(good(&conditioned(&written)).1, [&*message]);
        assert_eq!(good(&named(&written)).1, [""; 0]);
        let at_route = with("chat: {", &format!("chat: {{ when: {{ {written} }}, "));
        assert_eq!(good(&at_route).1, [message]);
    }
}

#[test]
fn a_list_without_a_last_resort_is_warned_of() {
    let all = |strategy: &str| {
        conditioned("plan: [pro]")
            .replace("{ model: small }", "{ model: small, when: { inputTokensBelow: 5 } }")
            .replace("chat: {", &format!("chat: {{ strategy: {strategy},"))
    };
    let message = "each target of route `chat` has a `when`: calls for which none holds are refused";
    assert_eq!(good(&all("ordered")).1, [message]);
    assert_eq!(good(&all("fastest")).1, [""; 0]);
    assert_eq!(good(&conditioned("plan: [pro]")).1, [""; 0]);
}
