//! How the answer is to be made, and with which tools.

use super::*;

#[test]
fn every_field_of_the_configuration_is_read() {
    let all = json!({
        "temperature": 0.5, "topP": 0.9, "topK": 40.0, "candidateCount": 2, "maxOutputTokens": 99, "seed": 7,
        "presencePenalty": 0.1, "frequencyPenalty": -0.1, "stopSequences": ["a", "b"], "responseLogprobs": true,
        "logprobs": 3, "responseMimeType": "application/json", "responseSchema": { "type": "OBJECT" },
        "responseModalities": ["TEXT"], "thinkingConfig": { "thinkingLevel": "HIGH", "thinkingBudget": 7 },
    });
    config(&all, |request, lost| {
        assert!(lost.is_empty(), "{lost:?}");
        let schema = Raw::word(r#"{"type":"object"}"#);
        let expected = Request {
            max_output: Some(99),
            temperature: Some(Raw::word("0.5")),
            top_p: Some(Raw::word("0.9")),
            top_k: Some(Raw::word("40")),
            frequency_penalty: Some(Raw::word("-0.1")),
            presence_penalty: Some(Raw::word("0.1")),
            seed: Some(Raw::word("7")),
            stop: vec![text("a"), text("b")],
            format: Some(Format::Schema { name: None, description: None, schema, strict: None }),
            reasoning: Some(Reasoning::Effort(Effort::High)),
            logprobs: Some(3),
            choices: Some(2),
            ..Request::default()
        };
        assert_eq!(request, expected);
        assert_eq!(request.top_k.unwrap().raw(), b"40", "not every provider takes a float");
    });
    let reasoning = |thinking: &Value, expected| {
        config(&json!({ "thinkingConfig": thinking }), |request, _| assert_eq!(request.reasoning, expected));
    };
    reasoning(&json!({ "thinkingBudget": 0 }), Some(Reasoning::Off));
    reasoning(&json!({ "thinkingBudget": -1 }), Some(Reasoning::Auto));
    reasoning(&json!({ "thinkingBudget": 77 }), Some(Reasoning::Budget(77)));
    reasoning(&json!({ "thinking_level": "low" }), Some(Reasoning::Effort(Effort::Low)));
    reasoning(&json!({}), None);
    config(
        &json!({ "responseMimeType": "application/json", "maxOutputTokens": 0, "logprobs": 3 }),
        |request, _| {
            assert_eq!(request, Request { format: Some(Format::Json), ..Request::default() });
        },
    );
    config(
        &json!({ "temperature": null, "stopSequences": null, "responseMimeType": "text/plain" }),
        |request, lost| {
            assert_eq!(request, Request::default());
            assert!(lost.is_empty());
        },
    );
}

#[test]
fn which_tools_may_or_have_to_be_called() {
    let choice = |calling: &Value, expected: Option<ToolChoice<'_>>| {
        reads(&json!({ "toolConfig": { "functionCallingConfig": calling } }), |request, _| {
            assert_eq!(request.tool_choice, expected, "{calling}");
        });
    };
    choice(&json!({ "mode": "ANY" }), Some(ToolChoice::Required));
    choice(
        &json!({ "mode": "any", "allowed_function_names": ["a"] }),
        Some(ToolChoice::OneOf(vec![text("a")])),
    );
    choice(&json!({ "mode": "NONE" }), Some(ToolChoice::None));
    choice(&json!({ "mode": "AUTO" }), Some(ToolChoice::Auto));
    choice(
        &json!({ "mode": "VALIDATED", "allowedFunctionNames": ["a"] }),
        Some(ToolChoice::Allowed(vec![text("a")])),
    );
    choice(&json!({ "mode": "MODE_UNSPECIFIED" }), None);
    choice(&json!({}), None);
    let openapi = json!({ "tools": [{ "functionDeclarations": [{ "name": "a", "parameters": { "type": "OBJECT", "properties": { "x": { "type": "STRING" } } } }] }] });
    reads(&openapi, |request, lost| {
        assert!(lost.is_empty());
        let expected = Raw::word(r#"{"type":"object","properties":{"x":{"type":"string"}}}"#);
        assert_eq!(request.tools[0].parameters, Some(expected));
    });
}
