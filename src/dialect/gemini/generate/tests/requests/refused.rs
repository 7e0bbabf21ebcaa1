//! What is lost of a request, and what is refused.

use super::*;

#[test]
fn what_no_other_dialect_carries_is_lost_by_its_weight() {
    for (body, expected) in [
        (
            json!({ "safetySettings": [{}], "serviceTier": "x", "store": true }),
            vec!["safetySettings", "serviceTier", "store"],
        ),
        (json!({ "safety_settings": [] }), vec![]),
        (json!({ "cached_content": "cachedContents/x" }), vec!["cachedContent!"]),
        (json!({ "something_new": 1, "a b": 2 }), vec!["(unknown)", "something_new"]),
        (
            json!({ "tools": [{ "google_search": {} }, { "codeExecution": {} }, { "urlContext": {} }, { "newTool": {} }] }),
            vec!["tools.googleSearch!", "tools.codeExecution!", "tools.urlContext!", "tools!"],
        ),
        (
            json!({ "generationConfig": { "speechConfig": {}, "imageConfig": {}, "responseModalities": ["TEXT", "IMAGE"] } }),
            vec![
                "generationConfig.imageConfig!",
                "generationConfig.responseModalities!",
                "generationConfig.speechConfig!",
            ],
        ),
        (
            json!({ "generationConfig": { "responseMimeType": "text/x.enum", "mediaResolution": "X", "newField": 1 } }),
            vec![
                "generationConfig.mediaResolution",
                "generationConfig.newField",
                "generationConfig.responseMimeType!",
            ],
        ),
        (
            json!({ "generationConfig": { "thinkingConfig": { "includeThoughts": true, "thinkingLevel": "GALACTIC" } } }),
            vec![
                "generationConfig.thinkingConfig.includeThoughts",
                "generationConfig.thinkingConfig.thinkingLevel",
            ],
        ),
        (
            json!({ "toolConfig": { "functionCallingConfig": { "mode": "VALIDATED" }, "retrievalConfig": {} } }),
            vec!["toolConfig.functionCallingConfig.mode", "toolConfig.retrievalConfig"],
        ),
        (json!({ "model": "models/x", "contents": null }), vec![]),
    ] {
        assert_eq!(lost(&body), expected, "{body}");
    }
    reads(&json!({ "labels": { "team": "tide" } }), |request, _| {
        assert_eq!(request.metadata, Some(Raw::word(r#"{"team":"tide"}"#)));
    });
}

#[test]
fn a_fault_is_told_by_its_place() {
    for (body, field) in [
        (json!([]), None),
        (json!({ "contents": "x" }), Some("contents")),
        (json!({ "contents": ["x"] }), Some("contents[0]")),
        (json!({ "contents": [{}, { "role": "system", "parts": [] }] }), Some("contents[1].role")),
        (json!({ "contents": [{ "parts": "x" }] }), Some("contents[0].parts")),
        (json!({ "contents": [{ "parts": [7] }] }), Some("contents[0].parts[0]")),
        (json!({ "contents": [{ "parts": [{ "text": 7 }] }] }), Some("contents[0].parts[0].text")),
        (
            json!({ "contents": [{ "parts": [{ "functionCall": { "args": {} } }] }] }),
            Some("contents[0].parts[0].functionCall.name"),
        ),
        (
            json!({ "contents": [{ "parts": [{ "functionCall": { "name": "a", "args": [] } }] }] }),
            Some("contents[0].parts[0].functionCall.args"),
        ),
        (
            json!({ "contents": [{ "parts": [{ "inlineData": { "mimeType": "image/png" } }] }] }),
            Some("contents[0].parts[0].inlineData.data"),
        ),
        (
            json!({ "contents": [{ "parts": [{ "inlineData": { "mimeType": "text/plain", "data": "?" } }] }] }),
            Some("contents[0].parts[0].inlineData.data"),
        ),
        (
            json!({ "systemInstruction": { "parts": [{ "inlineData": {} }] } }),
            Some("systemInstruction.parts[0]"),
        ),
        (json!({ "systemInstruction": "x" }), Some("systemInstruction")),
        (json!({ "generationConfig": [] }), Some("generationConfig")),
        (json!({ "generationConfig": { "temperature": "1" } }), Some("generationConfig.temperature")),
        (json!({ "generationConfig": { "maxOutputTokens": -1 } }), Some("generationConfig.maxOutputTokens")),
        (json!({ "generationConfig": { "topK": 1.5 } }), Some("generationConfig.topK")),
        (
            json!({ "generationConfig": { "stopSequences": ["a", 7] } }),
            Some("generationConfig.stopSequences[1]"),
        ),
        (
            json!({ "generationConfig": { "thinkingConfig": { "thinkingBudget": "x" } } }),
            Some("generationConfig.thinkingConfig.thinkingBudget"),
        ),
        (
            json!({ "tools": [{ "functionDeclarations": [{}] }] }),
            Some("tools[0].functionDeclarations[0].name"),
        ),
        (
            json!({ "toolConfig": { "functionCallingConfig": { "mode": "SOME" } } }),
            Some("toolConfig.functionCallingConfig.mode"),
        ),
        (json!({ "labels": [] }), Some("labels")),
    ] {
        assert_eq!(refused(&body).as_deref(), field, "{body}");
    }
}
