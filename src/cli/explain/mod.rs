//! `egret explain`: says what would become of a call.

mod text;

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use serde_json::Value;

use crate::app::{chain, rehearsal};
use crate::cli::overlay_args::OverlayArgs;
use crate::cli::unless_closed;
use crate::clock::Clock;
use crate::policy::origin::Origins;
use crate::policy::{compile, load};
use crate::scenario::{Counted, Inquiry, explained};

/// The longest request that is read, in bytes.
const REQUEST_BYTES_MAX: u64 = 32 << 20;

/// Says what would become of a call, and why: who it is, what it may use, what each limit would hold of it, who would be
/// tried in which order, what would be sent, and what it costs at most.
///
/// The stages of serving decide, offline: no key is read, nobody is asked, nothing is counted. Each target is taken to
/// fail, so that the whole order shows. A running egret explains calls as things stand there: POST the JSON of --request
/// to /explain of its admin port.
///
/// Exit codes: 0 somebody would be tried; 1 the call would be refused, or would wait for room; 2 the policy is faulty or
/// unreadable, it has not what the request names, or the command line is wrong.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The policy: a YAML file, or a directory of them.
    #[arg(long, env = "EGRET_POLICY", value_name = "PATH")]
    policy: PathBuf,
    #[command(flatten)]
    overlay: OverlayArgs,
    /// The tenant that calls. Default: that of callers on loopback without a key.
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// The name of the tenant's key with which it calls.
    #[arg(long, value_name = "NAME", requires = "tenant")]
    key_name: Option<String>,
    /// The API key with which it calls, on standard input: `--key -`.
    // No value but `-` is taken: arguments show in `ps` and stay in the shell's history.
    #[arg(long, value_name = "-", conflicts_with = "tenant")]
    key: Option<String>,
    /// The token with which it calls, on standard input. Not built yet: policies know callers by API keys alone.
    #[arg(long, value_name = "-", hide = true)]
    jwt: Option<String>,
    /// The name asked for.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// By which operation.
    #[arg(long, value_name = "API", value_parser = ["chat", "responses", "messages", "generateContent", "completions", "embeddings"])]
    api: Option<String>,
    /// How long the prompt is, in tokens as egret estimates them. Default: a few words.
    #[arg(long, value_name = "TOKENS")]
    input_tokens: Option<u32>,
    /// The bound on output that the caller names.
    #[arg(long, value_name = "TOKENS")]
    max_tokens: Option<u32>,
    /// The call is a stream.
    #[arg(long)]
    stream: bool,
    /// A header of the call: `--header 'x-egret-task: code'`; several: repeat it.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// What the call says under `metadata`: `--metadata task=code`; several: repeat it.
    #[arg(long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    /// A file with the whole JSON body of the call, as an SDK sends it; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input_tokens", "max_tokens", "metadata"])]
    body: Option<PathBuf>,
    /// When the call comes: 2026-03-02T09:00:00Z. Default: now.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// What a limit has counted before: `--usage shop/month=499.00`, `--usage provider:openai/tpm=900000`, and
    /// `--usage shop/perUser@ann=90` of a limit with `each`; several: repeat it.
    #[arg(long, value_name = "OWNER/LIMIT=AMOUNT", value_parser = counted)]
    usage: Vec<Counted>,
    /// A provider that is down: its breakers are open; several: repeat it.
    #[arg(long, value_name = "PROVIDER")]
    down: Vec<String>,
    /// A JSON file with all of this, in the place of the flags; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tenant", "key", "model", "api", "input_tokens", "max_tokens", "stream", "headers", "metadata", "body", "at", "usage", "down"])]
    request: Option<PathBuf>,
    /// What is printed: text for people, json for machines.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// One object.
    Json,
}

/// Explains one call.
///
/// # Errors
/// The system gives no runtime. What is wrong with policy or request is printed.
pub fn run(args: &Args, input: &mut impl Read, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let unready = |fault: String, out: &mut dyn Write| -> anyhow::Result<ExitCode> {
        writeln!(out, "{fault}")?;
        Ok(ExitCode::from(2))
    };
    let inquiry = match args.inquiry(input) {
        Ok(inquiry) => inquiry,
        Err(error) => return unready(format!("error: {error:#}"), out),
    };
    let sources = match load::read_with(&args.policy, &args.overlay.paths()) {
        Ok(sources) => sources,
        Err(error) => return unready(format!("error: {}", chain(&error)), out),
    };
    let policy = match compile::rehearse(&sources) {
        Ok((policy, _)) => Arc::new(policy),
        Err(found) => {
            return unready(format!("{found}\n\n{}: the policy is faulty", args.policy.display()), out);
        }
    };
    let question = match inquiry.under(&policy) {
        Ok(question) => question,
        Err(fault) => return unready(format!("error: {fault}"), out),
    };
    let explanation = rehearsal::explain(&policy, question, Clock::system().wall())?;
    let origins = Origins::of(&sources);
    let places = |path: &[&str]| origins.at(path).map(|origin| origin.to_string());
    let told = match args.format {
        Format::Text => text::write(&explanation, &places, out),
        Format::Json => writeln!(out, "{:#}", explained::json(&explanation, &places)),
    };
    // Who closed the pipe has read enough; the exit code still tells.
    unless_closed(told.and_then(|()| out.flush()))?;
    Ok(ExitCode::from(u8::from(explanation.refused.is_some())))
}

impl Args {
    fn inquiry(&self, input: &mut impl Read) -> anyhow::Result<Inquiry> {
        if self.jwt.is_some() {
            bail!("callers by token are not built yet: policies know callers by API keys alone (`--key -`)");
        }
        if let Some(path) = &self.request {
            let json = read(path, input)?;
            return Inquiry::read(&json).map_err(anyhow::Error::msg);
        }
        let body = match &self.body {
            None => None,
            Some(path) => {
                let json = read(path, input)?;
                Some(serde_json::from_slice(&json).context("--body is no JSON object")?)
            }
        };
        let key = match self.key.as_deref() {
            None => None,
            Some(key) if key != "-" => {
                bail!(
                    "a key on the command line shows in `ps` and stays in the shell's history; pipe it to `--key -`"
                )
            }
            Some(_) if body.is_some() && self.body.as_ref().is_some_and(|path| path.as_os_str() == "-") => {
                bail!("--key and --body both want standard input")
            }
            Some(_) => {
                let key = String::from_utf8(read("-".as_ref(), input)?).context("the key is no text")?;
                Some(key.trim().to_owned())
            }
        };
        Ok(Inquiry {
            tenant: self.tenant.clone(),
            key_name: self.key_name.clone(),
            key,
            model: self.model.clone(),
            api: self.api.clone(),
            input_tokens: self.input_tokens,
            input: None,
            max_tokens: self.max_tokens,
            stream: self.stream,
            headers: self.headers.iter().map(|value| header(value)).collect::<Result<_, _>>()?,
            metadata: self.metadata.iter().map(|value| pair(value)).collect::<Result<_, _>>()?,
            body,
            at: self.at.clone(),
            usage: self.usage.clone(),
            down: self.down.clone(),
        })
    }
}

/// What a file holds, or standard input.
fn read(path: &std::path::Path, input: &mut impl Read) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        input.take(REQUEST_BYTES_MAX).read_to_end(&mut bytes).context("standard input")?;
    } else {
        let file = fs::File::open(path).with_context(|| path.display().to_string())?;
        file.take(REQUEST_BYTES_MAX).read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
    }
    Ok(bytes)
}

// What cannot be read is not repeated: it may be a key.

fn header(value: &str) -> anyhow::Result<(String, String)> {
    let (name, value) =
        value.split_once(':').context("--header: write a name, a colon and a value: `x-egret-task: code`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn pair(value: &str) -> anyhow::Result<(String, String)> {
    let (name, value) =
        value.split_once('=').context("--metadata: write a name, `=` and a value: `task=code`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// `shop/month=499.00`, `shop/perUser@ann=90`, `provider:openai/tpm=900000`
fn counted(value: &str) -> Result<Counted, String> {
    let hint = || "write whose limit it is, its name and how much: `shop/month=499.00`".to_owned();
    let (whose, amount) = value.rsplit_once('=').ok_or_else(hint)?;
    let (owner, limit) = whose.split_once('/').ok_or_else(hint)?;
    let (limit, of) = match limit.split_once('@') {
        Some((limit, of)) => (limit, Some(of.to_owned())),
        None => (limit, None),
    };
    let (tenant, provider) = match owner.split_once(':') {
        Some(("provider", name)) => (None, Some(name.to_owned())),
        Some(("tenant", name)) => (Some(name.to_owned()), None),
        Some(_) => return Err(hint()),
        None => (Some(owner.to_owned()), None),
    };
    Ok(Counted { tenant, provider, limit: limit.to_owned(), amount: Value::from(amount), of })
}

#[cfg(test)]
mod tests;
