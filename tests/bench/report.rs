//! What was measured, over all rounds, and the Markdown that says it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::peers::Peer;
use crate::wire::CHUNKS;

/// One figure of one peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    /// CPU of the proxy per plain call, 64 connections, us.
    CpuPerCall,
    /// CPU of the proxy per chunk of streams, 64 connections, us.
    CpuPerChunk,
    /// CPU of the proxy per chunk of streams that it translates, 64 connections, us.
    CpuPerTranslated,
    /// Plain calls in a second, 64 connections.
    CallsPerSecond,
    /// Median time of a plain call, 64 connections, us.
    P50,
    /// 99th percentile of it, us.
    P99,
    /// Median time of a plain call, 1 connection, us.
    LoneP50,
    /// 99th percentile of it, us.
    LoneP99,
    /// From start to first answer, ms.
    StartUp,
    /// Resident memory after the first answer, MiB.
    IdleRss,
    /// What 1,000 held streams add to it, MiB.
    StreamsRss,
    /// Spans that were dropped, in percent of all.
    SpansLost,
}

/// Every value of every round.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    values: BTreeMap<(Peer, Figure), Vec<f64>>,
    failed: BTreeMap<Peer, String>,
}

impl Figures {
    /// Adds a round's value.
    pub(crate) fn add(&mut self, peer: Peer, figure: Figure, value: f64) {
        self.values.entry((peer, figure)).or_default().push(value);
    }

    /// Says why a peer has no (more) figures.
    pub(crate) fn failed(&mut self, peer: Peer, why: String) {
        self.failed.entry(peer).or_insert(why);
    }

    /// Adds CPU and times of one measured span.
    pub(crate) fn add_chunks(&mut self, peer: Peer, cpu_us: f64, calls: u64) {
        self.add(peer, Figure::CpuPerChunk, cpu_us / (calls.max(1) * CHUNKS) as f64);
    }

    /// The same of streams that are translated.
    pub(crate) fn add_translated(&mut self, peer: Peer, cpu_us: f64, calls: u64) {
        self.add(peer, Figure::CpuPerTranslated, cpu_us / (calls.max(1) * CHUNKS) as f64);
    }

    /// Whether a peer has failed.
    pub(crate) fn has_failed(&self, peer: Peer) -> bool {
        self.failed.contains_key(&peer)
    }

    /// The Markdown, with `conditions` above it.
    pub(crate) fn markdown(&self, conditions: &str, binary_mib: impl Fn(Peer) -> Option<f64>) -> String {
        let mut text = format!("{conditions}\n\n");
        text.push_str(
            "| proxy | CPU µs/call | / floor | CPU µs/chunk | / floor | calls/s | added p50 / p99 µs, 64 conn. | \
             added p50 / p99 µs, 1 conn. | start-up ms | idle RSS MiB | RSS per 1,000 streams MiB | binary MiB |\n\
             |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        );
        for peer in Peer::ALL {
            if let Some(why) = self.failed.get(&peer) {
                let _ = writeln!(text, "| {} | {why} |", peer.name());
                continue;
            }
            let binary = binary_mib(peer).map_or_else(|| "-".to_owned(), |mib| format!("{mib:.1}"));
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} / {} | {} / {} | {} | {} | {} | {binary} |",
                peer.name(),
                self.of(peer, Figure::CpuPerCall, 1),
                self.ratio(peer, Figure::CpuPerCall),
                self.of(peer, Figure::CpuPerChunk, 2),
                self.ratio(peer, Figure::CpuPerChunk),
                self.of(peer, Figure::CallsPerSecond, 0),
                self.added(peer, Figure::P50),
                self.added(peer, Figure::P99),
                self.added(peer, Figure::LoneP50),
                self.added(peer, Figure::LoneP99),
                self.of(peer, Figure::StartUp, 1),
                self.of(peer, Figure::IdleRss, 1),
                self.of(peer, Figure::StreamsRss, 1),
            );
        }
        text.push_str(&self.traces());
        text.push_str(
            "\nMedian over the rounds (least–greatest). `/ floor` and `added` are taken within each round.\n",
        );
        text
    }

    /// What traces cost: against egret without them in the same round.
    fn traces(&self) -> String {
        let row = |peer| {
            format!(
                "{}: CPU per call {}, per chunk {} of that without traces; {} % of the spans dropped\n",
                Peer::name(peer),
                self.against(peer, Peer::EgretUntraced, Figure::CpuPerCall),
                self.against(peer, Peer::EgretUntraced, Figure::CpuPerChunk),
                self.of(peer, Figure::SpansLost, 1),
            )
        };
        format!("\n{}{}{}", row(Peer::Egret), row(Peer::EgretTraced), self.translated())
    }

    /// What it costs to speak another dialect: against streams in the same one, of the same rounds.
    fn translated(&self) -> String {
        let peer = Peer::EgretUntraced;
        let (same, other) =
            (self.rounds(peer, Figure::CpuPerChunk), self.rounds(peer, Figure::CpuPerTranslated));
        let ratios = other.iter().zip(same).map(|(other, same)| other / same).collect();
        format!(
            "{}: CPU per chunk of a stream translated from Anthropic's dialect {} µs, {} of one in the same dialect\n",
            peer.name(),
            self.of(peer, Figure::CpuPerTranslated, 2),
            spread(ratios, 2)
        )
    }

    fn of(&self, peer: Peer, figure: Figure, digits: usize) -> String {
        spread(self.rounds(peer, figure).to_vec(), digits)
    }

    /// Against the floor in the same round.
    fn ratio(&self, peer: Peer, figure: Figure) -> String {
        self.against(peer, Peer::Floor, figure)
    }

    fn against(&self, peer: Peer, base: Peer, figure: Figure) -> String {
        let rounds = self.rounds(peer, figure).iter().zip(self.rounds(base, figure));
        spread(rounds.map(|(value, base)| value / base).collect(), 2)
    }

    /// On top of the direct way in the same round.
    fn added(&self, peer: Peer, figure: Figure) -> String {
        if peer == Peer::Direct {
            return spread(self.rounds(peer, figure).to_vec(), 0) + " (whole)";
        }
        let rounds = self.rounds(peer, figure).iter().zip(self.rounds(Peer::Direct, figure));
        spread(rounds.map(|(value, direct)| value - direct).collect(), 0)
    }

    fn rounds(&self, peer: Peer, figure: Figure) -> &[f64] {
        self.values.get(&(peer, figure)).map_or(&[], Vec::as_slice)
    }
}

fn spread(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    match (values.first(), values.last()) {
        (Some(least), Some(greatest)) if values.len() > 1 => {
            format!("{:.digits$} ({least:.digits$}–{greatest:.digits$})", median(&values))
        }
        (Some(only), _) => format!("{only:.digits$}"),
        (None, _) => "-".to_owned(),
    }
}

/// Of sorted values; the mean of the middle two where their number is even.
fn median(sorted: &[f64]) -> f64 {
    let at = |n: usize| sorted.get(n).copied().unwrap_or_default();
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { at(middle) } else { f64::midpoint(at(middle.saturating_sub(1)), at(middle)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_within_each_round_and_then_the_median() {
        let mut figures = Figures::default();
        for (floor, egret) in [(10.0, 15.0), (20.0, 22.0), (40.0, 48.0)] {
            figures.add(Peer::Floor, Figure::CpuPerCall, floor);
            figures.add(Peer::Egret, Figure::CpuPerCall, egret);
        }
        assert_eq!(figures.ratio(Peer::Egret, Figure::CpuPerCall), "1.20 (1.10–1.50)");
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(spread(vec![4.0, 1.0, 2.0, 3.0], 1), "2.5 (1.0–4.0)");
        assert_eq!(spread(vec![], 1), "-");
    }

    #[test]
    fn a_peer_that_did_not_start_says_why_in_its_row() {
        let mut figures = Figures::default();
        figures.failed(Peer::Nginx, "not installed".to_owned());
        assert!(figures.markdown("", |_| None).contains("| nginx | not installed |"));
    }
}
