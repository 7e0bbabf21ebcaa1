//! What comes of every fault of a provider: one table, `tests/fixtures/failover/matrix.tsv`.
//!
//! Each row is a fault and where in the answer it strikes, and what follows of it for a plain call and for a stream: how
//! the log calls the first try, what the caller gets, how many tries there were, and what the failed one is charged.
//! Every row is tried, plain and as a stream, under every strategy. The README shows what came of it.

mod network;
mod trial;

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::OnceLock;

use egret::mock::{ErrorCode, Fault};
use tokio::runtime::Builder;

use self::trial::{STRATEGIES, Struck, input, tried};

const TABLE: &str = include_str!("../fixtures/failover/matrix.tsv");

/// Where in an answer a fault may strike.
const PLACES: [&str; 7] = [
    "before the head",
    "in the head",
    "behind the head",
    "before the first token",
    "after the first token",
    "after the finish reason",
    "throughout",
];

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    fault: String,
    place: String,
    plain: Came,
    stream: Came,
}

/// What came of a call whose first provider had a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Came {
    /// How the log calls the first try.
    outcome: String,
    /// What the caller got.
    caller: String,
    attempts: usize,
    /// What the first try was charged.
    charged: String,
}

impl FromStr for Row {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let cells: Vec<&str> = line.split('\t').collect();
        let [fault, place, plain @ .., _, _, _, _] = &cells[..] else { return Err(line.into()) };
        let stream = &cells[cells.len() - 4..];
        let (fault, place) = ((*fault).into(), (*place).into());
        Ok(Self { fault, place, plain: Came::of(plain)?, stream: Came::of(stream)? })
    }
}

impl Row {
    fn line(&self) -> String {
        let Self { fault, place, plain, stream } = self;
        format!("{fault}\t{place}\t{}\t{}", plain.line(), stream.line())
    }
}

impl Came {
    fn of(cells: &[&str]) -> Result<Self, String> {
        let [outcome, caller, attempts, charged] = cells else { return Err(cells.join(" ")) };
        let attempts = attempts.parse().map_err(|_| (*attempts).to_owned())?;
        let (outcome, caller, charged) = ((*outcome).into(), (*caller).into(), (*charged).into());
        Ok(Self { outcome, caller, attempts, charged })
    }

    fn line(&self) -> String {
        let Self { outcome, caller, attempts, charged } = self;
        format!("{outcome}\t{caller}\t{attempts}\t{charged}")
    }
}

/// The table as it is written.
fn expected() -> Vec<Row> {
    let rows = TABLE.lines().skip(1).map(str::parse);
    rows.map(|row| row.unwrap_or_else(|row| panic!("no row of the table: {row}"))).collect()
}

/// The table as it was seen, once for all tests: of each row what came of it under each strategy.
fn seen() -> &'static [(Row, [Row; 4])] {
    static SEEN: OnceLock<Vec<(Row, [Row; 4])>> = OnceLock::new();
    SEEN.get_or_init(|| {
        let mut runtime = Builder::new_current_thread();
        let paused = runtime.enable_all().start_paused(true).build().unwrap();
        // Sockets do not know of a paused clock.
        let real = Builder::new_current_thread().enable_all().build().unwrap();
        let inputs = [false, true].map(|stream| paused.block_on(input(stream)));
        let seen = |row: Row| {
            let under = STRATEGIES.map(|strategy| {
                let came = |stream| {
                    let (input, _named) = (inputs[usize::from(stream)], Named(&row.fault, strategy, stream));
                    match row.fault.parse::<Struck>() {
                        Ok(struck) => paused.block_on(tried(&struck, strategy, stream, input)),
                        Err(_) => real.block_on(network::tried(&row.fault, strategy, stream, input)),
                    }
                };
                Row { plain: came(false), stream: came(true), ..row.clone() }
            });
            (row, under)
        };
        expected().into_iter().map(seen).collect()
    })
}

/// What is being tried: said when something is wrong with it that has no cell in the table.
struct Named<'a>(&'a str, &'a str, bool);

impl Drop for Named<'_> {
    #[expect(clippy::print_stderr, reason = "stands beside the panic, which does not know of it")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("fault: {}, strategy: {}, stream: {}", self.0, self.1, self.2);
        }
    }
}

#[test]
fn peer_bug_12_every_fault_comes_to_what_the_table_says_whatever_the_strategy() {
    let mut faults = Vec::new();
    for (row, under) in seen() {
        for (strategy, came) in STRATEGIES.into_iter().zip(under) {
            if came != row {
                faults.push(format!("{strategy}:\n  {}\nnot\n  {}", came.line(), row.line()));
            }
        }
    }
    assert!(faults.is_empty(), "{} rows are not as the table says\n{}", faults.len(), faults.join("\n"));
}

/// The places that the table names are those where the faults struck.
#[test]
fn a_caller_that_has_heard_a_token_never_hears_another_provider() {
    for row in expected() {
        let Row { fault, place, plain, stream } = &row;
        assert!(PLACES.contains(&place.as_str()), "{fault}: {place}");
        for came in [plain, stream] {
            let goes_on = ["next target answers", "next key answers"].contains(&came.caller.as_str());
            assert_eq!(came.attempts, if goes_on { 2 } else { 1 }, "{fault}");
        }
        let broken = |came: &Came| came.caller.contains("error event") || came.caller == "breaks off";
        let has_begun = ["after the first token", "after the finish reason"].contains(&place.as_str());
        assert!(has_begun || !broken(plain) && !broken(stream), "{fault}: nobody has heard of it");
        assert!(place != "after the first token" || broken(plain) || broken(stream), "{fault}: somebody has");
    }
}

#[test]
fn every_fault_and_every_code_has_a_row() {
    let (mut variants, mut written) = (BTreeSet::new(), BTreeSet::new());
    for row in expected() {
        assert!(written.insert(row.fault.clone()), "there twice: {}", row.fault);
        let Ok(Struck { fault, .. }) = row.fault.parse() else { continue };
        variants.insert(variant(&fault));
        if let Fault::ForKey { fault, .. } = &fault {
            variants.insert(variant(fault));
        }
    }
    let all = include_str!("../../src/mock/script.rs").split_once("pub enum Fault {\n").unwrap().1;
    let all: BTreeSet<String> = all.split_once("\n}\n").unwrap().0.lines().filter_map(declared).collect();
    assert!(all.len() > 20 && all.contains("ResetAfterHead") && all.contains("ForKey"), "{all:?}");
    assert_eq!(variants, all, "a fault of the scripted provider is not in the table");

    let wanted = |fault: String| assert!(written.contains(&fault), "no row for {fault}");
    for code in ErrorCode::ALL.map(ErrorCode::as_str) {
        wanted(format!("error={code}"));
        for after in [0, 1, 3] {
            wanted(format!("error-event={after};code={code}"));
        }
    }
    for status in [400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529] {
        wanted(format!("status={status}"));
    }
    for fault in network::FAULTS {
        wanted(fault.into());
    }
}

/// The name of a fault in the code.
fn variant(fault: &Fault) -> String {
    format!("{fault:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// The name of the fault that a line of its declaration begins.
fn declared(line: &str) -> Option<String> {
    let name = line.strip_prefix("    ").filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))?;
    Some(name.chars().take_while(char::is_ascii_alphanumeric).collect())
}

#[test]
fn the_readme_shows_what_came_of_every_fault() {
    let table = readme(seen().iter().map(|(_, under)| &under[0]));
    let readme = include_str!("../../README.md");
    let (_, from) = readme.split_once("<!-- fault matrix -->\n").expect("the matrix in the README");
    let (shown, _) = from.split_once("<!-- /fault matrix -->").expect("its end");
    assert!(
        shown.trim() == table.trim(),
        "the README's matrix is not what came of the faults, which is\n{table}"
    );
}

/// The rows as Markdown; faults that strike in the same place and come to the same are one.
fn readme<'r>(rows: impl Iterator<Item = &'r Row>) -> String {
    let rows: Vec<&Row> = rows.collect();
    let mut shown: Vec<([String; 3], Vec<&str>)> = Vec::new();
    for row in &rows {
        // Before the first token it is all the same where.
        let place = if row.place == "behind the head" { "before the first token" } else { &row.place };
        let of_fewer = fewer(&row.fault).and_then(|fault| rows.iter().find(|row| row.fault == fault));
        let as_of_fewer = of_fewer.is_some_and(|other| other.plain == row.plain);
        let plain = if as_of_fewer { "the same as before".into() } else { cell(&row.plain) };
        let cells = [place.to_owned(), plain, cell(&row.stream)];
        match shown.iter_mut().find(|(other, _)| *other == cells) {
            Some((_, faults)) => faults.push(&row.fault),
            None => shown.push((cells, vec![&row.fault])),
        }
    }
    shown.sort_by_key(|([place, ..], _)| PLACES.iter().position(|other| other == place));
    let mut table = "| where | fault | plain | stream |\n|---|---|---|---|\n".to_owned();
    for ([place, plain, stream], faults) in shown {
        table += &format!("| {place} | {} | {plain} | {stream} |\n", named(&faults));
    }
    table
}

/// The same fault after one chunk, of one that strikes after the first token: plain answers have no chunks.
fn fewer(fault: &str) -> Option<String> {
    let (name, rest) = fault.split_once('=')?;
    let (chunks, code) = rest.split_once(';').map_or((rest, None), |(chunks, code)| (chunks, Some(code)));
    let counts_chunks = ["reset", "stall", "truncate", "error-event"].contains(&name);
    let later = counts_chunks && chunks.parse::<u32>().is_ok_and(|chunks| chunks > 1);
    later.then(|| code.map_or_else(|| format!("{name}=1"), |code| format!("{name}=1;{code}")))
}

fn cell(Came { outcome, caller, charged, .. }: &Came) -> String {
    format!("{caller}; {charged} (`{outcome}`)")
}

/// Faults in a row of the README; what those of one name have in common is written once.
fn named(faults: &[&str]) -> String {
    let mut names: Vec<(String, Vec<String>)> = Vec::new();
    for fault in faults {
        let (name, value) = match fault.rsplit_once('=') {
            Some((name, value)) if !name.contains(' ') && !name.ends_with("retry-after") => {
                (format!("{name}="), value.to_owned())
            }
            Some(_) | None => ((*fault).to_owned(), String::new()),
        };
        match names.iter_mut().find(|(other, _)| *other == name) {
            Some((_, values)) => values.push(value),
            None => names.push((name, vec![value])),
        }
    }
    let text = |(name, values): (String, Vec<String>)| {
        let text = format!("{name}{}", values.join(" "));
        if network::FAULTS.contains(&text.as_str()) { text } else { format!("`{text}`") }
    };
    names.into_iter().map(text).collect::<Vec<_>>().join(", ")
}
