//! How the answer is to be made, and what a model does not take of it.

use super::*;

#[test]
fn tools_are_chosen_by_mode_and_name() {
    let chosen = |choice: ToolChoice<'static>, accepts| {
        let request = Request { tools: vec![tool("a"), tool("b")], tool_choice: Some(choice), ..asking() };
        let (body, lost) = encoded(&request, accepts);
        (
            body["toolConfig"]["functionCallingConfig"].clone(),
            body["tools"][0]["functionDeclarations"].clone(),
            lost,
        )
    };
    let free = Accepts::default();
    let both = json!([{ "name": "a" }, { "name": "b" }]);
    assert_eq!(chosen(ToolChoice::Auto, free), (json!({ "mode": "AUTO" }), both.clone(), vec![]));
    assert_eq!(chosen(ToolChoice::None, free), (json!({ "mode": "NONE" }), both.clone(), vec![]));
    let one = || vec![text("b")];
    let any = json!({ "mode": "ANY", "allowedFunctionNames": ["b"] });
    assert_eq!(chosen(ToolChoice::OneOf(one()), free), (any, both.clone(), vec![]));
    let only = json!([{ "name": "b" }]);
    assert_eq!(chosen(ToolChoice::Allowed(one()), free), (json!({ "mode": "AUTO" }), only, vec![]));
    let unforced = Accepts { forced_tool_choice: false, ..free };
    let lost = vec!["tool_choice!".to_owned()];
    assert_eq!(chosen(ToolChoice::Required, unforced), (json!({ "mode": "ANY" }), both, lost));
    assert!(chosen(ToolChoice::Auto, unforced).2.is_empty());
}

#[test]
fn what_a_model_does_not_take_is_lost_unless_it_is_the_default() {
    let sampling = |temperature, top_p, top_k| {
        let request = Request { temperature, top_p, top_k, ..asking() };
        encoded(&request, Accepts { sampling: false, ..Accepts::default() })
    };
    let number = |number| Some(Raw::word(number));
    let (body, lost) = sampling(number("1"), number("1.0"), None);
    assert_eq!((&body["generationConfig"], lost), (&json!({}), vec![]));
    let (body, lost) = sampling(number("0.7"), number("0.9"), number("40"));
    assert_eq!(body["generationConfig"], json!({}));
    assert_eq!(lost, ["temperature!", "top_p!", "top_k!"]);

    let prefilled = Request { turns: vec![said(Speaker::Model, vec![words("x")])], ..asking() };
    let lost = |accepts| encoded(&prefilled, accepts).1;
    assert_eq!(lost(Accepts { prefill: false, ..Accepts::default() }), ["messages!"]);
    assert!(lost(Accepts::default()).is_empty());
}

#[test]
fn formats_are_media_types_and_schemas() {
    let schema = || Format::Schema {
        name: Some(text("n")),
        description: None,
        schema: Raw::word(r#"{"type":"object"}"#),
        strict: Some(true),
    };
    let formatted = |format, json_schema| {
        let request = Request { format: Some(format), ..asking() };
        let (body, lost) = encoded(&request, Accepts { json_schema, ..Accepts::default() });
        (body["generationConfig"].clone(), lost)
    };
    let expected =
        json!({ "responseMimeType": "application/json", "responseJsonSchema": { "type": "object" } });
    assert_eq!(formatted(schema(), true), (expected, vec![]));
    assert_eq!(formatted(schema(), false).1, ["response_format!"]);
    assert_eq!(formatted(Format::Json, false), (json!({ "responseMimeType": "application/json" }), vec![]));
}

#[test]
fn thought_is_asked_for_in_the_form_of_the_model() {
    let thinking = |reasoning, form| {
        let request = Request { reasoning: Some(reasoning), ..asking() };
        let (body, lost) = encoded(&request, Accepts { reasoning: form, ..Accepts::default() });
        (body["generationConfig"].get("thinkingConfig").cloned().unwrap_or_default(), lost)
    };
    let (level, budget) = (ReasoningForm::Effort, ReasoningForm::Budget);
    let told = |name: &str, value: Value| (json!({ "includeThoughts": true, name: value }), vec![]);
    for (effort, word, tokens) in [
        (Effort::Minimal, "MINIMAL", 512),
        (Effort::Low, "LOW", 1024),
        (Effort::Medium, "MEDIUM", 8192),
        (Effort::High, "HIGH", 24_576),
        (Effort::XHigh, "XHIGH", 24_576),
        (Effort::Max, "XHIGH", 24_576),
    ] {
        assert_eq!(thinking(Reasoning::Effort(effort), level), told("thinkingLevel", json!(word)));
        assert_eq!(thinking(Reasoning::Effort(effort), budget), told("thinkingBudget", json!(tokens)));
    }
    for (tokens, word) in
        [(1, "MINIMAL"), (1024, "LOW"), (8192, "MEDIUM"), (20_000, "HIGH"), (u64::MAX, "XHIGH")]
    {
        assert_eq!(thinking(Reasoning::Budget(tokens), level), told("thinkingLevel", json!(word)));
        assert_eq!(
            thinking(Reasoning::Budget(tokens), budget),
            told("thinkingBudget", json!(tokens.min(24_576)))
        );
    }
    assert_eq!(thinking(Reasoning::Auto, budget), told("thinkingBudget", json!(-1)));
    assert_eq!(thinking(Reasoning::Auto, level), (json!({ "includeThoughts": true }), vec![]));
    assert_eq!(thinking(Reasoning::Off, budget), (json!({ "thinkingBudget": 0 }), vec![]));
    let lost = vec!["reasoning_effort".to_owned()];
    assert_eq!(thinking(Reasoning::Off, level), (json!({ "thinkingLevel": "MINIMAL" }), lost.clone()));
    assert_eq!(thinking(Reasoning::Effort(Effort::Low), ReasoningForm::Nothing), (Value::Null, lost));
    assert_eq!(thinking(Reasoning::Auto, ReasoningForm::Nothing), (Value::Null, vec![]));
}

#[test]
fn what_has_no_place_is_lost_by_its_weight() {
    let cached = Part { content: words("x"), cache: Some(Cache::Short) };
    let mut request = Request {
        turns: vec![Turn { speaker: Speaker::User, name: Some(text("Ann")), parts: vec![cached] }],
        tools: vec![Tool { strict: Some(true), cache: Some(Cache::Long), ..tool("a") }],
        seed: Some(Raw::word("99999999999")),
        stop: ["a", "b", "c", "", "d", "e"].map(text).to_vec(),
        metadata: Some(Raw::word("{}")),
        choices: Some(1),
        ..Request::default()
    };
    let expected = ["metadata", "messages.name", "messages.cache_hint", "seed", "tools.strict"];
    let (body, lost) = encoded(&request, Accepts::default());
    assert_eq!(lost, expected);
    assert_eq!(body["generationConfig"], json!({ "stopSequences": ["a", "b", "c", "d", "e"] }));
    request.stop.push(text("f"));
    request.choices = Some(2);
    request.logprobs = Some(2);
    let (body, lost) = encoded(&request, Accepts::default());
    assert_eq!(&lost[4..], ["stop!", "logprobs!", "tools.strict"]);
    assert_eq!(body["generationConfig"]["candidateCount"], 2);
    assert_eq!(body["generationConfig"]["logprobs"], 2);
    assert_eq!(body["generationConfig"]["responseLogprobs"], true);
    request.stream = true;
    assert!(encoded(&request, Accepts::default()).1.contains(&"n!".to_owned()), "a stream has one candidate");
}

#[test]
fn a_bound_is_no_more_than_the_model_gives() {
    let bound = |named, most: Option<u64>| {
        let request = Request { max_output: named, ..asking() };
        let to = Recipient { max_output: most.map(Tokens), ..recipient(Accepts::default()) };
        let prepared = encode_request(&request, &to, &mut Losses::default());
        json(&prepared.body(None))["generationConfig"].get("maxOutputTokens").and_then(Value::as_u64)
    };
    assert_eq!(bound(Some(9000), Some(8192)), Some(8192));
    assert_eq!(bound(Some(100), Some(8192)), Some(100));
    assert_eq!(bound(Some(9000), None), Some(9000));
    assert_eq!(bound(None, Some(8192)), None);
}

#[test]
fn a_choice_without_tools_is_lost_where_it_forces() {
    let lost = |tools, choice| {
        let request = Request { tools, tool_choice: Some(choice), ..asking() };
        let (body, lost) = encoded(&request, Accepts::default());
        assert_eq!((body.get("tools"), body.get("toolConfig")), (None, None));
        lost
    };
    assert_eq!(lost(vec![], ToolChoice::Required), ["tool_choice!"]);
    assert!(lost(vec![], ToolChoice::Auto).is_empty());
    assert!(lost(vec![tool("a")], ToolChoice::Allowed(vec![text("b")])).is_empty());
}

#[test]
fn a_conversation_of_nothing_is_lost() {
    let nothing = Request { turns: vec![said(Speaker::User, vec![words("")])], ..Request::default() };
    let (body, lost) = encoded(&nothing, Accepts::default());
    assert_eq!((&body["contents"], lost), (&json!([]), vec!["messages!".to_owned()]));
}
