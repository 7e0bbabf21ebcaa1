//! Keeps secrets out of what is shown: an author may have pasted a key where a reference belongs.

/// What keys of well-known services begin with.
const PREFIXES: [&str; 14] = [
    "sk-",
    "sk_",
    "pk-",
    "rk-",
    "gsk_",
    "xai-",
    "hf_",
    "AIza",
    "ghp_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "AKIA",
    "eyJ",
];
/// Fields whose scalar is a secret when it stands in the policy itself.
const FIELDS: [&str; 8] =
    ["key", "keys", "apikey", "api_key", "token", "password", "secret", "authorization"];
/// How much of a value a message repeats.
const SHOWN: usize = 60;

/// A value in backticks, for a message.
pub(crate) fn quoted(value: &str) -> String {
    format!("`{}`", shown(value, SHOWN))
}

/// A text for a message: masked, cut to so many characters, control characters replaced.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let mut shown = masked(&text.chars().take(most + 1).collect::<String>());
    if shown.len() > most {
        shown.truncate(most);
        shown.extend("...".chars());
    }
    shown.into_iter().collect()
}

/// Whether a scalar under this name is a secret.
pub(crate) fn is_secret_field(name: &str) -> bool {
    FIELDS.contains(&name.to_lowercase().as_str())
}

/// A line as it may be shown.
pub(crate) fn masked_line(line: &str) -> String {
    masked(line).into_iter().collect()
}

/// A line with stars for everything that looks like a secret; no character moves.
pub(super) fn masked(line: &str) -> Vec<char> {
    let mut chars: Vec<char> = line
        .chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                '\u{fffd}'
            }
            c => c,
        })
        .collect();
    mask_words(&mut chars);
    mask_url_credentials(&mut chars);
    mask_secret_fields(&mut chars);
    chars
}

fn mask_words(chars: &mut [char]) {
    let is_word = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let mut from = 0;
    while let Some(start) = chars.iter().skip(from).position(is_word).map(|i| from + i) {
        let length = chars.iter().skip(start).take_while(|c| is_word(c)).count();
        let word: String = chars.iter().skip(start).take(length).collect();
        from = start + length;
        if looks_secret(&word) {
            // What follows may belong to it: base64 has `+`, `/` and `=`, tokens have dots.
            let tail = |c: &&char| is_word(c) || matches!(c, '+' | '/' | '=' | '.');
            from += chars.iter().skip(from).take_while(tail).count();
            chars.iter_mut().take(from).skip(start).for_each(|c| *c = '*');
        }
    }
}

/// Where words that look like secrets stand in a line: their columns, from 1. A git id is none.
pub(crate) fn secrets_in(line: &str) -> impl Iterator<Item = usize> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let mut before = 0;
    line.split(move |c| !is_word(c)).filter_map(move |word| {
        let column = before + 1;
        before += word.chars().count() + 1;
        let is_git_id = word.len() == 40 && word.bytes().all(|b| b.is_ascii_hexdigit());
        (word.len() >= 8 && !is_git_id && looks_secret(word)).then_some(column)
    })
}

/// Whether a word is rather a secret than a name.
pub(crate) fn looks_secret(word: &str) -> bool {
    if word.len() >= 8 && PREFIXES.iter().any(|prefix| word.starts_with(prefix)) {
        return true;
    }
    word.split(['-', '_']).any(|run| {
        let has = |class: fn(&char) -> bool| run.chars().any(|c| class(&c));
        // Digits alone are rather a number that is too large.
        let is_hex = run.bytes().all(|b| b.is_ascii_hexdigit()) && has(char::is_ascii_alphabetic);
        // 64 hex digits are a digest, which may be shown.
        let hex_key = is_hex && run.len() >= 32 && run.len() != 64;
        let mixed =
            has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit);
        hex_key || (mixed && run.len() >= 20)
    })
}

/// `https://user:password@host`
fn mask_url_credentials(chars: &mut [char]) {
    let mut from = 0;
    while let Some(scheme) = find(chars, from, "://") {
        let start = scheme + 3;
        let host: Vec<char> =
            chars.iter().skip(start).take_while(|c| !matches!(c, '/' | ' ' | '"' | '\'')).copied().collect();
        if let Some(at) = host.iter().rposition(|c| *c == '@') {
            chars.iter_mut().skip(start).take(at).for_each(|c| *c = '*');
        }
        from = start;
    }
}

/// `key: hunter2`, but not `key: { fromEnv: NAME }`
fn mask_secret_fields(chars: &mut [char]) {
    let mut from = 0;
    while let Some(colon) = find(chars, from, ":") {
        from = colon + 1;
        let is_name = |c: &&char| c.is_alphanumeric() || **c == '_';
        let before = chars.iter().take(colon).rev().skip_while(|c| matches!(c, '"' | '\'' | ' '));
        let name: String = before.take_while(is_name).collect::<Vec<_>>().into_iter().rev().collect();
        if !is_secret_field(&name) {
            continue;
        }
        let start = from + chars.iter().skip(from).take_while(|c| **c == ' ').count();
        match chars.get(start) {
            Some('{') => continue,
            Some('[') => {
                mask_scalars(chars, start + 1);
                continue;
            }
            Some(_) | None => {}
        }
        let end = |c: &&char| !matches!(c, ',' | '}');
        let length = chars.iter().skip(start).take_while(end).count();
        chars.iter_mut().skip(start).take(length).filter(|c| **c != ' ').for_each(|c| *c = '*');
    }
}

/// `keys: [hunter2]`, but not `keys: [{ name: a, fromEnv: NAME }]`
fn mask_scalars(chars: &mut [char], from: usize) {
    let mut depth = 0_usize;
    for c in chars.iter_mut().skip(from).take_while(|c| **c != ']') {
        match *c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ' ' | ',' => {}
            _ if depth == 0 => *c = '*',
            _ => {}
        }
    }
}

fn find(chars: &[char], from: usize, wanted: &str) -> Option<usize> {
    let wanted: Vec<char> = wanted.chars().collect();
    let windows = chars.get(from..)?.windows(wanted.len());
    windows.enumerate().find(|(_, window)| *window == wanted).map(|(i, _)| from + i)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: &str) -> String {
        masked(line).into_iter().collect()
    }

    #[test]
    fn keys_are_masked_wherever_they_stand() {
        assert_eq!(line("x: sk-proj-abcDEF123"), "x: *****************");
        assert_eq!(line("key: hunter2 # mine"), "key: ******* * ****");
        assert_eq!(line("{ key: hunter2, apis: [chat] }"), "{ key: *******, apis: [chat] }");
        assert_eq!(line("keys: [hunter2, { name: a }, x y] }"), "keys: [*******, { name: a }, * *] }");
        assert_eq!(line("a: Zm9vYmFyYmF6cXV4MTIzNDU2+/x= b"), "a: **************************** b");
        assert_eq!(line("u: https://me:pw@example.com/v1"), "u: https://*****@example.com/v1");
        assert_eq!(line("k: 0123456789abcdef0123456789abcdef"), "k: ********************************");
    }

    #[test]
    fn names_references_and_digests_are_shown() {
        let digest = format!("apiKeySha256: \"{}\"", "0123456789abcdef".repeat(4));
        for text in [
            "openai: { key: { fromEnv: OPENAI_API_KEY } }",
            "openai: { keys: [{ name: a, fromEnv: OPENAI_KEY_A }], breaker: {} }",
            "name: claude-sonnet-4-5-20250929",
            "limits: { rpm: { requests: 20, per: 1m, each: key } }",
            "model: meta-llama/Llama-3.3-70B-Instruct-Turbo",
            &digest,
        ] {
            assert_eq!(line(text), text);
        }
    }

    #[test]
    fn a_quoted_value_is_cut_and_its_control_characters_are_replaced() {
        assert_eq!(quoted("a\u{1b}[31mb"), "`a\u{fffd}[31mb`");
        assert_eq!(quoted(&"é".repeat(100)), format!("`{}...`", "é".repeat(60)));
        assert_eq!(quoted("sk-abcdefgh"), "`***********`");
    }
}
