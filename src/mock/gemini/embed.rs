//! `embedContent` and `batchEmbedContents`: a vector for each content.

use serde_json::{Value, json};

use crate::mock::embeddings::{MOST_DIMENSIONS, vector};
use crate::mock::error::ApiError;
use crate::mock::face::Face;
use crate::mock::node::Node;
use crate::mock::request::{Input, words};

/// The answer to one content, and the tokens it cost.
pub(super) fn one(body: &Value) -> Result<(Value, u64), ApiError> {
    let (values, tokens) = embedded(&Node::body(Face::Gemini, body))?;
    Ok((json!({ "embedding": { "values": values } }), tokens))
}

/// The same to several.
pub(super) fn many(body: &Value) -> Result<(Value, u64), ApiError> {
    let body = Node::body(Face::Gemini, body);
    body.only(&["requests"])?;
    let (mut all, mut tokens) = (Vec::new(), 0);
    for request in body.required("requests")?.items()? {
        request.required("model")?.text()?;
        let (values, cost) = embedded(&request)?;
        all.push(json!({ "values": values }));
        tokens += cost;
    }
    Ok((json!({ "embeddings": all }), tokens))
}

fn embedded(request: &Node<'_>) -> Result<(Vec<f32>, u64), ApiError> {
    request.only(&["model", "content", "taskType", "title", "outputDimensionality", "embedContentConfig"])?;
    let content = request.required("content")?;
    content.only(&["role", "parts"])?;
    let texts: Vec<_> = content
        .required("parts")?
        .items()?
        .map(|part| part.required("text")?.text())
        .collect::<Result<_, _>>()?;
    let text = texts.join("\n");
    let dimensions = match request.field("outputDimensionality") {
        None => MOST_DIMENSIONS,
        Some(wanted) => usize::try_from(wanted.whole()?)
            .ok()
            .filter(|wanted| (1..=MOST_DIMENSIONS).contains(wanted))
            .ok_or_else(|| wanted.wrong("must be between 1 and 3072"))?,
    };
    Ok((vector(&Input::Text(&text), dimensions), words(&text)))
}
