use std::os::unix::fs::PermissionsExt as _;

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn printed(flags: &[&str], input: &str) -> anyhow::Result<String> {
    let line = Line::try_parse_from(["key"].iter().chain(flags))?;
    let mut out = Vec::new();
    run(&line.args, &mut input.as_bytes(), &mut out)?;
    Ok(String::from_utf8(out)?)
}

#[test]
fn the_flags_are_sound() {
    <Args as clap::Args>::augment_args(clap::Command::new("key")).debug_assert();
}

#[test]
fn a_new_key_comes_with_its_digest_and_a_line_to_paste() {
    let text = printed(&["--name", "ci", "--user", "pipeline", "--app", "shop"], "").unwrap();
    let key = text.lines().next().unwrap().strip_prefix("key:    ").unwrap();
    let hex = KeyDigest::of(key).hex();
    assert!(text.contains(&format!("sha256: {hex}\n")));
    let line = format!("- {{ apiKeySha256: \"{hex}\", name: \"ci\", user: \"pipeline\", app: \"shop\" }}\n");
    assert!(text.ends_with(&line), "{text}");
}

#[test]
fn several_keys_are_numbered_and_none_is_like_another() {
    let text = printed(&["--name", "batch", "--count", "3", "--format", "json"], "").unwrap();
    let keys: Vec<Value> = serde_json::from_str(&text).unwrap();
    for (at, entry) in keys.iter().enumerate() {
        let key = entry["key"].as_str().unwrap();
        assert_eq!(entry["match"]["name"], format!("batch-{}", at + 1));
        assert_eq!(entry["match"]["apiKeySha256"], KeyDigest::of(key).hex());
    }
    let digests: std::collections::BTreeSet<_> =
        keys.iter().map(|entry| entry["match"]["apiKeySha256"].as_str()).collect();
    assert_eq!(digests.len(), 3);
    assert!(printed(&["--count", "0"], "").is_err() && printed(&["--count", "1001"], "").is_err());
}

#[test]
fn given_keys_are_hashed_without_their_line_breaks_and_not_shown() {
    let text = printed(&["--of", "-"], "abc\n").unwrap();
    assert!(text.contains(&KeyDigest::of("abc").hex()));
    assert!(!text.contains("key:"));
    let lines = printed(&["--of", "-", "--name", "old", "--format", "yaml"], "abc\r\n\n  xyz").unwrap();
    let line =
        |key, name| format!("- {{ apiKeySha256: \"{}\", name: \"{name}\" }}\n", KeyDigest::of(key).hex());
    assert_eq!(lines, line("abc", "old-1") + &line("xyz", "old-2"));
}

#[test]
fn keys_are_not_taken_from_the_command_line_nor_from_nothing() {
    let refused = printed(&["--of", "sk-hush"], "").unwrap_err();
    assert!(!format!("{refused:?}").contains("hush"));
    for input in ["", " \n", "two words", "schlüssel", &"k".repeat(70_000)] {
        assert!(printed(&["--of", "-"], input).is_err(), "{} bytes", input.len());
    }
}

#[test]
fn a_key_in_a_file_is_its_owners_alone_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ci.key");
    let flags = |format| ["--key-to", path.to_str().unwrap(), "--format", format];
    let lines = printed(&flags("yaml"), "").unwrap();
    let key = std::fs::read_to_string(&path).unwrap();
    assert_eq!(lines, format!("- {{ apiKeySha256: \"{}\" }}\n", KeyDigest::of(key.trim_end()).hex()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = format!("{:#}", printed(&flags("text"), "").unwrap_err());
    assert!(again.contains("ci.key"), "{again}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), key, "what is there is not written over");
    std::fs::remove_file(&path).unwrap();
    for format in ["text", "json"] {
        let shown = printed(&flags(format), "").unwrap();
        let key = std::fs::read_to_string(&path).unwrap();
        assert!(!shown.contains(key.trim_end()) && !shown.contains("\"key\""), "{shown}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn no_new_key_is_written_among_the_lines_of_a_policy() {
    let refused = printed(&["--format", "yaml"], "").unwrap_err();
    assert!(refused.to_string().contains("--key-to"), "{refused}");
}

#[test]
fn a_name_cannot_break_out_of_its_line() {
    for name in ["a\"}\n- evil: {", "", "a b"] {
        let refused =
            printed(&["--of", "-", "--name", name, "--format", "yaml"], "k").unwrap_err().to_string();
        assert!(refused.contains("cannot be the name of a key"), "{refused}");
    }
}
