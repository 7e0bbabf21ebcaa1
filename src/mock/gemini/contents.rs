//! The contents of a request to Gemini: whose turn it is, what a part holds, which response belongs to which call.

use super::has_ids;
use crate::mock::error::ApiError;
use crate::mock::face::Face;
use crate::mock::node::Node;
use crate::mock::request::words;

/// What a part may hold; just one of these.
const DATA: [&str; 7] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
];
/// What may stand beside it.
const BESIDE: [&str; 5] = ["thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"];

/// A request's contents, as far as the answer depends on them.
pub(super) struct Conversation<'a> {
    /// With those of the system instruction.
    pub(super) words: u64,
    /// Words before the last turn.
    pub(super) before: u64,
    /// The texts of the last turn, where a tool may be named.
    pub(super) last: Vec<&'a str>,
    /// The last part is a tool's result: the answer is text.
    pub(super) after_tool: bool,
}

/// The contents and the system instruction of a request.
pub(super) fn read<'a>(model: &str, body: &Node<'a>) -> Result<Conversation<'a>, ApiError> {
    let read = Conversation { words: 0, before: 0, last: Vec::new(), after_tool: false };
    let mut reading = Reading { has_ids: has_ids(model), role: None, open: Vec::new(), read };
    if let Some(system) = body.field("systemInstruction") {
        system.only(&["role", "parts"])?;
        for part in system.required("parts")?.items()? {
            part.only(&["text"])?;
            reading.read.words += words(part.required("text")?.text()?);
        }
    }
    let contents = body.field("contents").map(|contents| contents.items()).transpose()?;
    let mut contents = contents.into_iter().flatten().peekable();
    if contents.peek().is_none() {
        return Err(refused("* GenerateContentRequest.contents: contents is not specified\n"));
    }
    for content in contents {
        reading.content(&content)?;
    }
    if reading.open.is_empty() { Ok(reading.read) } else { Err(unanswered()) }
}

fn refused(message: impl Into<String>) -> ApiError {
    ApiError::bad_request(Face::Gemini, message)
}

fn unanswered() -> ApiError {
    refused(
        "Please ensure that the number of function response parts is equal to the number of function call parts of \
         the function call turn.",
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    User,
    Model,
}

/// What tells a call and its response: the name, from version 3 on also the id.
#[derive(Clone, PartialEq, Eq)]
struct Call<'a> {
    id: Option<&'a str>,
    name: &'a str,
}

struct Reading<'a> {
    has_ids: bool,
    role: Option<Role>,
    /// Calls of the last turn.
    open: Vec<Call<'a>>,
    read: Conversation<'a>,
}

impl<'a> Reading<'a> {
    fn content(&mut self, content: &Node<'a>) -> Result<(), ApiError> {
        content.only(&["role", "parts"])?;
        let role = match content.field("role").map(|role| role.text()).transpose()? {
            None | Some("user") => Role::User,
            Some("model") => Role::Model,
            Some(_) => return Err(refused("Please use a valid role: user, model.")),
        };
        // Chats of Google's SDK send each piece of a streamed answer as a content of its own.
        if self.role == Some(role) && role == Role::User {
            return Err(refused("Please ensure that multiturn requests alternate between user and model."));
        }
        let first = self.role.is_none();
        (self.role, self.read.before, self.read.after_tool) = (Some(role), self.read.words, false);
        self.read.last.clear();

        let (mut calls, mut responses) = (Vec::new(), Vec::new());
        let parts = content.field("parts").map(|parts| parts.items()).transpose()?;
        let mut parts = parts.into_iter().flatten().peekable();
        if parts.peek().is_none() {
            return Err(content.wrong("contents.parts must not be empty."));
        }
        for part in parts {
            self.part(role, &part, &mut calls, &mut responses)?;
        }
        if first && !calls.is_empty() {
            return Err(refused(
                "Please ensure that function call turn comes immediately after a user turn or after a function \
                 response turn.",
            ));
        }
        self.answered(&responses)?;
        self.open = calls;
        Ok(())
    }

    /// That these are the responses to the calls of the turn before: in their order or, by their ids, in any.
    fn answered(&self, responses: &[Call<'a>]) -> Result<(), ApiError> {
        if self.open.is_empty() && !responses.is_empty() {
            return Err(refused(
                "Please ensure that function response turn comes immediately after a function call turn.",
            ));
        }
        if self.open.len() != responses.len() {
            return Err(unanswered());
        }
        let by_id = self.has_ids && responses.iter().all(|response| response.id.is_some());
        let belongs = |(call, response): (&Call<'_>, &Call<'_>)| {
            if by_id { self.open.contains(response) } else { call.name == response.name }
        };
        if self.open.iter().zip(responses).all(belongs) {
            Ok(())
        } else {
            Err(refused("Please ensure that each function response part belongs to a function call part."))
        }
    }

    fn part(
        &mut self,
        role: Role,
        part: &Node<'a>,
        calls: &mut Vec<Call<'a>>,
        responses: &mut Vec<Call<'a>>,
    ) -> Result<(), ApiError> {
        part.only(&[&DATA[..], &BESIDE].concat())?;
        let mut held = DATA.iter().filter_map(|name| Some((*name, part.field(name)?)));
        let Some((name, data)) = held.next() else {
            return Err(part.wrong("required oneof field 'data' must have one initialized field"));
        };
        if let Some((other, _)) = held.next() {
            let what = format!("oneof field 'data' is already set. Cannot set '{other}'");
            return Err(part.wrong(what));
        }
        part.field("thought").map(|thought| thought.flag()).transpose()?;
        let signature = part.field("thoughtSignature");
        if let Some(signature) = &signature {
            base64(signature)?;
        }
        self.read.after_tool = false;
        match name {
            "text" => {
                let text = data.text()?;
                self.read.words += words(text);
                self.read.last.push(text);
            }
            "inlineData" => {
                data.only(&["mimeType", "data", "displayName"])?;
                data.required("mimeType")?.text()?;
                base64(&data.required("data")?)?;
            }
            "fileData" => {
                data.only(&["mimeType", "fileUri", "displayName"])?;
                data.required("fileUri")?.text()?;
            }
            "functionCall" if role == Role::Model => {
                data.only(self.fields(&["name", "args", "id"]))?;
                data.field("args").map(|args| args.object()).transpose()?;
                let call = call(&data)?;
                if self.has_ids && calls.is_empty() && signature.is_none() {
                    return Err(refused(format!(
                        "Function call is missing a thought_signature in functionCall parts. This is required for \
                         tools to work correctly. Additional data, function call `{}`.",
                        call.name
                    )));
                }
                calls.push(call);
            }
            "functionResponse" if role == Role::User => {
                data.only(self.fields(&["name", "response", "parts", "scheduling", "willContinue", "id"]))?;
                let response = data.required("response")?;
                response.object()?;
                self.read.words += words(&response.value().to_string());
                self.read.last.clear();
                self.read.after_tool = true;
                responses.push(call(&data)?);
            }
            "functionCall" | "functionResponse" => {
                return Err(part.wrong(format!("'{name}' is not allowed in a content of this role")));
            }
            _ => {}
        }
        Ok(())
    }

    /// Fields of which the last, the id, is known from version 3 on.
    fn fields<'f, 'n>(&self, fields: &'f [&'n str]) -> &'f [&'n str] {
        let known = if self.has_ids { fields.len() } else { fields.len().saturating_sub(1) };
        fields.get(..known).unwrap_or(fields)
    }
}

fn call<'a>(data: &Node<'a>) -> Result<Call<'a>, ApiError> {
    let id = data.field("id").map(|id| id.text()).transpose()?;
    Ok(Call { id, name: data.required("name")?.text()? })
}

/// Bytes, in either alphabet.
fn base64(node: &Node<'_>) -> Result<(), ApiError> {
    let text = node.text()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=".contains(&byte);
    if text.is_empty() || !text.bytes().all(fits) {
        return Err(node.wrong("(TYPE_BYTES), Base64 decoding failed"));
    }
    Ok(())
}
