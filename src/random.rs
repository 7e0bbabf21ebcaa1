//! Random bits for ids and jitter; not for secrets.

use std::sync::atomic::{AtomicU64, Ordering};

/// A seeded stream of random numbers: SplitMix64 (Steele, Lea, Flood 2014), one atomic add a draw.
///
/// The same seed gives the same numbers, so a test owns its ids and jitter.
#[derive(Debug)]
pub struct Random(AtomicU64);

/// The odd number nearest to 2^64 divided by the golden ratio: consecutive states lie far apart.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// A stream that always starts the same way.
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A stream seeded by the operating system; where that fails, by this value's address.
    pub fn from_os() -> Self {
        let random = Self::seeded(0);
        let seed = getrandom::u64().unwrap_or_else(|_| std::ptr::from_ref(&random).addr() as u64);
        random.0.store(seed, Ordering::Relaxed);
        random
    }

    /// 64 random bits.
    pub fn u64(&self) -> u64 {
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 128 random bits.
    pub fn u128(&self) -> u128 {
        (u128::from(self.u64()) << 64) | u128::from(self.u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let (a, b) = (Random::seeded(7), Random::seeded(7));
        assert_eq!(a.u128(), b.u128());
        assert_ne!(a.u64(), a.u64());
    }

    #[test]
    fn the_first_numbers_are_those_of_the_published_generator() {
        let random = Random::seeded(1_234_567);
        assert_eq!([random.u64(), random.u64()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }
}
