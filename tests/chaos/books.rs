//! The books: what callers heard, call by call, against the access log, and the sums of that against the ledger.

use std::collections::HashMap;
use std::fmt::Display;
use std::ops::AddAssign;

use egret::limits::ledger::CellUse;
use egret::limits::{Owner, Unit};
use parking_lot::Mutex;
use serde_json::Value;

use crate::answer::Heard;
use crate::ask::Ask;
use crate::policy::{Tenant, nanos_per_token};
use crate::provider::PROVIDERS;

/// So many faults are told; the others are counted.
const TOLD: usize = 20;
/// Tokens of output that are held for a call at most.
const HELD: u64 = 64;

/// All books. Shared by every caller.
#[derive(Default)]
pub(crate) struct Books(Mutex<Open>);

#[derive(Default)]
struct Open {
    faults: Vec<String>,
    further_faults: u64,
    heard: HashMap<u64, (Ask, Heard)>,
    records: HashMap<u64, Value>,
    /// What each tenant's calls came to.
    tenants: HashMap<&'static str, Spent>,
    /// Tries at each provider that were written: surely, and with those that may have been.
    tries: [Range; PROVIDERS],
    sum: Sum,
}

/// What calls came to.
#[derive(Clone, Copy, Default)]
struct Spent {
    /// Calls of which a try was written: surely, and with those of which one may have been.
    calls: Range,
    input: Range,
    output: Range,
    /// Of answers, in billionths of a dollar.
    nanos: u64,
}

/// From the least to the most.
#[derive(Clone, Copy, Default)]
struct Range(u64, u64);

impl AddAssign for Range {
    fn add_assign(&mut self, other: Self) {
        *self = Self(self.0 + other.0, self.1 + other.1);
    }
}

/// What happened, all in all.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum {
    /// Calls that were tried anywhere.
    pub(crate) tried: u64,
    pub(crate) tries: u64,
    /// Answers of which another was asked before.
    pub(crate) fallbacks: u64,
    pub(crate) hedged_away: u64,
    /// Calls that were matched with what their callers heard.
    pub(crate) matched: u64,
    pub(crate) longest_ms: u64,
}

impl Books {
    /// Something is wrong.
    pub(crate) fn fault(&self, what: impl Display) {
        let mut open = self.0.lock();
        if open.faults.len() < TOLD {
            open.faults.push(what.to_string());
        } else {
            open.further_faults += 1;
        }
    }

    /// What is wrong: so many faults, of which the first are told.
    pub(crate) fn faults(&self) -> (u64, Vec<String>) {
        let open = self.0.lock();
        (open.faults.len() as u64 + open.further_faults, open.faults.clone())
    }

    /// What happened so far.
    pub(crate) fn sum(&self) -> Sum {
        self.0.lock().sum
    }

    /// Notes what a caller heard.
    pub(crate) fn heard(&self, ask: Ask, heard: Heard) {
        let mut open = self.0.lock();
        match open.records.remove(&ask.id) {
            Some(record) => self.enter(open, &ask, &heard, &record),
            None => drop(open.heard.insert(ask.id, (ask, heard))),
        }
    }

    /// Notes a line of the access log.
    pub(crate) fn record(&self, record: Value) {
        let id = record["caller_request_id"].as_str().and_then(|id| id.parse::<u64>().ok());
        let Some(id) = id else { return self.fault(format!("a call of nobody: {record}")) };
        let mut open = self.0.lock();
        match open.heard.remove(&id) {
            Some((ask, heard)) => self.enter(open, &ask, &heard, &record),
            None => {
                if open.records.insert(id, record).is_some() {
                    drop(open);
                    self.fault(format!("call {id} has two lines in the log"));
                }
            }
        }
    }

    fn enter(&self, mut open: parking_lot::MutexGuard<'_, Open>, ask: &Ask, heard: &Heard, record: &Value) {
        open.enter(ask, heard, record);
        drop(open);
        if let Err(why) = agrees(ask, heard, record) {
            self.fault(format!("{why}: {ask:?} heard {heard:?}, the log says {record}"));
        }
    }

    /// Compares with the ledger, when all calls have ended.
    pub(crate) fn close(&self, cells: &[CellUse]) {
        let faults = {
            let open = self.0.lock();
            let mut faults = open.unmatched();
            faults.extend(held(cells));
            faults.extend(open.of_tenants(cells));
            faults.extend(open.of_providers(cells));
            faults
        };
        faults.iter().for_each(|fault| self.fault(fault));
    }
}

/// How a try ended that cost nothing.
const FREE: [&str; 14] = [
    "error_status",
    "rate_limited",
    "key_refused",
    "out_of_credit",
    "model_unknown",
    "context_too_long",
    "conflict",
    "error_in_answer",
    "strange_status",
    "resolve",
    "connect",
    "tls",
    "connect_timeout",
    "key_missing",
];
/// How one ended that was never written.
const UNWRITTEN: [&str; 5] = ["resolve", "connect", "tls", "connect_timeout", "key_missing"];

/// How one ended that may have been given up before a connection had taken it: then it was not written either, and the log
/// has no other word for that.
const PERHAPS_UNWRITTEN: [&str; 4] =
    ["hedged_away", "answer_timeout", "first_token_timeout", "total_timeout"];

/// Whether a try was written: surely, and perhaps.
fn written(attempt: &Value) -> Range {
    let outcome = attempt["outcome"].as_str().unwrap_or_default();
    let perhaps = !UNWRITTEN.contains(&outcome);
    Range(u64::from(perhaps && !PERHAPS_UNWRITTEN.contains(&outcome)), u64::from(perhaps))
}

impl Open {
    fn enter(&mut self, ask: &Ask, heard: &Heard, record: &Value) {
        let none = Vec::new();
        let attempts = record["attempts"].as_array().unwrap_or(&none);
        let outcome = |attempt: &Value| attempt["outcome"].as_str().unwrap_or_default().to_owned();
        let mut call = Range::default();
        for attempt in attempts {
            let number =
                attempt["provider"].as_str().and_then(|name| name.strip_prefix('p')?.parse::<usize>().ok());
            if let Some(tries) = number.and_then(|number| self.tries.get_mut(number - 1)) {
                let written = written(attempt);
                *tries += written;
                call = Range(call.0.max(written.0), call.1.max(written.1));
            }
        }
        self.sum.matched += 1;
        self.sum.tried += u64::from(!attempts.is_empty());
        self.sum.tries += attempts.len() as u64;
        self.sum.hedged_away +=
            attempts.iter().filter(|attempt| outcome(attempt) == "hedged_away").count() as u64;
        self.sum.fallbacks += u64::from(attempts.len() > 1 && record["outcome"] == "answered");
        self.sum.longest_ms = self.sum.longest_ms.max(record["duration_ms"].as_f64().unwrap_or(0.0) as u64);
        let spent = self.tenants.entry(ask.tenant.name()).or_default();
        spent.calls += call;
        spent.pays(ask, heard, record, attempts);
    }

    /// Calls that were heard or logged, not both.
    fn unmatched(&self) -> Vec<String> {
        // Who leaves at once may never have been heard.
        let unlogged = self.heard.values().filter(|(_, heard)| *heard != Heard::Left);
        let unlogged = unlogged.map(|(ask, heard)| format!("not in the log: {ask:?} heard {heard:?}"));
        let unheard = self.records.values().map(|record| format!("in the log, heard by nobody: {record}"));
        unlogged.chain(unheard).collect()
    }

    fn of_tenants(&self, cells: &[CellUse]) -> Vec<String> {
        let mut faults = Vec::new();
        for tenant in Tenant::ALL {
            let Some(spent) = self.tenants.get(tenant.name()) else { continue };
            let mut expect = |key: &str, expected: Range| {
                let used = book(
                    cells,
                    key,
                    |owner| matches!(owner, Owner::Tenant(id) if id.as_str() == tenant.name()),
                );
                if used < expected.0 || used > expected.1 {
                    let Range(least, most) = expected;
                    faults.push(format!("{key} of {} says {used}, not {least} to {most}", tenant.name()));
                }
            };
            expect("bookCalls", spent.calls);
            expect("bookInput", spent.input);
            expect("bookOutput", spent.output);
            expect("bookTokens", Range(spent.input.0 + spent.output.0, spent.input.1 + spent.output.1));
            let most = if tenant == Tenant::Plain { spent.nanos } else { u64::MAX };
            expect("bookMoney", Range(spent.nanos, most));
        }
        faults
    }

    /// What tenants have paid is what providers were paid for.
    fn of_providers(&self, cells: &[CellUse]) -> Vec<String> {
        let mut faults = Vec::new();
        for key in ["bookInput", "bookOutput", "bookTokens", "bookMoney"] {
            let tenants = book(cells, key, |owner| matches!(owner, Owner::Tenant(_)));
            let providers = book(cells, key, |owner| matches!(owner, Owner::Provider(_)));
            if tenants != providers {
                faults.push(format!("{key}: {tenants} of all tenants, {providers} of all providers"));
            }
        }
        for (number, tries) in (1..).zip(self.tries) {
            let name = format!("p{number}");
            let counted =
                book(cells, "bookCalls", |owner| matches!(owner, Owner::Provider(id) if id.as_str() == name));
            let Range(least, most) = tries;
            if counted < least || counted > most {
                faults.push(format!("bookCalls of {name} says {counted}, the log {least} to {most} tries"));
            }
        }
        faults
    }
}

impl Spent {
    fn pays(&mut self, ask: &Ask, heard: &Heard, record: &Value, attempts: &[Value]) {
        let usage = &record["usage"];
        let told = usage.is_object().then(|| {
            let part = |name: &str| usage[name].as_u64().unwrap_or(0);
            (part("total_input"), part("total_output"))
        });
        // No estimate has more tokens than the request has bytes, and some for its frame.
        let most = record["bytes_in"].as_u64().unwrap_or(0) + 64;
        let ended = record["outcome"].as_str().unwrap_or_default();
        let paid = attempts.iter().filter(|attempt| !is_free(attempt)).map(written);
        let mut given_up = Range::default();
        paid.for_each(|try_| given_up += try_);
        match (ended, told) {
            ("answered", Some((input, output))) => {
                self.input += Range(input, input);
                self.output += Range(output, output);
                self.nanos += cost(record, (input, output));
            }
            // It ended without a report: charged is what was held for it.
            ("answered", None) => {
                self.input += Range(1, most);
                self.output += Range(0, HELD);
            }
            ("stream_interrupted", told) => {
                given_up = Range(given_up.0.saturating_sub(1), given_up.1.saturating_sub(1));
                let heard = if let Heard::Broken(words) = heard { *words } else { 0 };
                let (input, output) = told.unwrap_or((0, heard));
                self.input += Range(input.min(ask.words), most);
                self.output += Range(output, HELD + output);
            }
            ("client_gone", _) => {
                self.input += Range(0, most);
                self.output += Range(0, HELD);
            }
            _ => {}
        }
        if !ask.tenant.pays_for_answers_alone() {
            // Every request has a token at least.
            self.input += Range(given_up.0, most * given_up.1);
        }
    }
}

/// Whether a try cost nothing, or what its answer did.
fn is_free(attempt: &Value) -> bool {
    attempt["outcome"].as_str().is_some_and(|outcome| outcome == "answered" || FREE.contains(&outcome))
}

fn cost(record: &Value, usage: (u64, u64)) -> u64 {
    let provider = record["provider"].as_str().and_then(|name| name.strip_prefix('p')?.parse().ok());
    let price = nanos_per_token(provider.unwrap_or(0));
    usage.0 * price.0 + usage.1 * price.1
}

/// The sum of a book's cells.
fn book(cells: &[CellUse], key: &str, of: impl Fn(&Owner) -> bool) -> u64 {
    cells.iter().filter(|cell| cell.key.as_str() == key && of(&cell.owner)).map(|cell| cell.settled).sum()
}

/// Nothing is held when nobody calls.
fn held(cells: &[CellUse]) -> Vec<String> {
    let held =
        cells.iter().filter(|cell| cell.reserved > 0 || cell.unit == Unit::Concurrent && cell.settled > 0);
    held.map(|cell| format!("still held: {cell:?}")).collect()
}

/// Whether a caller heard what the log says.
fn agrees(ask: &Ask, heard: &Heard, record: &Value) -> Result<(), &'static str> {
    if record["tenant"] != ask.tenant.name() || record["stream"] != ask.stream {
        return Err("another call");
    }
    let ended = record["outcome"].as_str().unwrap_or_default();
    let fits = match heard {
        Heard::Whole { .. } => ended == "answered",
        Heard::Broken(_) => {
            matches!(ended, "stream_interrupted" | "upstream_failed" | "upstream_error" | "refused")
        }
        Heard::Busy => ended == "fixed_answer",
        Heard::Error(..) => matches!(ended, "refused" | "upstream_failed" | "upstream_error"),
        Heard::Left => true,
    };
    if !fits {
        return Err("another end");
    }
    match heard {
        Heard::Error(status, _) if record["status"] != *status => Err("another status"),
        Heard::Whole { provider, .. } if record["provider"] != format!("p{provider}") => {
            Err("another provider")
        }
        Heard::Whole { usage: Some((input, output)), .. }
            if record["usage"]["total_input"] != *input
                || record["usage"]["total_output"].as_u64().unwrap_or(0) != *output =>
        {
            Err("another usage")
        }
        Heard::Whole { provider, usage: Some((input, output)) } => {
            let price = nanos_per_token(*provider);
            // What is read as a binary fraction is right again to the billionth.
            let told = record["cost_usd"].as_f64().map(|dollars| (dollars * 1e9).round() as u64);
            if told == Some(input * price.0 + output * price.1) { Ok(()) } else { Err("another cost") }
        }
        Heard::Whole { .. } | Heard::Broken(_) | Heard::Busy | Heard::Error(..) | Heard::Left => Ok(()),
    }
}
