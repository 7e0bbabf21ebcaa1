//! The messages of a request to Anthropic: their blocks, which result belongs to which call, and how many words they
//! have of which a cache would know.

use std::collections::HashSet;

use super::request::{Version, is_id};
use crate::mock::error::ApiError;
use crate::mock::face::Face;
use crate::mock::node::Node;
use crate::mock::request::words;

/// Words of a prompt, each counted in one place.
#[derive(Clone, Copy, Default)]
pub(super) struct Input {
    pub(super) uncached: u64,
    pub(super) read: u64,
    pub(super) written: u64,
    lifetime: Lifetime,
}

/// How long a cache keeps what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lifetime {
    #[default]
    Minutes,
    Hour,
}

impl Input {
    pub(super) fn total(&self) -> u64 {
        self.uncached + self.read + self.written
    }

    /// What is written for this long.
    pub(super) fn written_for(&self, lifetime: Lifetime) -> u64 {
        if lifetime == self.lifetime { self.written } else { 0 }
    }
}

/// A request's messages, as far as the answer depends on them.
pub(super) struct Conversation<'a> {
    pub(super) input: Input,
    /// The texts of the last turn, where a tool may be named.
    pub(super) last: Vec<&'a str>,
    /// The last block is a tool's result: the answer is text.
    pub(super) after_tool: bool,
}

/// The system prompt and the messages of a request.
pub(super) fn read<'a>(body: &Node<'a>, version: Version) -> Result<Conversation<'a>, ApiError> {
    let mut reading = Reading::new(version);
    if let Some(system) = body.field("system") {
        if system.value().is_string() {
            reading.count(system.text()?);
        } else {
            for block in system.items()? {
                block.required("type")?.word(&["text"])?;
                reading.block(Role::System, &block)?;
            }
        }
    }
    reading.last.clear();
    let mut messages = body.required("messages")?.items()?.peekable();
    if messages.peek().is_none() {
        return Err(refused("messages: at least one message is required"));
    }
    for message in messages {
        reading.message(&message)?;
    }
    reading.all_answered()?;
    if let Some(lifetime) = lifetime(body)? {
        reading.marked = Some((reading.words, lifetime));
    }
    Ok(Conversation { input: reading.input(), last: reading.last, after_tool: reading.after_tool })
}

fn refused(message: impl Into<String>) -> ApiError {
    ApiError::bad_request(Face::Anthropic, message)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    System,
    User,
    Assistant,
}

/// The kinds of blocks.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Image,
    Document,
    ToolUse,
    ToolResult,
    Thinking,
    RedactedThinking,
    /// Of the provider's own tools.
    Other,
}

/// Kinds of [`Kind::Other`].
const OTHERS: [&str; 12] = [
    "search_result",
    "container_upload",
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "compaction",
];

impl Kind {
    fn of(block: &Node<'_>) -> Result<Self, ApiError> {
        let name = block.required("type")?.text()?;
        Ok(match name {
            "text" => Self::Text,
            "image" => Self::Image,
            "document" => Self::Document,
            "tool_use" => Self::ToolUse,
            "tool_result" => Self::ToolResult,
            "thinking" => Self::Thinking,
            "redacted_thinking" => Self::RedactedThinking,
            _ if OTHERS.contains(&name) => Self::Other,
            _ => {
                let what =
                    format!("Input tag '{name}' found using 'type' does not match any of the expected tags");
                return Err(block.wrong(what));
            }
        })
    }

    /// Whether a turn of this role may have it.
    fn belongs_to(self, role: Role, version: Version) -> bool {
        match self {
            Self::Text => true,
            Self::Image | Self::ToolResult => role == Role::User,
            Self::Document => role == Role::User || role == Role::Assistant && version == Version::First,
            Self::ToolUse | Self::Thinking | Self::RedactedThinking => role == Role::Assistant,
            Self::Other => role != Role::System,
        }
    }
}

/// A conversation, as far as it has been read.
struct Reading<'a> {
    version: Version,
    /// Whose turn it is; none before the first.
    turn: Option<Role>,
    /// Calls of the last turn of the assistant that have no result yet.
    open: Vec<&'a str>,
    calls: HashSet<&'a str>,
    words: u64,
    /// Words before the last turn.
    before: u64,
    /// Words up to the last mark for the cache.
    marked: Option<(u64, Lifetime)>,
    last: Vec<&'a str>,
    after_tool: bool,
}

impl<'a> Reading<'a> {
    fn new(version: Version) -> Self {
        Self {
            version,
            turn: None,
            open: Vec::new(),
            calls: HashSet::new(),
            words: 0,
            before: 0,
            marked: None,
            last: Vec::new(),
            after_tool: false,
        }
    }

    /// What a cache knows of the words: those of the last turn are new to it.
    fn input(&self) -> Input {
        let (marked, lifetime) = self.marked.unwrap_or_default();
        let read = marked.min(self.before);
        Input { uncached: self.words - marked, read, written: marked - read, lifetime }
    }

    fn message(&mut self, message: &Node<'a>) -> Result<(), ApiError> {
        message.only(&["role", "content"])?;
        let role = match message.required("role")?.word(&["user", "assistant", "system"])? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            _ => Role::System,
        };
        // Messages of one role that follow each other are one turn.
        if self.turn != Some(role) {
            let results_follow = self.turn == Some(Role::Assistant) && role == Role::User;
            if !results_follow {
                self.all_answered()?;
            }
            (self.turn, self.before, self.after_tool) = (Some(role), self.words, false);
            self.last.clear();
        }
        let content = message.required("content")?;
        if content.value().is_string() {
            if role == Role::User {
                self.all_answered()?;
            }
            return self.text(&content);
        }
        let mut blocks = content.items()?.peekable();
        if blocks.peek().is_none() {
            return Err(content.wrong("all messages must have non-empty content"));
        }
        blocks.try_for_each(|block| self.block(role, &block))
    }

    fn block(&mut self, role: Role, block: &Node<'a>) -> Result<(), ApiError> {
        let kind = Kind::of(block)?;
        if !kind.belongs_to(role, self.version) {
            return Err(block.wrong("this type of block is not allowed in a message of this role"));
        }
        // The results come first in the turn after the calls.
        if role == Role::User && !matches!(kind, Kind::ToolResult) {
            self.all_answered()?;
        }
        self.content(kind, role, block)
    }

    fn content(&mut self, kind: Kind, role: Role, block: &Node<'a>) -> Result<(), ApiError> {
        match kind {
            Kind::Text => {
                block.only(&["type", "text", "cache_control", "citations"])?;
                let citations = block.field("citations").and_then(|citations| citations.value().as_array());
                let cites = citations.is_some_and(|citations| !citations.is_empty());
                if cites && role == Role::User && self.version == Version::Second {
                    return Err(block.wrong("citations are not allowed in user messages"));
                }
                self.text(&block.required("text")?)?;
            }
            Kind::Image => {
                block.only(&["type", "source", "cache_control"])?;
                image(&block.required("source")?)?;
            }
            Kind::Document => {
                block.only(&["type", "source", "title", "context", "citations", "cache_control"])?;
                let source = block.required("source")?;
                source.required("type")?.word(&["base64", "text", "content", "url", "file"])?;
            }
            Kind::ToolUse => self.call(block)?,
            Kind::ToolResult => self.result(block)?,
            Kind::Thinking => {
                block.only(&["type", "thinking", "signature"])?;
                block.required("thinking")?.text()?;
                let signature = block.required("signature")?;
                if signature.text()?.is_empty() {
                    return Err(block.wrong("Invalid `signature` in `thinking` block"));
                }
            }
            Kind::RedactedThinking => {
                block.only(&["type", "data"])?;
                block.required("data")?.text()?;
            }
            Kind::Other => {}
        }
        if let Some(lifetime) = lifetime(block)? {
            self.marked = Some((self.words, lifetime));
        }
        Ok(())
    }

    fn text(&mut self, text: &Node<'a>) -> Result<(), ApiError> {
        let said = text.text()?;
        if said.trim().is_empty() {
            return Err(text.wrong("text content blocks must contain non-whitespace text"));
        }
        self.count(said);
        self.after_tool = false;
        Ok(())
    }

    fn count(&mut self, text: &'a str) {
        self.words += words(text);
        self.last.push(text);
    }

    fn call(&mut self, block: &Node<'a>) -> Result<(), ApiError> {
        block.only(&["type", "id", "name", "input", "cache_control", "caller"])?;
        block.required("name")?.text()?;
        block.required("input")?.object()?;
        let id = block.required("id")?;
        if !is_id(id.text()?) {
            return Err(id.wrong("String should match pattern '^[a-zA-Z0-9_-]+$'"));
        }
        if !self.calls.insert(id.text()?) {
            return Err(block.wrong("`tool_use` ids must be unique"));
        }
        self.open.push(id.text()?);
        Ok(())
    }

    fn result(&mut self, block: &Node<'a>) -> Result<(), ApiError> {
        block.only(&["type", "tool_use_id", "content", "is_error", "cache_control"])?;
        let id = block.required("tool_use_id")?.text()?;
        let Some(at) = self.open.iter().position(|open| *open == id) else {
            return Err(block.wrong(format!(
                "unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have \
                 a corresponding `tool_use` block in the previous message."
            )));
        };
        self.open.remove(at);
        block.field("is_error").map(|is_error| is_error.flag()).transpose()?;
        if let Some(content) = block.field("content") {
            self.told(&content)?;
        }
        self.last.clear();
        self.after_tool = true;
        Ok(())
    }

    /// What a tool's result tells.
    fn told(&mut self, content: &Node<'a>) -> Result<(), ApiError> {
        if content.value().is_string() {
            self.count(content.text()?);
            return Ok(());
        }
        for block in content.items()? {
            let kind = Kind::of(&block)?;
            match kind {
                Kind::Text | Kind::Image | Kind::Document => self.content(kind, Role::User, &block)?,
                // Among others a result of a search.
                Kind::Other => {}
                Kind::ToolUse | Kind::ToolResult | Kind::Thinking | Kind::RedactedThinking => {
                    return Err(block.wrong("this type of block is not allowed in a tool's result"));
                }
            }
        }
        Ok(())
    }

    fn all_answered(&self) -> Result<(), ApiError> {
        if self.open.is_empty() {
            return Ok(());
        }
        let ids = self.open.join(", ");
        Err(refused(format!(
            "messages: `tool_use` ids were found without `tool_result` blocks immediately after: {ids}. Each \
             `tool_use` block must have a corresponding `tool_result` block in the next message."
        )))
    }
}

fn image(source: &Node<'_>) -> Result<(), ApiError> {
    let field = match source.required("type")?.word(&["base64", "url", "file"])? {
        "base64" => {
            source.required("media_type")?.word(&["image/jpeg", "image/png", "image/gif", "image/webp"])?;
            "data"
        }
        "url" => "url",
        _ => "file_id",
    };
    source.required(field)?.text()?;
    Ok(())
}

/// How long a cache is to keep what ends with this block, if it is marked.
pub(super) fn lifetime(block: &Node<'_>) -> Result<Option<Lifetime>, ApiError> {
    let Some(mark) = block.field("cache_control") else {
        return Ok(None);
    };
    mark.only(&["type", "ttl"])?;
    mark.required("type")?.word(&["ephemeral"])?;
    let ttl = mark.field("ttl").map(|ttl| ttl.word(&["5m", "1h"])).transpose()?;
    Ok(Some(if ttl == Some("1h") { Lifetime::Hour } else { Lifetime::Minutes }))
}
