//! Reads members under either of their spellings, and says where something is wrong.

use std::borrow::Cow;

use crate::dialect::json::{Elements, Kind, Member, Value};
use crate::dialect::neutral::{Literal, Raw};
use crate::dialect::translate::Untranslatable;

/// The members that are there: null is Gemini's word for absent.
pub(in crate::dialect) fn present<'a>(object: &Value<'a>) -> impl Iterator<Item = Member<'a>> {
    object.members().filter(|member| member.value.kind != Kind::Null)
}

/// The member of this name, given in camel case, under either spelling.
pub(in crate::dialect) fn member<'a>(object: &Value<'a>, name: &str) -> Option<Value<'a>> {
    present(object).filter(|member| camel(&member.name()) == name).last().map(|member| member.value)
}

/// A name in camel case: `system_instruction` and `systemInstruction` are one field. Any other spelling is another field,
/// as it is to Google, and to those who read the bound on output.
pub(in crate::dialect) fn camel(name: &str) -> Cow<'_, str> {
    let snake = |name: &str| {
        let mut words = name.split('_');
        words.all(|word| !word.is_empty() && !word.bytes().any(|byte| byte.is_ascii_uppercase()))
    };
    if !name.contains('_') || !snake(name) {
        return Cow::Borrowed(name);
    }
    let mut camel = String::with_capacity(name.len());
    for (place, word) in name.split('_').enumerate() {
        let mut rest = word.chars();
        match rest.next() {
            Some(first) if place > 0 => camel.push(first.to_ascii_uppercase()),
            Some(first) => camel.push(first),
            None => {}
        }
        camel.push_str(rest.as_str());
    }
    Cow::Owned(camel)
}

/// A result whose fault stands within this field.
pub(in crate::dialect) fn within<T>(
    result: Result<T, Untranslatable>,
    place: impl FnOnce() -> String,
) -> Result<T, Untranslatable> {
    result.map_err(|fault| {
        let field = match fault.field {
            Some(inner) => format!("{}.{inner}", place()),
            None => place(),
        };
        Untranslatable { field: Some(field), ..fault }
    })
}

/// It has to be an object, whose place is named by [`within`].
pub(in crate::dialect) fn an_object(value: &Value<'_>) -> Result<(), Untranslatable> {
    let fault = || Untranslatable { message: "This has to be an object.".to_owned(), field: None };
    if value.kind == Kind::Object { Ok(()) } else { Err(fault()) }
}

pub(in crate::dialect) fn object(value: &Value<'_>, field: &str) -> Result<(), Untranslatable> {
    of_kind(value, Kind::Object, field, "This has to be an object.")
}

pub(in crate::dialect) fn list<'a>(value: &Value<'a>, field: &str) -> Result<Elements<'a>, Untranslatable> {
    of_kind(value, Kind::Array, field, "This has to be a list.")?;
    Ok(value.elements())
}

pub(in crate::dialect) fn number<'a>(value: &Value<'a>, field: &str) -> Result<Raw<'a>, Untranslatable> {
    of_kind(value, Kind::Number, field, "This has to be a number.")?;
    Ok(Raw::of(value))
}

pub(in crate::dialect) fn text<'a>(value: &Value<'a>, field: &str) -> Result<Literal<'a>, Untranslatable> {
    Literal::of(value).ok_or_else(|| Untranslatable::at(field, "This has to be a text."))
}

pub(in crate::dialect) fn flag(value: &Value<'_>, field: &str) -> Result<bool, Untranslatable> {
    match value.kind {
        Kind::True => Ok(true),
        Kind::False => Ok(false),
        Kind::Null | Kind::Number | Kind::String | Kind::Array | Kind::Object => {
            Err(Untranslatable::at(field, "This has to be true or false."))
        }
    }
}

/// A whole number, which Google's own client may write as a float.
pub(in crate::dialect) fn whole(value: &Value<'_>, field: &str) -> Result<i64, Untranslatable> {
    let float = || value.number::<f64>().filter(|number| number.fract() == 0.0 && number.abs() < 1e15);
    let whole = value.number().or_else(|| float().map(|number| number as i64));
    whole.ok_or_else(|| Untranslatable::at(field, "This has to be a whole number."))
}

/// A whole number that is no less than nothing; Gemini reads zero as absent.
pub(in crate::dialect) fn count(value: &Value<'_>, field: &str) -> Result<Option<u64>, Untranslatable> {
    match u64::try_from(whole(value, field)?) {
        Ok(0) => Ok(None),
        Ok(count) => Ok(Some(count)),
        Err(_) => Err(Untranslatable::at(field, "This cannot be less than zero.")),
    }
}

/// The one of these words that a text is, in any case.
pub(in crate::dialect) fn word(value: &Value<'_>, words: &[&'static str]) -> Option<&'static str> {
    let longest = words.iter().map(|word| word.len()).max()?;
    let text = value.short_text(longest)?;
    words.iter().copied().find(|word| word.eq_ignore_ascii_case(&text))
}

fn of_kind(value: &Value<'_>, kind: Kind, field: &str, message: &str) -> Result<(), Untranslatable> {
    if value.kind == kind { Ok(()) } else { Err(Untranslatable::at(field, message)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_two_spellings_and_no_more() {
        assert_eq!(camel("max_output_tokens"), "maxOutputTokens");
        for name in
            ["maxOutputTokens", "max_outputTokens", "max__output_tokens", "_max_output", "max_output_", "_"]
        {
            assert_eq!(camel(name), name);
        }
    }
}
