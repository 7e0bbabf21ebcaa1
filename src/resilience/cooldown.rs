//! Until when a provider asked us to stay away from a target, key by key. It is no failure: the target works.

use std::time::Duration;

use crate::clock::Instant;
use crate::ids::KeyName;
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// How long to stay away where the provider named no time.
pub const UNNAMED: Duration = Duration::from_secs(1);
/// How long a key is not used for a model that it was forbidden: somebody may mend it at the provider.
pub const FORBIDDEN: Duration = Duration::from_secs(60);
/// The longest time that is believed: a provider may err.
pub const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How long to stay away, given what the provider named.
pub fn wait(named: Option<Duration>) -> Duration {
    named.map_or(UNNAMED, |named| named.min(LONGEST))
}

/// The cool-downs of one target. While there are none, asking takes no lock.
#[derive(Debug, Default)]
pub struct Cooldowns {
    /// How many there are; written under their lock.
    count: AtomicUsize,
    /// Those that are over go when one is asked for.
    until: Mutex<Vec<(KeyName, Instant)>>,
}

impl Cooldowns {
    /// A target that may be asked with every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stays away with this key until then, or longer where that was asked for before.
    pub fn set(&self, key: &KeyName, until: Instant) {
        let mut all = self.until.lock();
        match all.iter_mut().find(|(name, _)| name == key) {
            Some((_, stands)) => *stands = until.max(*stands),
            None => all.push((key.clone(), until)),
        }
        self.count.store(all.len(), Ordering::Release);
    }

    /// Until when to stay away with this key; none where it may be used now.
    pub fn until(&self, key: &KeyName, now: Instant) -> Option<Instant> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut all = self.until.lock();
        all.retain(|(_, until)| now < *until);
        self.count.store(all.len(), Ordering::Release);
        all.iter().find(|(name, _)| name == key).map(|(_, until)| *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_key_cools_down_and_another_does_not() {
        let (target, now) = (Cooldowns::new(), Instant::now());
        let (a, b) = (KeyName::from("a"), KeyName::from("b"));
        assert_eq!(target.until(&a, now), None);
        target.set(&a, now + 5 * SECOND);
        assert_eq!(target.until(&a, now), Some(now + 5 * SECOND));
        assert_eq!(target.until(&b, now), None);
        assert_eq!(target.until(&a, now + 5 * SECOND), None);
    }

    #[test]
    fn the_later_end_stands() {
        let (target, now, key) = (Cooldowns::new(), Instant::now(), KeyName::from("a"));
        target.set(&key, now + 5 * SECOND);
        target.set(&key, now + 2 * SECOND);
        assert_eq!(target.until(&key, now), Some(now + 5 * SECOND));
        target.set(&key, now + 9 * SECOND);
        assert_eq!(target.until(&key, now), Some(now + 9 * SECOND));
    }

    #[test]
    fn what_is_over_is_not_kept() {
        let (target, now) = (Cooldowns::new(), Instant::now());
        let names: Vec<_> = (0..10).map(|n| KeyName::from(format!("key {n}"))).collect();
        (1..).zip(&names).for_each(|(n, name)| target.set(name, now + n * SECOND));
        assert_eq!(target.until(&names[9], now + 8 * SECOND), Some(now + 10 * SECOND));
        assert_eq!(target.until.lock().len(), 2);
        assert_eq!(target.until(&names[9], now + 10 * SECOND), None);
        assert_eq!(target.count.load(Ordering::Relaxed), 0);
        target.set(&names[0], now + 12 * SECOND);
        assert!(target.until(&names[0], now + 11 * SECOND).is_some());
    }

    #[test]
    fn a_provider_that_names_no_time_or_too_long_a_one_is_not_taken_at_its_word() {
        assert_eq!(wait(None), SECOND);
        assert_eq!(wait(Some(20 * SECOND)), 20 * SECOND);
        assert_eq!(wait(Some(Duration::from_secs(86_400))), LONGEST);
    }
}
