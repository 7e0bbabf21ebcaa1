//! How a comparison is written: a table that fits 80 columns, Markdown, JSON.

use serde_json::{Value, json};

use crate::clock::TimeZone;
use crate::ids::ModelId;
use crate::policy::cost::{Comparison, Line, Part, Question, Routed};
use crate::pricing::workload::Cost;
use crate::units::{NanoUsd, Tokens};

/// What is written.
#[derive(Debug)]
pub(super) struct Report {
    /// Where the policy is.
    pub(super) path: String,
    /// What was asked.
    pub(super) question: Question,
    /// What was found.
    pub(super) found: Comparison,
}

impl Report {
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n{}\n\n", self.work(), self.prices());
        text += &aligned(&self.models());
        if let Some(left_out) = self.left_out() {
            text += &format!("\n{left_out}\n");
        }
        if let Some(routed) = &self.found.routed {
            text += &format!("\n{}\n{}\n", aligned(&self.parts(routed)), self.saved(routed));
            for note in self.notes(routed) {
                text += &format!("{note}\n");
            }
        }
        text
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = format!("{}. {}.\n\n{}", self.work(), self.prices(), piped(&self.models()));
        if let Some(left_out) = self.left_out() {
            text += &format!("\n{left_out}\n");
        }
        if let Some(routed) = &self.found.routed {
            text += &format!("\n{}\n**{}**\n", piped(&self.parts(routed)), self.saved(routed));
            for note in self.notes(routed) {
                text += &format!("\n{note}\n");
            }
        }
        text
    }

    pub(super) fn json(&self) -> String {
        let month = &self.question.month;
        let found = &self.found;
        let report = json!({
            "policy": self.path,
            "pricesOf": self.day(),
            "month": tokens(month.input, month.cached, month.output),
            "models": found.models.iter().map(|line| self.line(line)).collect::<Vec<_>>(),
            "unpriced": found.unpriced.iter().map(ModelId::as_str).collect::<Vec<_>>(),
            "baseline": found.baseline.model.as_str(),
            "shares": found.routed.as_ref().map(|routed| self.shares(routed)),
        });
        format!("{report:#}\n")
    }

    fn work(&self) -> String {
        let month = &self.question.month;
        let cached = match month.cached {
            Tokens::ZERO => String::new(),
            cached => format!(" ({} of it from a cache)", short(cached)),
        };
        let all = month.input + month.output;
        let (all, input, output) = (short(all), short(month.input), short(month.output));
        format!("{all} tokens a month: {input} of input{cached} and {output} of output")
    }

    fn prices(&self) -> String {
        format!("At the prices of {} in {}", self.day(), self.path)
    }

    fn day(&self) -> String {
        self.question.at.to_zoned(TimeZone::UTC).date().to_string()
    }

    fn models(&self) -> Vec<Vec<String>> {
        let baseline = &self.found.baseline;
        let cheapest = self.found.models.first().map_or(NanoUsd::ZERO, |line| line.cost.month);
        let heads = ["model", "a month", "a year", "to the cheapest", &format!("to {}", baseline.model)];
        let row = |line: &Line| {
            vec![
                line.model.to_string(),
                dollars(line.cost.month),
                dollars(line.cost.year),
                times(line.cost.month, cheapest),
                difference(line.cost.month, baseline.cost.month),
            ]
        };
        std::iter::once(heads.map(String::from).to_vec()).chain(self.found.models.iter().map(row)).collect()
    }

    fn parts(&self, routed: &Routed) -> Vec<Vec<String>> {
        let all = self.question.month.input + self.question.month.output;
        let row = |part: &Part| {
            vec![
                part.of.to_string(),
                part.model.to_string(),
                share(part.month.input + part.month.output, all),
                dollars(part.cost.month),
                dollars(part.cost.year),
            ]
        };
        let Cost { month, year } = routed.total;
        let total = vec!["together".into(), String::new(), share(all, all), dollars(month), dollars(year)];
        let heads = ["share", "goes to", "part", "a month", "a year"].map(String::from).to_vec();
        std::iter::once(heads).chain(routed.parts.iter().map(row)).chain([total]).collect()
    }

    /// What the shares save, or cost more than the baseline.
    fn saved(&self, routed: &Routed) -> String {
        let Line { model, cost } = &self.found.baseline;
        let (saved, more) =
            (cost.year.saturating_sub(routed.total.year), routed.total.year.saturating_sub(cost.year));
        let against =
            format!("a year against {model} for all of it ({})", difference(routed.total.year, cost.year));
        match (saved, more) {
            (NanoUsd::ZERO, NanoUsd::ZERO) => format!("Saves nothing against {model} for all of it"),
            (NanoUsd::ZERO, more) => format!("Costs {} more {against}", dollars(more)),
            (saved, _) => format!("Saves {} {against}", dollars(saved)),
        }
    }

    fn left_out(&self) -> Option<String> {
        let names = names(&self.found.unpriced);
        (!names.is_empty()).then(|| format!("Without a price on that day, and left out: {names}"))
    }

    /// What was taken for granted.
    fn notes(&self, routed: &Routed) -> Vec<String> {
        let mut notes: Vec<String> = Vec::new();
        for part in routed.parts.iter().filter(|part| part.is_unasked) {
            let note =
                format!("No target asks for the task of {}: it goes where calls without a task go", part.of);
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        for part in routed.parts.iter().filter(|part| !part.passed_over.is_empty()) {
            let note = format!(
                "Passed over for {}, since its conditions ask for more than a task and a length: {}",
                part.of,
                names(&part.passed_over)
            );
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        notes
    }

    fn line(&self, line: &Line) -> Value {
        let mut value = amounts(line.cost);
        value["model"] = line.model.as_str().into();
        value
    }

    fn shares(&self, routed: &Routed) -> Value {
        let part = |part: &Part| {
            let mut value = amounts(part.cost);
            value["share"] = (*part.of).into();
            value["model"] = part.model.as_str().into();
            value["tokens"] = tokens(part.month.input, part.month.cached, part.month.output);
            value["passedOver"] = part.passed_over.iter().map(ModelId::as_str).collect();
            value
        };
        let (total, baseline) = (routed.total, self.found.baseline.cost);
        json!({
            "parts": routed.parts.iter().map(part).collect::<Vec<_>>(),
            "total": amounts(total),
            "saves": {
                "usdMonth": signed(baseline.month, total.month),
                "usdYear": signed(baseline.year, total.year),
            },
        })
    }
}

fn amounts(cost: Cost) -> Value {
    json!({ "usdMonth": cost.month.to_string(), "usdYear": cost.year.to_string() })
}

fn tokens(input: Tokens, cached: Tokens, output: Tokens) -> Value {
    json!({ "inputTokens": input.0, "cachedTokens": cached.0, "outputTokens": output.0 })
}

fn signed(one: NanoUsd, other: NanoUsd) -> String {
    if one < other {
        format!("-{}", other.saturating_sub(one))
    } else {
        one.saturating_sub(other).to_string()
    }
}

fn names(models: &[ModelId]) -> String {
    models.iter().map(ModelId::as_str).collect::<Vec<_>>().join(", ")
}

/// Columns under their heads; the first ones are words, the others numbers.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let length = |row: &Vec<String>, at: usize| row.get(at).map_or(0, |cell| cell.chars().count());
    let widths: Vec<usize> =
        (0..columns).map(|at| rows.iter().map(|row| length(row, at)).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            if is_words(rows, at) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

fn piped(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (at, row) in rows.iter().enumerate() {
        text += &format!("| {} |\n", row.join(" | "));
        if at == 0 {
            let rule = (0..row.len()).map(|at| if is_words(rows, at) { "---" } else { "---:" });
            text += &format!("| {} |\n", rule.collect::<Vec<_>>().join(" | "));
        }
    }
    text
}

fn is_words(rows: &[Vec<String>], column: usize) -> bool {
    let head = rows.first().and_then(|row| row.get(column));
    head.is_some_and(|head| matches!(head.as_str(), "model" | "share" | "goes to"))
}

/// `$1,398.60`; what is less than a cent is said to be.
fn dollars(amount: NanoUsd) -> String {
    const CENT: u64 = NanoUsd::DOLLAR.0 / 100;
    let cents = amount.0 / CENT + u64::from(amount.0 % CENT >= CENT / 2);
    if cents == 0 && amount > NanoUsd::ZERO {
        return "<$0.01".to_owned();
    }
    let whole = (cents / 100).to_string();
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("${grouped}.{:02}", cents % 100)
}

/// `4.8x`: how often the other amount goes into it.
fn times(amount: NanoUsd, of: NanoUsd) -> String {
    match tenths(u128::from(amount.0) * 10, of) {
        Some(tenths) => format!("{}.{}x", tenths / 10, tenths % 10),
        None => "-".to_owned(),
    }
}

/// `-88.2%`: how much less or more it is than the other amount.
fn difference(amount: NanoUsd, than: NanoUsd) -> String {
    let (sign, difference) = match amount.cmp(&than) {
        std::cmp::Ordering::Less => ("-", than.saturating_sub(amount)),
        std::cmp::Ordering::Equal => return "same".to_owned(),
        std::cmp::Ordering::Greater => ("+", amount.saturating_sub(than)),
    };
    match tenths(u128::from(difference.0) * 1000, than) {
        Some(tenths) => format!("{sign}{}.{}%", tenths / 10, tenths % 10),
        None => "-".to_owned(),
    }
}

/// `40.0%`
fn share(part: Tokens, of: Tokens) -> String {
    let tenths = (u128::from(part.0) * 1000 + u128::from(of.0) / 2).checked_div(u128::from(of.0));
    tenths.map_or_else(|| "-".to_owned(), |tenths| format!("{}.{}%", tenths / 10, tenths % 10))
}

/// The nearest whole number to a quotient; none of nothing.
fn tenths(scaled: u128, of: NanoUsd) -> Option<u128> {
    (scaled + u128::from(of.0) / 2).checked_div(u128::from(of.0))
}

/// `300M`, `1.5B`, where that is exact; else all digits.
fn short(tokens: Tokens) -> String {
    const SUFFIXES: [(u64, &str); 3] = [(1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")];
    for (unit, suffix) in SUFFIXES {
        let fine = unit / 1000;
        if tokens.0 >= unit && tokens.0.is_multiple_of(fine) {
            let (whole, rest) = (tokens.0 / unit, tokens.0 % unit / fine);
            let text = format!("{whole}.{rest:03}");
            return format!("{}{suffix}", text.trim_end_matches('0').trim_end_matches('.'));
        }
    }
    tokens.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_shown_in_cents_and_what_costs_anything_costs_something() {
        let shown = |nanos| dollars(NanoUsd(nanos));
        assert_eq!(shown(0), "$0.00");
        assert_eq!(shown(1), "<$0.01");
        assert_eq!(shown(5_000_000), "$0.01");
        assert_eq!(shown(999_994_999_999), "$999.99");
        assert_eq!(shown(1_398_600_000_000), "$1,398.60");
        assert_eq!(shown(u64::MAX), "$18,446,744,073.71");
    }

    #[test]
    fn amounts_are_held_against_others() {
        let (small, large) = (NanoUsd(100), NanoUsd(850));
        assert_eq!(times(large, small), "8.5x");
        assert_eq!(times(large, NanoUsd::ZERO), "-");
        assert_eq!(difference(small, large), "-88.2%");
        assert_eq!(difference(large, small), "+750.0%");
        assert_eq!(difference(small, small), "same");
    }

    #[test]
    fn tokens_are_short_where_that_is_exact() {
        let shown = |count| short(Tokens(count));
        assert_eq!(shown(300_000_000), "300M");
        assert_eq!(shown(1_500_000_000), "1.5B");
        assert_eq!(shown(1_234_000), "1.234M");
        assert_eq!(shown(1_234_500), "1234.5k");
        assert_eq!(shown(999), "999");
        assert_eq!(shown(1_234_567), "1234.567k");
    }
}
