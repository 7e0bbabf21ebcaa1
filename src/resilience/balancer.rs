//! Which of several targets is next: by shares that are exact over time, or two of which the better is taken.

use smallvec::SmallVec;

use super::draw::below;
use crate::random::Random;
use crate::sync::Mutex;

/// Shares of targets by their weights, exact over time and evenly mixed (smooth weighted round robin, as in nginx).
///
/// Each time every target is credited with its weight, the one with the most credit is picked, and all that was
/// credited is taken from it. A cycle has as many picks as the weights' sum (less their common divisor); after each,
/// every target has had exactly its share.
///
/// Each set of eligible targets has a cycle of its own. With one for all, what a target was credited among many would
/// be worked off among few: hundreds of picks in a row for the one, none for the other.
#[derive(Debug)]
pub struct Weighted {
    weights: Box<[u32]>,
    seed: u64,
    cycles: Mutex<Vec<Cycle>>,
}

/// Positions of targets in ascending order.
type Positions = SmallVec<[usize; 16]>;

/// Where one set of targets is in its cycle.
#[derive(Clone, Debug)]
struct Cycle {
    among: Positions,
    credits: SmallVec<[i64; 16]>,
}

/// A start lies at most so many picks into a cycle: enough that processes with other seeds begin elsewhere.
const STARTS: u64 = 1_024;

/// So many sets are remembered: all that five targets can make. Beyond them the oldest begins anew.
const CYCLES: usize = 31;

impl Weighted {
    /// Shares of as many targets as there are weights; none is ever picked whose weight is 0. The seed says where in its
    /// cycle each set starts, so that not all processes begin with the same target.
    pub fn new(weights: &[u32], seed: u64) -> Self {
        Self { weights: weights.into(), seed, cycles: Mutex::default() }
    }

    /// Shares that stand where these do, and go their own way from here on.
    pub fn apart(&self) -> Self {
        let cycles = self.cycles.lock().clone();
        Self { weights: self.weights.clone(), seed: self.seed, cycles: Mutex::new(cycles) }
    }

    /// The position that is next among those eligible; none where none is. The share of one that is not eligible goes to
    /// the others in proportion to theirs, and is not made good later.
    pub fn pick(&self, eligible: impl Fn(usize) -> bool) -> Option<usize> {
        // All are asked before the lock is taken: they may ask others' locks.
        let among: Positions =
            (0..self.weights.len()).filter(|at| self.weights[*at] > 0 && eligible(*at)).collect();
        if among.is_empty() {
            return None;
        }
        let mut cycles = self.cycles.lock();
        let at = match cycles.iter().position(|cycle| cycle.among == among) {
            Some(at) => at,
            None => {
                if cycles.len() == CYCLES {
                    cycles.remove(0);
                }
                cycles.push(Cycle::new(among, &self.weights, self.seed));
                cycles.len() - 1
            }
        };
        Some(cycles[at].next(&self.weights))
    }
}

impl Cycle {
    /// The start of one among targets of which there is at least one.
    fn new(among: Positions, weights: &[u32], seed: u64) -> Self {
        let weight = |at: &usize| u64::from(weights[*at]);
        let sum: u64 = among.iter().map(weight).sum();
        let divisor = among.iter().map(weight).fold(0, common_divisor);
        let length = sum.checked_div(divisor).unwrap_or(0);
        let mut cycle = Self { credits: SmallVec::from_elem(0, among.len()), among };
        for _ in 0..seed % length.clamp(1, STARTS) {
            cycle.next(weights);
        }
        cycle
    }

    /// The position whose turn it is.
    fn next(&mut self, weights: &[u32]) -> usize {
        let (mut credited, mut next) = (0, 0);
        for (of, at) in self.among.iter().enumerate() {
            let weight = i64::from(weights[*at]);
            self.credits[of] += weight;
            credited += weight;
            // Of equals the first.
            if self.credits[of] > self.credits[next] {
                next = of;
            }
        }
        self.credits[next] -= credited;
        self.among[next]
    }
}

/// The greatest.
fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Two different positions, each pair as likely as the others; none where there are not two. Of the two the caller takes
/// the one that costs less (power of two choices): the best of all is not everyone's at once.
pub fn two_choices(count: usize, random: &Random) -> Option<(usize, usize)> {
    if count < 2 {
        return None;
    }
    let first = below(count as u64, random) as usize;
    let second = below(count as u64 - 1, random) as usize;
    // The second is drawn from the others.
    Some((first, if second < first { second } else { second + 1 }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picked(weighted: &Weighted, times: u64, eligible: impl Fn(usize) -> bool + Copy) -> Vec<u64> {
        let mut picked = vec![0; weighted.weights.len()];
        for _ in 0..times {
            picked[weighted.pick(eligible).unwrap()] += 1;
        }
        picked
    }

    #[test]
    fn picks_are_mixed_evenly() {
        let weighted = Weighted::new(&[5, 1, 1], 0);
        let order: Vec<_> = (0..7).map(|_| weighted.pick(|_| true).unwrap()).collect();
        assert_eq!(order, [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn another_seed_starts_elsewhere_in_the_same_cycle() {
        let first = |seed| Weighted::new(&[1, 1, 1], seed).pick(|_| true).unwrap();
        assert_eq!([first(0), first(1), first(2), first(3)], [0, 1, 2, 0]);
    }

    #[test]
    fn the_share_of_one_that_is_not_eligible_goes_to_the_others_in_proportion() {
        let weighted = Weighted::new(&[50, 30, 20], 7);
        assert_eq!(picked(&weighted, 100, |at| at != 0), [0, 60, 40]);
        // And is not made good.
        assert_eq!(picked(&weighted, 100, |_| true), [50, 30, 20]);
    }

    #[test]
    fn reserves_share_evenly_when_the_large_one_fails() {
        let weighted = Weighted::new(&[1, 998, 1], 0);
        picked(&weighted, 600, |_| true);
        assert_eq!(picked(&weighted, 10, |at| at != 1), [5, 0, 5]);
    }

    #[test]
    fn more_sets_than_are_remembered_still_give_only_eligible_ones() {
        let weighted = Weighted::new(&[3; 7], 0);
        for mask in (1_u8..128).chain(1..128) {
            let at = weighted.pick(|at| mask & (1 << at) != 0).unwrap();
            assert!(mask & (1 << at) != 0);
        }
        assert_eq!(weighted.cycles.lock().len(), CYCLES);
    }

    #[test]
    fn none_is_picked_where_none_is_eligible_or_has_a_weight() {
        assert_eq!(Weighted::new(&[], 9).pick(|_| true), None);
        assert_eq!(Weighted::new(&[0, 0], 9).pick(|_| true), None);
        let weighted = Weighted::new(&[1, 0], 9);
        assert_eq!(weighted.pick(|_| false), None);
        assert_eq!(weighted.pick(|at| at == 1), None);
        assert_eq!(weighted.pick(|_| true), Some(0));
    }

    #[test]
    fn large_weights_start_as_fast_as_small_ones() {
        let weighted = Weighted::new(&[u32::MAX, u32::MAX - 1, 1], u64::MAX);
        assert_eq!(picked(&weighted, 1_000, |_| true), [500, 500, 0]);
    }

    #[test]
    fn what_is_asked_may_ask_the_same_again() {
        let weighted = Weighted::new(&[1, 1], 0);
        assert_eq!(weighted.pick(|_| weighted.pick(|_| true).is_some()), Some(0));
    }

    #[test]
    fn threads_together_pick_exact_shares() {
        let weighted = Weighted::new(&[3, 2, 1], 4);
        let counts = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| picked(&weighted, 6_000, |_| true))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        });
        let sum = |at: usize| counts.iter().map(|counts| counts[at]).sum::<u64>();
        assert_eq!([sum(0), sum(1), sum(2)], [12_000, 8_000, 4_000]);
    }

    #[test]
    fn every_pair_is_drawn_as_often_as_the_others() {
        let random = Random::seeded(5);
        let mut drawn = [[0_u32; 4]; 4];
        for _ in 0..120_000 {
            let (a, b) = two_choices(4, &random).unwrap();
            drawn[a][b] += 1;
        }
        for (a, row) in drawn.iter().enumerate() {
            for (b, times) in row.iter().enumerate() {
                let expected = if a == b { 0..=0 } else { 9_600..=10_400 };
                assert!(expected.contains(times), "{a} and {b}: {times}");
            }
        }
    }

    #[test]
    fn there_are_no_two_of_fewer_than_two() {
        let random = Random::seeded(5);
        assert_eq!((two_choices(0, &random), two_choices(1, &random)), (None, None));
        assert!(matches!(two_choices(2, &random), Some((0, 1) | (1, 0))));
    }

    proptest! {
        #[test]
        fn after_whole_cycles_each_has_exactly_its_share(
            weights in prop::collection::vec(0_u32..40, 1..8),
            seed in any::<u64>(),
            cycles in 1_u64..4,
        ) {
            let weighted = Weighted::new(&weights, seed);
            let sum: u64 = weights.iter().copied().map(u64::from).sum();
            let shares: Vec<_> = weights.iter().map(|weight| u64::from(*weight) * cycles).collect();
            prop_assert_eq!(picked(&weighted, sum * cycles, |_| true), shares);
        }

        #[test]
        fn at_no_moment_is_one_far_from_its_share(
            weights in prop::collection::vec(1_u32..1_000, 1..8), seed in any::<u64>(), picks in 1_u64..500,
        ) {
            let weighted = Weighted::new(&weights, seed);
            let sum: u64 = weights.iter().copied().map(u64::from).sum();
            for (count, weight) in picked(&weighted, picks, |_| true).into_iter().zip(&weights) {
                let share = (picks * u64::from(*weight)) as f64 / sum as f64;
                prop_assert!((count as f64 - share).abs() <= 2.0 * weights.len() as f64);
            }
        }

        #[test]
        fn those_eligible_have_exactly_their_shares_whatever_was_between(
            weights in prop::collection::vec(1_u32..20, 2..6),
            between in prop::collection::vec(1_u8..32, 1..30),
            mask in 1_u8..32,
            seed in any::<u64>(),
        ) {
            let weighted = Weighted::new(&weights, seed);
            let among = |mask: u8| move |at: usize| mask & (1 << at) != 0;
            let sum: u64 = (0..weights.len()).filter(|at| among(mask)(*at)).map(|at| u64::from(weights[at])).sum();
            prop_assume!(sum > 0);
            let mut counts = vec![0; weights.len()];
            for turn in 0..sum * 3 {
                counts[weighted.pick(among(mask)).unwrap()] += 1;
                let other = between[turn as usize % between.len()];
                if (0..weights.len()).any(|at| among(other)(at) != among(mask)(at)) {
                    weighted.pick(among(other));
                }
            }
            let shares: Vec<_> =
                (0..weights.len()).map(|at| if among(mask)(at) { weights[at] * 3 } else { 0 }).collect();
            prop_assert_eq!(counts, shares);
        }
    }
}
