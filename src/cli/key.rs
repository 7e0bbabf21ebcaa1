//! `egret key`: makes callers' keys, or hashes them.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::auth::api_key::{CallerKey, KeyDigest};
use crate::policy::compile::is_name;
use crate::secret::{ExposeSecret, SecretString};

/// No header is longer than this, so no key is; so many keys are read at most.
const INPUT_BYTES_MAX: u64 = 64 * 1024;

/// What people at a terminal are told, on standard error.
pub(super) const IN_A_TERMINAL: &str =
    "note: this terminal keeps what it has shown; `--key-to FILE` puts keys into a file instead";

/// Makes callers' keys and the policy lines that let them in.
///
/// A key is shown once and kept nowhere: hand it to the caller. The policy holds only its SHA-256. With `--key-to` it
/// goes into a new file that only you can read, and is not shown at all.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  egret key --name ci
  egret key --name ci --user pipeline --app checkout-api --key-to ci.key
  egret key --name batch --count 3 --format json
  printf %s \"$KEY\" | egret key --of - --format yaml")]
pub struct Args {
    /// A name for the key; access log and limits with `each: key` use it. Of several keys it is NAME-1, NAME-2, ...
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The user behind it, for limits with `each: user`.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// The application behind it, for limits with `each: app`.
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    /// How many to make, up to 1000.
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(NonZeroU16), conflicts_with = "of")]
    count: NonZeroU16,
    /// Hash the keys on standard input, one a line, instead of making any: `--of -`.
    // No value but `-` is taken: arguments show in `ps` and stay in the shell's history.
    #[arg(long, value_name = "-")]
    of: Option<SecretString>,
    /// Write the keys into a new file, one a line, that only its owner can read, and do not show them.
    #[arg(long, value_name = "FILE", conflicts_with = "of")]
    key_to: Option<PathBuf>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How keys are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For machines, one array
    Json,
    /// Only the lines for the policy; of new keys with `--key-to` alone, so that none lands in a policy
    Yaml,
}

/// The most keys that are made at once.
const MOST: u16 = 1000;

/// One key of a caller.
struct Entry {
    /// None where it is not to be shown.
    key: Option<CallerKey>,
    digest: KeyDigest,
    name: Option<String>,
}

/// Whether keys are written to standard output.
pub(super) fn shows_keys(args: &Args) -> bool {
    args.of.is_none() && args.key_to.is_none()
}

/// Prints new keys, their digests and the lines for the policy; or, with `--of -`, the latter two for the keys on `input`.
///
/// # Errors
/// Where the system has no random bits, `--of` is not `-`, `input` holds no key, a file cannot be made or `out` fails.
pub fn run(args: &Args, input: &mut impl Read, out: &mut impl Write) -> anyhow::Result<()> {
    if args.format == Format::Yaml && shows_keys(args) {
        bail!("lines for a policy must hold no key: say `--key-to FILE`, where the key is to go");
    }
    if let Some(name) = &args.name {
        is_name(name)
            .map_err(|hint| anyhow!("`{}` cannot be the name of a key: {hint}", name.escape_debug()))?;
    }
    let mut entries = match &args.of {
        None => made(args)?,
        Some(from) if from.expose_secret() == "-" => given(args, input)?,
        Some(_) => bail!(
            "a key on the command line shows in `ps` and stays in the shell's history; pipe it to `--of -`"
        ),
    };
    if let Some(path) = &args.key_to {
        keep(path, &entries).with_context(|| format!("cannot write {}", path.display()))?;
        entries.iter_mut().for_each(|entry| entry.key = None);
    }
    let text = match args.format {
        Format::Text => text(args, &entries),
        Format::Json => format!("{:#}\n", entries.iter().map(|entry| json(args, entry)).collect::<Value>()),
        Format::Yaml => lines(args, &entries),
    };
    out.write_all(text.as_bytes())?;
    Ok(())
}

fn made(args: &Args) -> anyhow::Result<Vec<Entry>> {
    if args.count.get() > MOST {
        bail!("{} keys are more than are made at once, {MOST}", args.count);
    }
    let count = usize::from(args.count.get());
    let entry = |at| {
        let key = CallerKey::generate()?;
        Ok(Entry { digest: key.digest(), key: Some(key), name: name(args, at, count) })
    };
    (0..count).map(entry).collect()
}

fn given(args: &Args, input: &mut impl Read) -> anyhow::Result<Vec<Entry>> {
    let mut text = String::new();
    let read =
        input.take(INPUT_BYTES_MAX + 1).read_to_string(&mut text).context("no key on standard input")?;
    if read as u64 > INPUT_BYTES_MAX {
        bail!("more than {INPUT_BYTES_MAX} bytes on standard input, which are no keys");
    }
    // Wiped when it goes.
    let text = SecretString::from(text);
    let keys: Vec<&str> = text.expose_secret().lines().map(str::trim).filter(|key| !key.is_empty()).collect();
    if keys.is_empty() {
        bail!("no key on standard input");
    }
    if !keys.iter().all(|key| key.bytes().all(|byte| byte.is_ascii_graphic())) {
        bail!(
            "a key on standard input holds characters that no header carries: use visible ASCII without spaces"
        );
    }
    let entry = |(at, key): (usize, &&str)| Entry {
        key: None,
        digest: KeyDigest::of(key),
        name: name(args, at, keys.len()),
    };
    Ok(keys.iter().enumerate().map(entry).collect())
}

fn name(args: &Args, at: usize, count: usize) -> Option<String> {
    let name = args.name.as_ref()?;
    Some(if count == 1 { name.clone() } else { format!("{name}-{}", at + 1) })
}

/// Writes the keys into a file that was not there before.
fn keep(path: &Path, entries: &[Entry]) -> anyhow::Result<()> {
    // Its mode is said when it is made: a moment later would be too late.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    for key in entries.iter().filter_map(|entry| entry.key.as_ref()) {
        writeln!(file, "{}", key.expose())?;
    }
    Ok(file.sync_all()?)
}

fn text(args: &Args, entries: &[Entry]) -> String {
    let mut text = String::new();
    for entry in entries {
        if let Some(name) = entry.name.as_ref().filter(|_| entries.len() > 1) {
            text += &format!("name:   {}\n", name.escape_debug());
        }
        if let Some(key) = &entry.key {
            text += &format!("key:    {}\n", key.expose());
        }
        text += &format!("sha256: {}\n\n", entry.digest.hex());
    }
    let indented: String = lines(args, entries).lines().map(|line| format!("      {line}\n")).collect();
    text + &format!("Under the tenant's `match:`, in the policy:\n\n{indented}")
}

fn json(args: &Args, entry: &Entry) -> Value {
    let mut value = json!({ "match": fields(args, entry).collect::<serde_json::Map<_, _>>() });
    if let Some(key) = &entry.key {
        value["key"] = key.expose().into();
    }
    value
}

fn lines(args: &Args, entries: &[Entry]) -> String {
    // JSON's strings are YAML's double-quoted ones: no name can break out of its line.
    let line = |entry: &Entry| {
        let fields: Vec<_> = fields(args, entry).map(|(name, value)| format!("{name}: {value}")).collect();
        format!("- {{ {} }}\n", fields.join(", "))
    };
    entries.iter().map(line).collect()
}

/// An entry of a tenant's `match`.
fn fields<'a>(args: &'a Args, entry: &'a Entry) -> impl Iterator<Item = (String, Value)> + use<'a> {
    let fields = [
        ("apiKeySha256", Some(entry.digest.hex())),
        ("name", entry.name.clone()),
        ("user", args.user.clone()),
        ("app", args.app.clone()),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
}

#[cfg(test)]
mod tests;
