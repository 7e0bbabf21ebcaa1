//! A reader of the spec's source: its types with their doc comments, fields and choices. It reads the little Rust that is
//! used there, and panics at any other: nothing is passed over in silence.

use std::fs;
use std::path::{Path, PathBuf};

/// A type that an author can name.
pub(super) struct Type {
    pub(super) name: String,
    /// Its doc comment, by paragraphs.
    pub(super) about: Vec<String>,
    pub(super) shape: Shape,
}

pub(super) enum Shape {
    Map(Vec<Field>),
    Choices(Vec<Choice>),
    /// Another shape under a name of its own.
    As(Kind),
    /// A value with a form of its own, which its doc comment tells.
    Value,
}

pub(super) struct Field {
    pub(super) name: String,
    pub(super) about: Vec<String>,
    pub(super) kind: Kind,
    pub(super) needed: bool,
}

pub(super) struct Choice {
    pub(super) name: String,
    pub(super) about: Vec<String>,
    pub(super) takes: Takes,
}

pub(super) enum Takes {
    Nothing,
    One(Kind),
    Map(Vec<Field>),
}

/// What stands at a field.
pub(super) enum Kind {
    Text,
    Flag,
    Whole,
    List(Box<Self>),
    Named(Box<Self>),
    Type(String),
}

const SPEC: &str = "src/policy/spec";

/// Every type of the spec, file by file.
pub(super) fn types() -> Vec<Type> {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join(SPEC);
    let mut types = Vec::new();
    for file in files(&spec) {
        // It is about types of the other files.
        if file != spec.join("planned.rs") {
            let values = file.starts_with(spec.join("scalar")) || file == spec.join("scalar.rs");
            types.extend(Reader::new(&fs::read_to_string(&file).unwrap(), values).types());
        }
    }
    types
}

/// Fields and choices that are not built yet, by the type that will have them.
pub(super) fn planned() -> Vec<(String, Vec<String>)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(SPEC).join("planned.rs");
    let tokens = tokens(&fs::read_to_string(file).unwrap());
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for list in ["FIELDS", "CHOICES"] {
        let declared = |at: &[Token]| at[0].is_word("const") && at[1].is_word(list);
        let from = tokens.windows(2).position(declared).expect("the list of what is not built yet");
        let from = from + tokens[from..].iter().position(|token| token.is_mark('=')).unwrap();
        let to = from + tokens[from..].iter().position(|token| token.is_mark(';')).unwrap();
        for at in from..to {
            let Token::Text(text) = &tokens[at] else { continue };
            // `("Type", ..`, else `adds("name")`, `"name"`.
            if tokens[at - 1].is_mark('(') && !matches!(tokens[at - 2], Token::Word(_)) {
                found.push((text.clone(), Vec::new()));
            } else {
                found.last_mut().expect("a type before its names").1.push(text.clone());
            }
        }
    }
    found
}

/// The folder's Rust files and those below, `mod.rs` first, but for tests.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_none_or(|name| name != "tests.rs") {
            found.push(path);
        }
    }
    found.sort_by_key(|path| (!path.ends_with("mod.rs"), path.clone()));
    found
}

/// How serde writes the names of Rust.
#[derive(Clone, Copy)]
enum Case {
    AsWritten,
    Camel,
    Snake,
}

impl Case {
    fn of(self, name: &str) -> String {
        let mut words: Vec<String> = Vec::new();
        for (at, letter) in name.char_indices() {
            match letter {
                '_' => words.push(String::new()),
                _ if at == 0 || letter.is_uppercase() => words.push(letter.to_lowercase().collect()),
                _ => words.last_mut().unwrap().push(letter),
            }
        }
        match self {
            Self::AsWritten => name.to_owned(),
            Self::Snake => words.join("_"),
            Self::Camel => {
                let capital = |word: &String| word[..1].to_uppercase() + &word[1..];
                words[0].clone() + &words[1..].iter().map(capital).collect::<String>()
            }
        }
    }
}

/// What stands before an item or a field.
struct Before {
    about: Vec<String>,
    rename: Option<String>,
    rename_all: Case,
    rename_all_fields: Case,
}

impl Before {
    fn about(self, what: &str) -> Vec<String> {
        assert!(!self.about.is_empty(), "`{what}` has no doc comment");
        self.about
    }

    fn name(&self, written: &str, case: Case) -> String {
        self.rename.clone().unwrap_or_else(|| case.of(written))
    }
}

/// Reads one file.
struct Reader {
    tokens: Vec<Token>,
    at: usize,
    /// Whether its types are values: how they are built inside is not for authors.
    values: bool,
}

impl Reader {
    fn new(text: &str, values: bool) -> Self {
        Self { tokens: tokens(text), at: 0, values }
    }

    fn types(mut self) -> Vec<Type> {
        let mut types = Vec::new();
        while self.at < self.tokens.len() {
            let before = self.before();
            let is_type = self.ahead(1).is_some_and(|token| token.is_word("struct") || token.is_word("enum"));
            if self.takes_word("pub") && is_type {
                types.push(self.item(before));
            } else {
                self.skip_item();
            }
        }
        types
    }

    fn item(&mut self, before: Before) -> Type {
        let is_enum = self.word() == "enum";
        let name = self.word();
        let shape = if self.values {
            self.skip_item();
            Shape::Value
        } else if is_enum {
            self.expects('{');
            Shape::Choices(self.choices(&before))
        } else if self.takes('(') {
            assert!(self.takes_word("pub"), "`{name}` hides what it holds");
            let (kind, _) = self.kind();
            self.expects(')');
            self.expects(';');
            Shape::As(kind)
        } else {
            self.expects('{');
            Shape::Map(self.fields(before.rename_all, true))
        };
        Type { about: before.about(&name), name, shape }
    }

    fn fields(&mut self, case: Case, public: bool) -> Vec<Field> {
        let mut fields = Vec::new();
        while !self.takes('}') {
            let before = self.before();
            assert_eq!(self.takes_word("pub"), public, "near {:?}", self.ahead(0));
            let written = self.word();
            self.expects(':');
            let (kind, needed) = self.kind();
            let name = before.name(&written, case);
            fields.push(Field { about: before.about(&name), name, kind, needed });
            assert!(self.takes(',') || self.ahead(0).unwrap().is_mark('}'), "after `{written}`");
        }
        fields
    }

    fn choices(&mut self, of: &Before) -> Vec<Choice> {
        let mut choices = Vec::new();
        while !self.takes('}') {
            let before = self.before();
            let written = self.word();
            let takes = if self.takes('(') {
                let (kind, _) = self.kind();
                self.expects(')');
                Takes::One(kind)
            } else if self.takes('{') {
                Takes::Map(self.fields(of.rename_all_fields, false))
            } else {
                Takes::Nothing
            };
            let name = before.name(&written, of.rename_all);
            choices.push(Choice { about: before.about(&name), name, takes });
            assert!(self.takes(',') || self.ahead(0).unwrap().is_mark('}'), "after `{written}`");
        }
        choices
    }

    /// A type of Rust as an author sees it, and whether it has to be there.
    fn kind(&mut self) -> (Kind, bool) {
        let name = self.word();
        let inner = self.takes('<').then(|| {
            let (inner, _) = self.kind();
            self.expects('>');
            Box::new(inner)
        });
        let kind = match (name.as_str(), inner) {
            ("Option" | "At" | "Box", Some(inner)) => *inner,
            ("Vec", Some(inner)) => Kind::List(inner),
            ("Entries", Some(inner)) => Kind::Named(inner),
            ("String", None) => Kind::Text,
            ("bool", None) => Kind::Flag,
            ("u16" | "u32" | "u64", None) => Kind::Whole,
            (other, None) if other.starts_with(char::is_uppercase) => Kind::Type(name.clone()),
            _ => panic!("a field of type `{name}`"),
        };
        (kind, name != "Option")
    }

    /// Doc comments and attributes.
    fn before(&mut self) -> Before {
        let mut before = Before {
            about: Vec::new(),
            rename: None,
            rename_all: Case::AsWritten,
            rename_all_fields: Case::AsWritten,
        };
        let mut paragraph = String::new();
        loop {
            if let Some(Token::Doc(line)) = self.ahead(0) {
                let line = line.clone();
                self.at += 1;
                assert!(!line.contains("[`"), "a link into the source: {line}");
                if line.is_empty() {
                    before.about.push(std::mem::take(&mut paragraph));
                } else {
                    paragraph += if paragraph.is_empty() { "" } else { " " };
                    paragraph += &line;
                }
            } else if self.takes('#') {
                self.attribute(&mut before);
            } else {
                break;
            }
        }
        before.about.push(paragraph);
        before.about.retain(|paragraph| !paragraph.is_empty());
        before
    }

    fn attribute(&mut self, before: &mut Before) {
        self.expects('[');
        let name = self.word();
        match name.as_str() {
            "serde" => {
                self.expects('(');
                while !self.takes(')') {
                    let option = self.word();
                    let value = self.takes('=').then(|| self.text());
                    match (option.as_str(), value) {
                        ("deny_unknown_fields", None) => {}
                        ("rename", Some(name)) => before.rename = Some(name),
                        ("rename_all", Some(case)) => before.rename_all = case_of(&case),
                        ("rename_all_fields", Some(case)) => before.rename_all_fields = case_of(&case),
                        _ => panic!("`{option}` of serde"),
                    }
                    self.takes(',');
                }
                self.expects(']');
            }
            "derive" | "cfg" | "expect" => self.skip_to(']'),
            _ => panic!("the attribute `{name}`"),
        }
    }

    /// What is no type: to its `;` or the end of its braces.
    fn skip_item(&mut self) {
        let mut depth = 0;
        while self.at < self.tokens.len() {
            let token = &self.tokens[self.at];
            self.at += 1;
            let Token::Mark(mark) = token else { continue };
            match mark {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 && matches!(mark, ';' | '}') {
                return;
            }
        }
    }

    fn skip_to(&mut self, mark: char) {
        while !self.takes(mark) {
            self.at += 1;
        }
    }

    fn ahead(&self, by: usize) -> Option<&Token> {
        self.tokens.get(self.at + by)
    }

    fn takes(&mut self, mark: char) -> bool {
        let found = self.ahead(0).is_some_and(|token| token.is_mark(mark));
        self.at += usize::from(found);
        found
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = self.ahead(0).is_some_and(|token| token.is_word(word));
        self.at += usize::from(found);
        found
    }

    fn expects(&mut self, mark: char) {
        assert!(self.takes(mark), "expected `{mark}`, found {:?}", self.ahead(0));
    }

    fn word(&mut self) -> String {
        let Some(Token::Word(word)) = self.ahead(0) else { panic!("a name, not {:?}", self.ahead(0)) };
        let word = word.clone();
        self.at += 1;
        word
    }

    fn text(&mut self) -> String {
        let Some(Token::Text(text)) = self.ahead(0) else { panic!("a text, not {:?}", self.ahead(0)) };
        let text = text.clone();
        self.at += 1;
        text
    }
}

fn case_of(name: &str) -> Case {
    match name {
        "camelCase" => Case::Camel,
        "snake_case" => Case::Snake,
        _ => panic!("the case `{name}`"),
    }
}

#[derive(Debug)]
enum Token {
    /// A line of a doc comment.
    Doc(String),
    /// A name or a number.
    Word(String),
    /// What a string says.
    Text(String),
    Mark(char),
}

impl Token {
    fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found == word)
    }

    fn is_mark(&self, mark: char) -> bool {
        matches!(self, Self::Mark(found) if *found == mark)
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
        let mut length = first.len_utf8();
        if rest.starts_with("//") {
            length = rest.find('\n').unwrap_or(rest.len());
            if let Some(line) = rest[..length].strip_prefix("///") {
                tokens.push(Token::Doc(line.trim().to_owned()));
            }
        } else if first == '"' {
            length = 1 + end_of_text(&rest[1..]);
            tokens.push(Token::Text(rest[1..length - 1].to_owned()));
        } else if first == '\'' {
            length = letter(rest);
        } else if is_of_word(first) {
            length = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..length].to_owned()));
        } else if !first.is_whitespace() {
            assert!(!rest.starts_with("/*"), "a comment of another form");
            tokens.push(Token::Mark(first));
        }
        rest = &rest[length..];
    }
    tokens
}

/// How long a text is, with the quote after it.
fn end_of_text(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.expect("a quote at the end") + 1
}

/// How long a letter in quotes is, or the quote of a lifetime.
fn letter(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    let escaped = letters.next().is_some_and(|(_, c)| c == '\\');
    let mut end = letters.skip(usize::from(escaped));
    end.next().filter(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 1)
}
