//! Even draws from random bits.

use crate::random::Random;

/// A number below `count`, each as likely as the others but for one part in 2^64 / `count`; 0 where `count` is.
pub(super) fn below(count: u64, random: &Random) -> u64 {
    ((u128::from(random.u64()) * u128::from(count)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_below_is_drawn_as_often_as_the_others() {
        let random = Random::seeded(3);
        let mut drawn = [0_u32; 7];
        (0..70_000).for_each(|_| drawn[below(7, &random) as usize] += 1);
        assert!(drawn.iter().all(|times| (9_600..10_400).contains(times)), "{drawn:?}");
    }

    #[test]
    fn of_nothing_and_of_one_zero_is_drawn() {
        let random = Random::seeded(3);
        assert_eq!((below(0, &random), below(1, &random)), (0, 0));
    }
}
