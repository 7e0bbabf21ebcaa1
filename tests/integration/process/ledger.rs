//! Counts in a file, over processes that end well, are killed, or cannot begin.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::spawn;

use serde_json::Value;

use super::client::{Connection, chat};
use super::policy::with;
use super::provider::Provider;
use super::support::{Egret, PolicyFile, egret, eventually, output};

/// Calls at once.
const CALLERS: u64 = 4;
/// Processes that are killed.
const ROUNDS: u64 = 15;
/// Tokens per month: the most that is written ahead is a 32nd, or what a call or two may use.
const TOKENS: u64 = 1_000_000;
/// More than one call of the policy holds: its input by estimate and 1000 tokens of output.
const CALL: u64 = 1_500;

fn used(egret: &Egret, limit: &str) -> u64 {
    let usage = egret.json("/usage");
    let cells = usage["limits"].as_array().unwrap();
    let cell =
        cells.iter().find(|cell| cell["limit"] == limit).unwrap_or_else(|| panic!("no {limit}: {usage}"));
    assert_eq!(cell["durable"], true);
    cell["used"].as_u64().unwrap()
}

fn budget(provider: &Provider) -> PolicyFile {
    let fake = format!("{{ dialect: openai, baseUrl: \"http://{}/v1\" }}", provider.address);
    let limits =
        format!("{{ month: {{ tokens: {TOKENS}, per: month }}, rpm: {{ requests: 1000000, per: 31d }} }}");
    PolicyFile::new(&with(&fake, "[small]", &limits))
}

/// Calls until the process is gone; adds up the tokens of whole answers.
fn call_until_killed(
    egret: &Egret,
    tokens: &Arc<AtomicU64>,
    answers: &Arc<AtomicU64>,
) -> std::thread::JoinHandle<()> {
    let (to, tokens, answers) = (egret.listen, Arc::clone(tokens), Arc::clone(answers));
    spawn(move || {
        let mut connection = Connection::open(to);
        loop {
            if !connection.sends(&chat("small")) {
                return;
            }
            let Ok(answer) = connection.answer() else { return };
            assert_eq!(answer.status, 200, "{}", answer.body);
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            tokens.fetch_add(body["usage"]["total_tokens"].as_u64().unwrap(), Ordering::Relaxed);
            answers.fetch_add(1, Ordering::Relaxed);
        }
    })
}

#[test]
fn a_process_that_is_killed_again_and_again_never_forgets_an_answer() {
    let provider = Provider::prompt();
    let policy = budget(&provider);
    let place = format!("file:{}", policy.beside("ledger").display());
    let run = || Egret::run(&policy.path, &["--ledger", &place]);
    let (tokens, answers) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    for round in 0..ROUNDS {
        let egret = run();
        let (told, calls) = (tokens.load(Ordering::Relaxed), answers.load(Ordering::Relaxed));
        // Each that was killed may have had so much ahead, and each of its callers a call under way.
        let most = round * ((TOKENS / 32).max(CALLERS * CALL) + CALLERS * CALL);
        let found = used(&egret, "month");
        assert!((told..=told + most).contains(&found), "round {round}: {found} of {told}");
        assert!(used(&egret, "rpm") + 1 >= calls, "round {round}");
        let callers: Vec<_> = (0..CALLERS).map(|_| call_until_killed(&egret, &tokens, &answers)).collect();
        eventually("some answers", || answers.load(Ordering::Relaxed) >= calls + 10 + 7 * round);
        egret.signal("KILL");
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        drop(egret);
    }
    assert!(answers.load(Ordering::Relaxed) > 10 * ROUNDS);

    let egret = run();
    assert_eq!(Connection::open(egret.listen).ask(&chat("small")).status, 200);
    let before = used(&egret, "month");
    egret.signal("TERM");
    assert_eq!(egret.left().code, Some(0));
    assert_eq!(used(&run(), "month"), before, "a clean stop gives back what was ahead");
}

#[test]
fn a_ledger_that_cannot_be_used_ends_the_start_with_a_sentence() {
    let provider = Provider::prompt();
    let policy = budget(&provider);
    let run = |place: &str| {
        let mut command = egret("run");
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--ledger", place]);
        let ended = output(command.arg("--policy").arg(&policy.path));
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    let file = |path: &Path| format!("file:{}", path.display());
    let notes = policy.beside("notes.txt");
    fs::write(&notes, "not a ledger\n").unwrap();
    let (code, said) = run(&file(&notes));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("notes.txt is not a ledger of this version of egret"), "{said}");

    let running = Egret::run(&policy.path, &["--ledger", &file(&policy.beside("ledger"))]);
    let (code, said) = run(&file(&policy.beside("ledger")));
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said.matches("in use by another process").count(), 1, "{said}");
    drop(running);

    let (code, said) = run("file:/proc/no/such/ledger");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("/proc/no/such/ledger cannot be opened or written"), "{said}");
    for (place, says) in [("redis://cache:6379", "not built yet"), ("disk", "`memory` or `file:PATH`")] {
        let (code, said) = run(place);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(says), "{said}");
    }
}
