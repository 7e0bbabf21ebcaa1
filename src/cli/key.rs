//! `egret key`: makes a caller's key, or hashes one.

use std::io::{Read, Write};

use anyhow::{Context, bail};

use crate::auth::api_key::{CallerKey, KeyDigest};
use crate::secret::{ExposeSecret, SecretString};

/// No header is longer than this, so no key is.
const KEY_BYTES_MAX: u64 = 64 * 1024;

/// Make a caller's key and the policy lines that let it in.
///
/// The key is shown once and kept nowhere: hand it to the caller. The policy holds only its SHA-256.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A name for the key; access log and limits by key use it.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Hash the key on standard input instead of making one: `--of -`.
    // No value but `-` is taken: arguments show in `ps` and stay in the shell's history.
    #[arg(long, value_name = "-")]
    of: Option<SecretString>,
}

/// Prints a new key, its digest and the lines for the policy; or, with `--of -`, the latter two for the key on `input`.
///
/// # Errors
/// Where the system has no random bits, `--of` is not `-`, `input` holds no key, or `out` fails.
pub fn run(args: &Args, input: &mut impl Read, out: &mut impl Write) -> anyhow::Result<()> {
    let digest = match &args.of {
        None => {
            let key = CallerKey::generate()?;
            writeln!(out, "key:    {}", key.expose())?;
            key.digest()
        }
        Some(from) if from.expose_secret() == "-" => given(input)?,
        Some(_) => bail!(
            "a key on the command line shows in `ps` and stays in the shell's history; pipe it to `--of -`"
        ),
    };
    writeln!(out, "sha256: {}\n", digest.hex())?;
    writeln!(out, "Under the tenant's `match:`, in the policy:\n")?;
    writeln!(out, "      - {}", entry(digest, args.name.as_deref()))?;
    Ok(())
}

fn given(input: &mut impl Read) -> anyhow::Result<KeyDigest> {
    let mut text = String::new();
    input.take(KEY_BYTES_MAX).read_to_string(&mut text).context("no key on standard input")?;
    let key = SecretString::from(text.trim());
    if key.expose_secret().is_empty() {
        bail!("no key on standard input");
    }
    if !key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!(
            "the key on standard input holds characters that no header carries: use visible ASCII without spaces"
        );
    }
    Ok(KeyDigest::of(key.expose_secret()))
}

fn entry(digest: KeyDigest, name: Option<&str>) -> String {
    let hex = digest.hex();
    match name {
        // JSON's strings are YAML's double-quoted ones: no name can break out of the line.
        Some(name) => format!("{{ apiKeySha256: \"{hex}\", name: {} }}", serde_json::Value::from(name)),
        None => format!("{{ apiKeySha256: \"{hex}\" }}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_sound() {
        <Args as clap::Args>::augment_args(clap::Command::new("key")).debug_assert();
    }

    fn printed(args: &Args, input: &str) -> anyhow::Result<String> {
        let mut out = Vec::new();
        run(args, &mut input.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn a_new_key_comes_with_its_digest_and_a_line_to_paste() {
        let text = printed(&Args { name: Some("ci".into()), of: None }, "").unwrap();
        let key = text.lines().next().unwrap().strip_prefix("key:    ").unwrap();
        let hex = KeyDigest::of(key).hex();
        assert!(text.contains(&format!("sha256: {hex}\n")));
        assert!(text.ends_with(&format!("- {{ apiKeySha256: \"{hex}\", name: \"ci\" }}\n")));
    }

    #[test]
    fn a_given_key_is_hashed_without_its_line_break_and_not_shown() {
        let text = printed(&Args { name: None, of: Some("-".into()) }, "abc\n").unwrap();
        assert!(text.contains(&KeyDigest::of("abc").hex()));
        assert!(!text.contains("key:"));
    }

    #[test]
    fn keys_are_not_taken_from_the_command_line_nor_from_nothing() {
        let refused = printed(&Args { name: None, of: Some("sk-hush".into()) }, "").unwrap_err();
        assert!(!format!("{refused:?}").contains("hush"));
        for input in ["", " \n", "two words", "schlüssel"] {
            assert!(printed(&Args { name: None, of: Some("-".into()) }, input).is_err(), "{input:?}");
        }
    }

    #[test]
    fn a_name_cannot_break_out_of_its_line() {
        let line = entry(KeyDigest::of("k"), Some("a\"}\n- evil: {"));
        assert_eq!(line.lines().count(), 1);
    }
}
