//! The parts of `policies/README.md` that are made from the schema and the source, as Markdown.

use std::fmt::Write;

use egret::dialect::edit::guarded_fields;
use egret::dialect::provider::{AuthHeader, PRESETS, Preset, StreamUsage};
use egret::dialect::{Api, Dialect};
use egret::policy::spec::not_built_yet;

use super::types::{Choice, Field, Kind, Shape, Takes, Type};

/// Where the page begins to tell fields: the types of documents.
const ROOTS: [&str; 2] = ["Policy", "PolicyTest"];

/// What one and several of a value are called, by its type.
const VALUES: [(&str, &str, &str); 17] = [
    ("TimeSpan", "time span", "time spans"),
    ("Per", "window", "windows"),
    ("Zone", "time zone", "time zones"),
    ("Date", "day", "days"),
    ("Time", "time of day", "times of day"),
    ("Moment", "moment", "moments"),
    ("HedgeAfter", "time to wait", "times to wait"),
    ("Dollars", "amount of money", "amounts of money"),
    ("Decimal", "price", "prices"),
    ("Amount", "amount", "amounts"),
    ("Size", "size", "sizes"),
    ("Expected", "expected output", "expected outputs"),
    ("Percent", "percentage", "percentages"),
    ("Buffer", "part held back", "parts held back"),
    ("Left", "part left", "parts left"),
    ("Ratio", "ratio", "ratios"),
    ("KeyHash", "SHA-256", "SHA-256s"),
];

fn value(name: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    VALUES.iter().find(|(of, _, _)| *of == name)
}

/// Whether the type is told among the values.
pub(super) fn is_value(name: &str) -> bool {
    value(name).is_some()
}

/// A section for each type that a policy can have, in the order in which they are first spoken of; in the end the values.
pub(super) fn fields(types: &[Type]) -> String {
    let [policy, _] = in_order(types);
    let links = policy.iter().map(|of| link(&of.name)).chain(["[Values](#values)".to_owned()]);
    wrapped(links, " ·") + "\n" + &sections(&policy, types) + "### Values\n\n" + &values(types)
}

/// A section for each type that a document of tests can have and a policy has not.
pub(super) fn tests(types: &[Type]) -> String {
    let [_, tests] = in_order(types);
    wrapped(tests.iter().map(|of| link(&of.name)), " ·") + "\n" + &sections(&tests, types)
}

fn sections(some: &[&Type], all: &[Type]) -> String {
    let mut page = String::new();
    for of in some {
        writeln!(page, "### {}\n\n{}\n", of.name, of.about.join("\n\n")).unwrap();
        let places = places(&of.name, &in_order(all).concat());
        if !places.is_empty() {
            writeln!(page, "Stands at {}.\n", places.join("; ")).unwrap();
        }
        match &of.shape {
            Shape::Map(fields) => {
                page += "| field | what it is | |\n|---|---|---|\n";
                rows(&mut page, "", fields);
            }
            Shape::Choices(choices) => page += &table_of(choices),
            Shape::As(kind) => writeln!(page, "A {}.", kind.one()).unwrap(),
            Shape::Value => unreachable!("values have a table of their own"),
        }
        page.push('\n');
    }
    page
}

fn table_of(choices: &[Choice]) -> String {
    let words_alone = choices.iter().all(|choice| matches!(choice.takes, Takes::Nothing));
    let head =
        if words_alone { "| choice | |\n|---|---|\n" } else { "| choice | takes | |\n|---|---|---|\n" };
    let mut table = head.to_owned();
    for Choice { name, about, takes } in choices {
        let about = cell(about);
        match takes {
            Takes::Nothing if words_alone => writeln!(table, "| `{name}` | {about} |").unwrap(),
            Takes::Nothing => writeln!(table, "| `{name}` | | {about} |").unwrap(),
            Takes::One(kind) => writeln!(table, "| `{name}` | {} | {about} |", kind.one()).unwrap(),
            Takes::Map(fields) => {
                writeln!(table, "| `{name}` | map | {about} |").unwrap();
                rows(&mut table, &format!("{name}."), fields);
            }
        }
    }
    table
}

fn rows(page: &mut String, before: &str, fields: &[Field]) {
    for Field { name, about, kind, needed } in fields {
        let needed = if *needed { ", required" } else { "" };
        writeln!(page, "| `{before}{name}` | {}{needed} | {} |", kind.one(), cell(about)).unwrap();
    }
}

fn values(types: &[Type]) -> String {
    let mut table = String::from("| value | |\n|---|---|\n");
    for of in types.iter().filter(|of| matches!(of.shape, Shape::Value)) {
        assert!(value(&of.name).is_some(), "no word for `{}`", of.name);
    }
    for (of, one, _) in VALUES {
        let of = types.iter().find(|known| known.name == of).unwrap_or_else(|| panic!("there is no `{of}`"));
        writeln!(table, "| {one} | {} |", cell(&of.about)).unwrap();
    }
    table
}

fn cell(about: &[String]) -> String {
    about.join(" ").replace('|', "\\|")
}

/// `a`, `a and b`, `a, b and c`.
fn listed(things: &[String]) -> String {
    match things {
        [some @ .., last] if !some.is_empty() => format!("{} and {last}", some.join(", ")),
        _ => things.concat(),
    }
}

/// The types that are no values, of a policy and then those of tests alone: what a document has at its top, and then what
/// each of these leads to. What nothing leads to is a fault.
fn in_order(types: &[Type]) -> [Vec<&Type>; 2] {
    let mut found = Vec::new();
    let ends = ROOTS.map(|root| {
        let root = types.iter().find(|of| of.name == root).expect("the type of a document");
        found.push(root);
        let top = led_to(root, types);
        let new = top.iter().filter(|of| found.iter().all(|known: &&Type| known.name != of.name));
        found.extend(new.copied().collect::<Vec<_>>());
        top.into_iter().for_each(|of| follow(of, types, &mut found));
        found.len()
    });
    for of in types.iter().filter(|of| !matches!(of.shape, Shape::Value)) {
        assert!(found.iter().any(|found| found.name == of.name), "nothing leads to `{}`", of.name);
    }
    let tests = found.split_off(ends[0]);
    [found, tests]
}

fn follow<'t>(of: &Type, types: &'t [Type], found: &mut Vec<&'t Type>) {
    for next in led_to(of, types) {
        if found.iter().all(|known| known.name != next.name) {
            found.push(next);
            follow(next, types, found);
        }
    }
}

/// The types that are spoken of in this one, but for values.
fn led_to<'t>(of: &Type, types: &'t [Type]) -> Vec<&'t Type> {
    let named = |name| types.iter().find(|of| of.name == name).unwrap_or_else(|| panic!("no `{name}`"));
    let all = mentions(of).into_iter().map(|(_, name)| named(name));
    all.filter(|of| !matches!(of.shape, Shape::Value)).collect()
}

/// Where a type stands: at `targets` of [Route](#route).
fn places(name: &str, types: &[&Type]) -> Vec<String> {
    let mut places: Vec<(String, Vec<String>)> = Vec::new();
    for of in types {
        let fields = mentions(of).into_iter().filter(|(_, found)| *found == name);
        let fields: Vec<String> = fields.map(|(field, _)| field).collect();
        match (places.iter_mut().find(|(known, _)| *known == listed(&fields)), fields.is_empty()) {
            (_, true) => {}
            (Some((_, owners)), _) => owners.push(link(&of.name)),
            (None, _) => places.push((listed(&fields), vec![link(&of.name)])),
        }
    }
    places.iter().map(|(fields, owners)| format!("{fields} of {}", listed(owners))).collect()
}

/// The fields of a type, and which types are spoken of there.
fn mentions(of: &Type) -> Vec<(String, &str)> {
    let mut kinds: Vec<(String, &Kind)> = Vec::new();
    match &of.shape {
        Shape::Map(fields) => kinds.extend(fields.iter().map(|of| (format!("`{}`", of.name), &of.kind))),
        Shape::Choices(choices) => {
            for Choice { name, takes, .. } in choices {
                match takes {
                    Takes::Nothing => {}
                    Takes::One(kind) => kinds.push((format!("`{name}`"), kind)),
                    Takes::Map(fields) => {
                        kinds.extend(fields.iter().map(|of| (format!("`{name}.{}`", of.name), &of.kind)));
                    }
                }
            }
        }
        Shape::As(kind) => kinds.push(("every entry".to_owned(), kind)),
        Shape::Value => {}
    }
    kinds.into_iter().filter_map(|(place, kind)| Some((place, kind.of_type()?))).collect()
}

fn link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

impl Kind {
    fn one(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Whole => "whole number".to_owned(),
            Self::List(of) => format!("list of {}", of.several()),
            Self::Named(of) => format!("map of {}, by name", of.several()),
            Self::Type(name) => match value(name) {
                Some((_, one, _)) => format!("[{one}](#values)"),
                None => link(name),
            },
        }
    }

    fn several(&self) -> String {
        match self {
            Self::Text => "texts".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Whole => "whole numbers".to_owned(),
            Self::List(of) => format!("lists of {}", of.several()),
            Self::Named(of) => format!("maps of {}, by name", of.several()),
            Self::Type(name) => match value(name) {
                Some((_, _, several)) => format!("[{several}](#values)"),
                None => link(name),
            },
        }
    }

    /// The type that is spoken of, if it is not one that everybody knows.
    fn of_type(&self) -> Option<&str> {
        match self {
            Self::Text | Self::Flag | Self::Whole => None,
            Self::List(of) | Self::Named(of) => of.of_type(),
            Self::Type(name) => Some(name),
        }
    }
}

/// The providers that are known by name, and what they do otherwise than others.
pub(super) fn presets() -> String {
    let mut table = String::from(
        "| preset | dialect | address | key goes into | operations | usage of streams | bound of an answer |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for preset in &PRESETS {
        let Preset { name, dialect, base_url, auth, apis, stream_usage, .. } = preset;
        let address = base_url.map_or_else(|| "yours: say `baseUrl`".to_owned(), |url| format!("`{url}`"));
        let key = match auth {
            AuthHeader::Bearer => "`Authorization: Bearer`",
            AuthHeader::ApiKey => "`api-key`",
            AuthHeader::Anthropic => "`x-api-key`",
            AuthHeader::Goog => "`x-goog-api-key`",
        };
        let apis = Api::ALL.into_iter().filter(|api| apis.contains(*api));
        let apis: Vec<String> = apis.map(|api| format!("`{api}`")).collect();
        let usage = match stream_usage {
            StreamUsage::Ask => "`ask`",
            StreamUsage::Always => "`always`",
            StreamUsage::Never => "`never`",
        };
        let bound = match dialect {
            Dialect::OpenAi => preset.max_tokens_field.name(),
            Dialect::Anthropic => "max_tokens",
            Dialect::Gemini => "maxOutputTokens",
        };
        let apis = apis.join(", ");
        writeln!(table, "| `{name}` | `{dialect}` | {address} | {key} | {apis} | {usage} | `{bound}` |")
            .unwrap();
    }
    table += "\nWhat they do otherwise than OpenAI:\n\n";
    for Preset { name, quirks, .. } in PRESETS.iter().filter(|preset| !preset.quirks.is_empty()) {
        writeln!(table, "- **{name}**: {quirks}").unwrap();
    }
    table
}

/// The fields of calls that are refused.
pub(super) fn guarded() -> String {
    wrapped(guarded_fields().map(|name| format!("`{name}`")), ",")
}

/// Words with something behind each but the last, in lines.
fn wrapped(words: impl Iterator<Item = String>, between: &str) -> String {
    let mut lines = vec![String::new()];
    let mut words = words.peekable();
    while let Some(mut word) = words.next() {
        word += words.peek().map_or("", |_| between);
        let line = lines.last_mut().expect("a line");
        if line.is_empty() {
            *line = word;
        } else if line.len() + word.len() < LINE {
            *line = format!("{line} {word}");
        } else {
            lines.push(word);
        }
    }
    lines.join("\n") + "\n"
}

const LINE: usize = 118;

/// What the language has and egret does not do yet.
pub(super) fn planned(types: &[Type]) -> String {
    let mut list = String::new();
    for (of, names) in not_built_yet() {
        assert!(types.iter().any(|known| known.name == of), "there is no `{of}`");
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        writeln!(list, "- {} of {}", listed(&names), link(of)).unwrap();
    }
    list
}
