use serde_json::{Value, json};

use super::{
    Losses, Tokens, asking, encode_request, encoded, hello, hint, meaning, plainly, recipient, tool,
};
use crate::dialect::Dialect;
use crate::dialect::anthropic::messages::samples::{call, literal, result, signature, text, turn};
use crate::dialect::neutral::{Content, Effort, Format, Part, Raw, Reasoning, Request, Speaker, ToolChoice};
use crate::dialect::translate::{Accepts, ReasoningForm, Recipient};

fn taking(reasoning: ReasoningForm) -> Recipient<'static> {
    recipient(Accepts { reasoning, ..Accepts::default() }, None)
}

#[test]
fn the_bound_is_always_there_and_never_nothing() {
    for (named, longest, bound) in [
        (None, None, 4096),
        (None, Some(8192), 8192),
        (Some(100), Some(8192), 100),
        (Some(9000), Some(8192), 8192),
        (Some(9000), None, 9000),
        (Some(0), None, 1),
    ] {
        let request = Request { max_output: named, ..hello() };
        let (body, _) = encoded(&request, &recipient(Accepts::default(), longest));
        assert_eq!(body["max_tokens"], bound);
    }
}

#[test]
fn thinking_is_told_in_the_form_that_the_model_takes() {
    use ReasoningForm::{Budget, Effort as Word, Nothing};
    let told = |asked, form, bound| {
        let request = Request { reasoning: Some(asked), max_output: Some(bound), ..hello() };
        let (body, lost) = encoded(&request, &taking(form));
        (body["thinking"].clone(), body["output_config"]["effort"].clone(), lost)
    };
    let budget = |tokens: u64| (json!({ "type": "enabled", "budget_tokens": tokens }), Value::Null, vec![]);
    let word = |word: &str| (Value::Null, json!(word), vec![]);
    let lost = || (Value::Null, Value::Null, vec![hint("reasoning_effort")]);
    let effort = Reasoning::Effort;
    assert_eq!(told(effort(Effort::Minimal), Word, 9000), word("low"));
    assert_eq!(told(effort(Effort::Max), Word, 9000), word("max"));
    assert_eq!(told(Reasoning::Budget(5000), Word, 9000), word("medium"));
    assert_eq!(told(Reasoning::Budget(u64::MAX), Word, 9000), word("max"));
    assert_eq!(told(Reasoning::Auto, Word, 9000).0, json!({ "type": "adaptive" }));
    assert_eq!(told(Reasoning::Off, Word, 9000).0, json!({ "type": "disabled" }));
    assert_eq!(told(effort(Effort::High), Budget, 64_000), budget(16_384));
    assert_eq!(told(effort(Effort::High), Budget, 4096), budget(3072));
    assert_eq!(told(effort(Effort::Low), Budget, 1100), budget(1024));
    assert_eq!(told(Reasoning::Budget(9000), Budget, 4096), budget(4095));
    assert_eq!(told(Reasoning::Budget(1), Budget, 4096), budget(1024));
    assert_eq!(told(Reasoning::Budget(9000), Budget, 1024), lost());
    assert_eq!(told(effort(Effort::Low), Nothing, 9000), lost());
    assert_eq!(told(Reasoning::Off, Nothing, 9000), (Value::Null, Value::Null, vec![]));
}

#[test]
fn a_bound_that_is_lowered_lowers_the_budget_of_thinking_too() {
    let request = Request { reasoning: Some(Reasoning::Budget(9000)), ..hello() };
    let prepared = encode_request(&request, &taking(ReasoningForm::Budget), &mut Losses::default());
    let sent = |cap: Option<u64>| {
        let body = prepared.body(cap.map(Tokens));
        let body: Value = serde_json::from_slice(&body).unwrap();
        (body["max_tokens"].as_u64(), body["thinking"]["budget_tokens"].as_u64())
    };
    assert_eq!(sent(None), (Some(4096), Some(4095)));
    assert_eq!(sent(Some(2000)), (Some(2000), Some(1999)));
    assert_eq!(sent(Some(1025)), (Some(1025), Some(1024)));
    assert_eq!(sent(Some(1024)), (Some(1024), None));
}

#[test]
fn thinking_gives_way_to_what_does_not_go_with_it() {
    let thinking = |request: Request<'static>| {
        let request = Request { reasoning: Some(Reasoning::Budget(2048)), ..request };
        let (body, lost) = encoded(&request, &taking(ReasoningForm::Budget));
        assert_eq!(lost.contains(&hint("reasoning_effort")), body["thinking"].is_null());
        !body["thinking"].is_null()
    };
    assert!(thinking(hello()));
    assert!(thinking(Request { temperature: Some(Raw::word("1.0")), ..hello() }));
    assert!(!thinking(Request { temperature: Some(Raw::word("0.5")), ..hello() }));
    assert!(!thinking(Request { top_k: Some(Raw::word("5")), ..hello() }));
    let forced = Some(ToolChoice::Required);
    assert!(!thinking(Request { tools: vec![tool("t")], tool_choice: forced, ..hello() }));
    let loop_of = |first: Content<'static>| {
        let said = vec![Part::of(first), Part::of(call("a", "t", "{}"))];
        asking(vec![turn(Speaker::Model, said), turn(Speaker::User, vec![result("a", "t", "x")])])
    };
    let thought = |by| Content::Reasoning { text: literal("x"), signature: Some(signature(by, "s")) };
    assert!(thinking(loop_of(thought(Dialect::Anthropic))));
    assert!(!thinking(loop_of(thought(Dialect::Gemini))));
    assert!(!thinking(loop_of(Content::Text(literal("x")))));
    let prefill = asking(vec![turn(Speaker::User, vec![text("a")]), turn(Speaker::Model, vec![text("b")])]);
    assert!(!thinking(prefill));
    let over = [turn(Speaker::Model, vec![text("b")]), turn(Speaker::User, vec![text("a")])];
    assert!(thinking(asking(over.to_vec())));
}

#[test]
fn what_anthropic_has_not_got_is_named() {
    let number = |text| Some(Raw::word(text));
    for (request, expected) in [
        (Request { choices: Some(2), ..hello() }, vec![meaning("n")]),
        (Request { choices: Some(1), ..hello() }, vec![]),
        (Request { logprobs: Some(0), ..hello() }, vec![meaning("logprobs")]),
        (Request { seed: number("1"), ..hello() }, vec![hint("seed")]),
        (Request { frequency_penalty: number("0.1"), ..hello() }, vec![hint("frequency_penalty")]),
        (Request { presence_penalty: number("0.0"), ..hello() }, vec![]),
        (Request { temperature: number("1.1"), ..hello() }, vec![meaning("temperature")]),
        (Request { stop: vec![literal("\n")], ..hello() }, vec![hint("stop")]),
        (Request { metadata: number(r#"{"a":"b"}"#), ..hello() }, vec![hint("metadata")]),
        (Request { metadata: number("{}"), ..hello() }, vec![]),
        (Request { format: Some(Format::Json), ..hello() }, vec![meaning("response_format")]),
        (Request { tools: vec![tool("a.b")], ..hello() }, vec![meaning("tools")]),
        (Request { tool_choice: Some(ToolChoice::Required), ..hello() }, vec![meaning("tool_choice")]),
        (Request { tool_choice: Some(ToolChoice::Auto), ..hello() }, vec![]),
    ] {
        assert_eq!(plainly(&request).1, expected, "{request:?}");
    }
}

#[test]
fn what_the_model_does_not_take_is_named_but_for_defaults() {
    let picky = Accepts {
        sampling: false,
        forced_tool_choice: false,
        prefill: false,
        json_schema: false,
        ..Accepts::default()
    };
    let picky = recipient(picky, None);
    let number = |text| Some(Raw::word(text));
    let defaults = Request { temperature: number("1"), top_p: number("1.0"), ..hello() };
    let (body, lost) = encoded(&defaults, &picky);
    assert_eq!(lost, []);
    assert_eq!((&body["temperature"], &body["top_p"]), (&Value::Null, &Value::Null));
    let request = Request {
        temperature: number("0.5"),
        top_p: number("0.5"),
        top_k: number("1"),
        format: Some(Format::Json),
        tools: vec![tool("t")],
        tool_choice: Some(ToolChoice::OneOf(vec![literal("t")])),
        ..asking(vec![turn(Speaker::Model, vec![text("I")])])
    };
    let names = ["tool_choice", "messages", "temperature", "top_p", "top_k", "response_format"];
    assert_eq!(encoded(&request, &picky).1, names.map(meaning));
}

#[test]
fn the_tools_that_may_be_called_are_all_that_there_are() {
    let names = |names: &[&str]| names.iter().map(|name| literal(name)).collect::<Vec<_>>();
    let written = |choice| {
        let tools = ["a", "b", "c"].map(tool).to_vec();
        let (body, lost) = plainly(&Request { tools, tool_choice: Some(choice), ..hello() });
        assert_eq!(lost, []);
        let tools: Vec<_> =
            body["tools"].as_array().unwrap().iter().map(|tool| tool["name"].clone()).collect();
        (json!(tools), body["tool_choice"].clone())
    };
    assert_eq!(
        written(ToolChoice::Allowed(names(&["a", "c"]))),
        (json!(["a", "c"]), json!({ "type": "auto" }))
    );
    assert_eq!(written(ToolChoice::OneOf(names(&["a", "c"]))), (json!(["a", "c"]), json!({ "type": "any" })));
    let one = json!({ "type": "tool", "name": "b" });
    assert_eq!(written(ToolChoice::OneOf(names(&["b"]))), (json!(["a", "b", "c"]), one));
    let single = Request { tools: vec![tool("a")], parallel_tool_calls: Some(false), ..hello() };
    let expected = json!({ "type": "auto", "disable_parallel_tool_use": true });
    assert_eq!(plainly(&single).0["tool_choice"], expected);
}
