use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::neutral::Weight;
use crate::dialect::samples;

const STAMP: Stamp<'static> = Stamp { id: "0", created: 0, model: "alias", include_usage: false };

const GEMINI: [Api; 2] = [Api::BatchEmbedContents, Api::EmbedContent];

fn asked(from: Api, to: Api, body: &Value) -> (Value, Vec<String>) {
    let (written, lost) = request(from, to, body.to_string().as_bytes(), "embed").unwrap();
    let name = |loss: &crate::dialect::neutral::Loss| match loss.weight {
        Weight::Hint => loss.field.to_string(),
        Weight::Meaning => format!("{}!", loss.field),
    };
    (serde_json::from_slice(&written).unwrap(), lost.iter().map(name).collect())
}

fn answered(from: Api, to: Api, body: &Value, asked: &Value) -> Result<Value, NoAnswer> {
    let written = answer(from, to, body.to_string().as_bytes(), asked.to_string().as_bytes(), &STAMP)?;
    Ok(serde_json::from_slice(&written).unwrap())
}

fn refused(from: Api, to: Api, body: &Value) -> Option<String> {
    request(from, to, body.to_string().as_bytes(), "embed").map(drop).unwrap_err().field
}

fn one(text: &str) -> Value {
    json!({ "model": "models/embed", "content": { "parts": [{ "text": text }] }, "outputDimensionality": 4 })
}

#[test]
fn the_sample_is_asked_of_gemini_and_answered_as_it_was() {
    let body: Value = serde_json::from_slice(&samples::openai("embeddings.request.json")).unwrap();
    let (written, lost) = asked(Api::Embeddings, Api::BatchEmbedContents, &body);
    assert_eq!(written, json!({ "requests": [one("tide"), one("ebb")] }));
    assert!(lost.is_empty());

    let expected: Value = serde_json::from_slice(&samples::openai("embeddings.response.json")).unwrap();
    let vectors = json!({
        "embeddings": [{ "values": expected["data"][0]["embedding"] }, { "values": expected["data"][1]["embedding"] }],
        "usageMetadata": { "promptTokenCount": 4 },
    });
    let mut answered = answered(Api::BatchEmbedContents, Api::Embeddings, &vectors, &body).unwrap();
    assert_eq!(answered["model"], "alias");
    answered["model"] = expected["model"].clone();
    assert_eq!(answered, expected);
}

#[test]
fn one_text_may_go_to_either_of_geminis_operations() {
    let body = json!({ "input": "tide", "dimensions": 4, "model": "x", "user": "u", "encoding_format": null, "new": 1 });
    let (written, lost) = asked(Api::Embeddings, Api::EmbedContent, &body);
    assert_eq!(written, one("tide"));
    assert_eq!(lost, ["new", "user"]);
    let answer = json!({ "embedding": { "values": [1, 2.5] } });
    let expected = json!({
        "object": "list", "model": "alias", "usage": { "prompt_tokens": 0, "total_tokens": 0 },
        "data": [{ "object": "embedding", "index": 0, "embedding": [1, 2.5] }],
    });
    assert_eq!(answered(Api::EmbedContent, Api::Embeddings, &answer, &body), Ok(expected));
    let named =
        request(Api::Embeddings, Api::EmbedContent, body.to_string().as_bytes(), "tunedModels/x").unwrap();
    assert!(named.0.starts_with(br#"{"model":"tunedModels/x""#));
}

#[test]
fn a_caller_of_base64_gets_little_endian_floats() {
    let body = json!({ "input": "tide", "encoding_format": "base64" });
    let answer = json!({ "embeddings": [{ "values": [1.0, -2.5] }] });
    let answered = answered(Api::BatchEmbedContents, Api::Embeddings, &answer, &body).unwrap();
    // From Python: base64.b64encode(struct.pack('<2f', 1.0, -2.5))
    assert_eq!(answered["data"][0]["embedding"], "AACAPwAAIMA=");
}

#[test]
fn tokens_mean_something_to_their_own_model_alone() {
    for input in [json!([1, 2]), json!([[1], [2]])] {
        let (_, lost) = asked(Api::Embeddings, Api::BatchEmbedContents, &json!({ "input": input }));
        assert_eq!(lost, ["input!"]);
    }
}

#[test]
fn geminis_callers_are_served_by_openai() {
    let batch = json!({ "requests": [
        { "model": "models/x", "content": { "parts": [{ "text": "a" }, { "text": "b" }] }, "output_dimensionality": 2, "taskType": "X" },
        { "content": { "parts": [{ "text": "c" }] }, "outputDimensionality": 2, "title": "t", "newField": 1 },
    ]});
    let (written, lost) = asked(Api::BatchEmbedContents, Api::Embeddings, &batch);
    let expected =
        json!({ "model": "embed", "input": ["ab", "c"], "dimensions": 2, "encoding_format": "float" });
    assert_eq!(written, expected);
    assert_eq!(lost, ["requests.taskType", "requests.newField", "requests.title"]);
    let answer = json!({
        "data": [{ "index": 1, "embedding": "AACAPwAAIMA=" }, { "index": 0, "embedding": [1, 2] }],
        "usage": { "prompt_tokens": 3, "total_tokens": 3 },
    });
    let expected = json!({
        "embeddings": [{ "values": [1, 2] }, { "values": [1.0, -2.5] }],
        "usageMetadata": { "promptTokenCount": 3, "totalTokenCount": 3 },
    });
    assert_eq!(answered(Api::Embeddings, Api::BatchEmbedContents, &answer, &batch), Ok(expected));

    let (written, lost) = asked(
        Api::EmbedContent,
        Api::Embeddings,
        &json!({ "content": { "parts": [{ "text": "a" }] }, "taskType": "X" }),
    );
    assert_eq!(written, json!({ "model": "embed", "input": ["a"], "encoding_format": "float" }));
    assert_eq!(lost, ["taskType"]);
    let answer = json!({ "data": [{ "embedding": [1] }] });
    let single = json!({ "content": { "parts": [{ "text": "a" }] } });
    assert_eq!(
        answered(Api::Embeddings, Api::EmbedContent, &answer, &single),
        Ok(json!({ "embedding": { "values": [1] } }))
    );
}

#[test]
fn what_openai_has_no_place_for_is_lost_with_what_it_means() {
    let picture = json!({ "content": { "parts": [{ "inlineData": {} }, { "text": "a" }] } });
    assert_eq!(asked(Api::EmbedContent, Api::Embeddings, &picture).1, ["content!"]);
    let lengths = json!({ "requests": [one("a"), { "content": { "parts": [{ "text": "b" }] } }] });
    assert_eq!(
        asked(Api::BatchEmbedContents, Api::Embeddings, &lengths).1,
        ["requests.outputDimensionality!"]
    );
}

#[test]
fn a_fault_is_told_by_its_place() {
    for (body, field) in [
        (json!([]), None),
        (json!({}), Some("input")),
        (json!({ "input": [] }), Some("input")),
        (json!({ "input": 7 }), Some("input")),
        (json!({ "input": ["a", 7] }), Some("input[1]")),
        // Of so many the body that is sent would be twenty times as long.
        (json!({ "input": vec!["a"; 2049] }), Some("input")),
        (json!({ "input": "a", "dimensions": 0 }), Some("dimensions")),
        (json!({ "input": "a", "encoding_format": "hex" }), Some("encoding_format")),
    ] {
        assert_eq!(refused(Api::Embeddings, Api::BatchEmbedContents, &body).as_deref(), field, "{body}");
    }
    for (body, field) in [
        (json!({}), Some("requests")),
        (json!({ "requests": [] }), Some("requests")),
        (json!({ "requests": [7] }), Some("requests[0]")),
        (
            json!({ "requests": [{ "content": { "parts": [{ "text": 7 }] } }] }),
            Some("requests[0].content.parts[0].text"),
        ),
        (json!({ "requests": [{ "content": [] }] }), Some("requests[0].content")),
        (json!({ "requests": [{}] }), Some("requests[0].content")),
        (
            json!({ "requests": vec![json!({ "content": { "parts": [{ "text": "a" }] } }); 2049] }),
            Some("requests"),
        ),
    ] {
        assert_eq!(refused(Api::BatchEmbedContents, Api::Embeddings, &body).as_deref(), field, "{body}");
    }
    assert_eq!(
        refused(Api::Embeddings, Api::EmbedContent, &json!({ "input": ["a", "b"] })).as_deref(),
        Some("input")
    );
    assert_eq!(refused(Api::Chat, Api::EmbedContent, &json!({ "input": "a" })), None);
    assert_eq!(refused(Api::Embeddings, Api::Generate, &json!({ "input": "a" })), None);
}

#[test]
fn an_answer_that_does_not_fit_its_request_is_none() {
    let asked = json!({ "input": ["a", "b"], "encoding_format": "base64" });
    let two = |values: Value| json!({ "embeddings": [{ "values": [1] }, { "values": values }] });
    assert!(answered(Api::BatchEmbedContents, Api::Embeddings, &two(json!([1])), &asked).is_ok());
    for body in [
        json!({}),
        json!({ "embeddings": [{ "values": [1] }] }),
        json!({ "embedding": { "values": [1] } }),
        two(json!(["x"])),
        two(json!(null)),
        two(json!([1e300])),
        json!(7),
    ] {
        assert_eq!(
            answered(Api::BatchEmbedContents, Api::Embeddings, &body, &asked),
            Err(NoAnswer),
            "{body}"
        );
    }
    let single = json!({ "content": { "parts": [{ "text": "a" }] } });
    for embedding in [json!("AACAPw"), json!("AAAA"), json!("AADAfw=="), json!("?"), json!(7)] {
        let body = json!({ "data": [{ "embedding": embedding }] });
        let answer = answered(Api::Embeddings, Api::EmbedContent, &body, &single);
        assert_eq!(
            answer.is_ok(),
            embedding == "AACAPw",
            "{embedding}: half a float, or one that is no number"
        );
    }
}

proptest! {
    #[test]
    fn texts_and_vectors_come_back_as_they_were(
        inputs in prop::collection::vec(samples::any_text(), 1..4), dimensions in prop::option::of(1..99_u64),
        floats in prop::collection::vec(-1e3..1e3_f32, 1..5), base64: bool,
    ) {
        let mut body = json!({ "model": "embed", "input": inputs, "encoding_format": "float" });
        if let Some(dimensions) = dimensions {
            body["dimensions"] = json!(dimensions);
        }
        let (there, lost) = asked(Api::Embeddings, Api::BatchEmbedContents, &body);
        prop_assert!(lost.is_empty());
        let (back, lost) = asked(Api::BatchEmbedContents, Api::Embeddings, &there);
        prop_assert!(lost.is_empty());
        prop_assert_eq!(&back, &body);

        let vectors: Vec<Value> = inputs.iter().map(|_| json!({ "values": floats })).collect();
        let mut wanted = body.clone();
        wanted["encoding_format"] = json!(if base64 { "base64" } else { "float" });
        let openai = answered(Api::BatchEmbedContents, Api::Embeddings, &json!({ "embeddings": vectors }), &wanted).unwrap();
        let gemini = answered(Api::Embeddings, Api::BatchEmbedContents, &openai, &there).unwrap();
        for one in gemini["embeddings"].as_array().unwrap() {
            let read: Vec<f32> = serde_json::from_value(one["values"].clone()).unwrap();
            prop_assert_eq!(&read, &floats);
        }
    }

    #[test]
    fn any_json_is_read_or_refused(body in samples::any_json(), name in prop::sample::select(vec!["input", "requests", "content", "data", "embeddings"])) {
        for body in [body.clone(), json!({ name: body }), json!({ "requests": [{ "content": { name: body } }], "data": [{ "embedding": body }] })] {
            for gemini in GEMINI {
                let text = body.to_string();
                let _ = request(Api::Embeddings, gemini, text.as_bytes(), "x");
                let _ = request(gemini, Api::Embeddings, text.as_bytes(), "x");
                let _ = answered(gemini, Api::Embeddings, &body, &json!({ "input": "a" }));
                let _ = answered(Api::Embeddings, gemini, &body, &body);
            }
        }
    }
}
