//! Where the error stands in a body or an event, and what of it can tell its kind.

use smallvec::SmallVec;

use crate::dialect::json::{self, Kind, Value};

/// So many entries of a list are looked at.
const MOST: usize = 8;

/// The value that is the error: mostly an object, some servers have only a text, or a list of faults. The body itself
/// where it has no member for it; none where that is no JSON.
pub(super) fn error_in(body: &[u8]) -> Option<Value<'_>> {
    let document = json::document(body).ok()?;
    let whole = unlisted(document)?;
    let error = says(&whole, "error")
        // The last event of a response that failed, and Groq's last chunk.
        .or_else(|| says(&whole.member("response")?, "error"))
        .or_else(|| says(&whole.member("x_groq")?, "error"))
        // What checks the form of a request at Mistral and vLLM.
        .or_else(|| says(&whole, "detail"));
    Some(error.unwrap_or(whole))
}

/// A document, or the first entry of the list that Google puts around it.
pub(super) fn unlisted(document: Value<'_>) -> Option<Value<'_>> {
    if document.kind == Kind::Array { document.elements().next() } else { Some(document) }
}

/// A member that is there and says something.
pub(super) fn says<'a>(object: &Value<'a>, name: &str) -> Option<Value<'a>> {
    object.member(name).filter(|value| !value.is_blank())
}

/// What of an error tells its kind.
#[derive(Default)]
pub(super) struct Reported<'a> {
    /// Codes, types and reasons: the most telling first.
    pub(super) words: SmallVec<[Value<'a>; 8]>,
    /// Sentences, as written: phrases are searched in them.
    pub(super) texts: SmallVec<[&'a [u8]; 4]>,
    /// The status that the error repeats.
    pub(super) status: Option<u16>,
    /// It is a list of faults in the form of the request.
    pub(super) faults: bool,
}

impl<'a> Reported<'a> {
    pub(super) fn by(error: &Value<'a>) -> Self {
        let mut reported = Self::default();
        match error.kind {
            Kind::Object => reported.read(error),
            Kind::String => reported.read_text(error),
            Kind::Array => reported.read_faults(error),
            Kind::Null | Kind::True | Kind::False | Kind::Number => {}
        }
        reported
    }

    fn read(&mut self, error: &Value<'a>) {
        let code = error.member("code");
        self.status = code.as_ref().and_then(status).or_else(|| status(&error.member("status")?));
        self.status = self.status.or_else(|| status(&error.member("statusCode")?));
        self.words.extend(code);
        self.read_inner(error);
        if let Some(details) = error.member("details") {
            self.read_details(&details);
        }
        self.words.extend(error.member("type"));
        self.words.extend(error.member("status"));
        if let Some(message) = error.member("message") {
            self.read_text(&message);
        }
        // OpenRouter hands on here what its own provider said.
        if let Some(raw) = error.member("metadata").and_then(|metadata| metadata.member("raw")) {
            self.texts.push(raw.raw());
        }
    }

    /// Azure says by codes one within the other what its outermost one means.
    fn read_inner(&mut self, error: &Value<'a>) {
        let mut inner = error.member("innererror");
        for _ in 0..MOST {
            let Some(error) = inner else { return };
            self.words.extend(error.member("code"));
            inner = error.member("innererror");
        }
    }

    /// Google's list of details, each of another type; Anthropic's object.
    fn read_details(&mut self, details: &Value<'a>) {
        self.words.extend(details.member("error_code"));
        for detail in details.elements().take(MOST) {
            self.words.extend(detail.member("reason"));
            let violations = detail.member("violations");
            for violation in violations.iter().flat_map(Value::elements).take(MOST) {
                self.texts.extend(violation.member("quotaId").map(|quota| quota.raw()));
            }
        }
    }

    /// A sentence; some servers write a code in its place.
    fn read_text(&mut self, text: &Value<'a>) {
        self.texts.push(text.raw());
        self.words.push(text.clone());
    }

    fn read_faults(&mut self, faults: &Value<'a>) {
        self.faults = true;
        for fault in faults.elements().take(MOST) {
            self.texts.extend(fault.member("msg").map(|message| message.raw()));
        }
    }
}

/// The HTTP status that a code is, as a number or as the text of one.
fn status(code: &Value<'_>) -> Option<u16> {
    let status = match code.kind {
        Kind::Number => code.number(),
        Kind::String => code.short_text(3).and_then(|text| text.parse().ok()),
        Kind::Null | Kind::True | Kind::False | Kind::Array | Kind::Object => None,
    };
    status.filter(|status| (100..600).contains(status))
}
