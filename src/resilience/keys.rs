//! Which of a provider's keys can be used, and where a call begins its round of them.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::clock::Instant;
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// What is known of one key. Shared by all calls; one whose key is fine takes no lock.
///
/// A fault is of the secret as it was: one of another `version` has none.
#[derive(Debug, Default)]
pub struct KeyHealth {
    /// Whether there may be a fault; written under its lock.
    has_fault: AtomicBool,
    fault: Mutex<Option<Fault>>,
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    version: u64,
    out: Out,
}

/// A key that is not used for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Out {
    /// It is tried again from then on, or once its secret is another.
    pub until: Instant,
    /// What the provider said of it.
    pub why: KeyFault,
}

/// What a provider said of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// It is not accepted.
    Refused,
    /// Its credit is exhausted.
    Spent,
}

/// So long a key is left alone that was not accepted: somebody may have mended it at the provider, and one call a
/// minute that goes on to another target costs little.
pub const REFUSED_FOR: Duration = Duration::from_secs(60);
/// So long one whose credit is exhausted: somebody may have paid.
pub const SPENT_FOR: Duration = Duration::from_secs(10 * 60);

impl KeyHealth {
    /// A key of which nothing bad is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// The provider did not accept it: out for [`REFUSED_FOR`].
    pub fn refused(&self, version: u64, now: Instant) {
        self.fails(version, Out { until: now + REFUSED_FOR, why: KeyFault::Refused });
    }

    /// Its credit is exhausted: out for [`SPENT_FOR`].
    pub fn spent(&self, version: u64, now: Instant) {
        self.fails(version, Out { until: now + SPENT_FOR, why: KeyFault::Spent });
    }

    /// Whether a fault may be known of it: only then its secret's version has to be.
    pub fn is_marked(&self) -> bool {
        self.has_fault.load(Ordering::Acquire)
    }

    /// Whether it can be used, its secret being of this version.
    pub fn usable(&self, version: u64, now: Instant) -> Result<(), Out> {
        if !self.has_fault.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut fault = self.fault.lock();
        if fault.is_some_and(|fault| fault.out.until <= now) {
            *fault = None;
            self.has_fault.store(false, Ordering::Release);
        }
        match *fault {
            Some(fault) if fault.version == version => Err(fault.out),
            Some(_) | None => Ok(()),
        }
    }

    /// Of two faults of one secret the longer stands; of two secrets the one told last: a call may bring an older one,
    /// and then the newer is tried once more.
    fn fails(&self, version: u64, out: Out) {
        let mut fault = self.fault.lock();
        let is_out_for_longer = fault.is_some_and(|was| was.version == version && was.out.until > out.until);
        if !is_out_for_longer {
            *fault = Some(Fault { version, out });
            self.has_fault.store(true, Ordering::Release);
        }
    }
}

/// Begins each round of some positions with the one after that with which the last began.
#[derive(Debug, Default)]
pub struct Rotation(AtomicUsize);

impl Rotation {
    /// One that begins with the first position.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that stands where this one does, and goes its own way from here on.
    pub fn apart(&self) -> Self {
        Self(AtomicUsize::new(self.0.load(Ordering::Relaxed)))
    }

    /// Where the next round of `count` positions begins; 0 where there are none.
    pub fn start(&self, count: usize) -> usize {
        if count < 2 {
            return 0;
        }
        self.0.fetch_add(1, Ordering::Relaxed) % count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_refused_key_is_out_for_a_minute() {
        let (key, now) = (KeyHealth::new(), Instant::now());
        assert_eq!(key.usable(1, now), Ok(()));
        key.refused(1, now);
        let until = now + 60 * SECOND;
        assert_eq!(key.usable(1, until - SECOND), Err(Out { until, why: KeyFault::Refused }));
        assert_eq!(key.usable(1, until), Ok(()));
        key.refused(1, until);
        assert!(key.usable(1, until).is_err());
    }

    #[test]
    fn a_key_without_credit_is_out_for_ten_minutes() {
        let (key, now) = (KeyHealth::new(), Instant::now());
        key.spent(1, now);
        let until = now + 600 * SECOND;
        assert_eq!(key.usable(1, until - SECOND), Err(Out { until, why: KeyFault::Spent }));
        assert_eq!(key.usable(1, until), Ok(()));
    }

    #[test]
    fn another_secret_is_tried_at_once_and_the_old_one_is_not() {
        let (key, now) = (KeyHealth::new(), Instant::now());
        key.refused(1, now);
        assert_eq!(key.usable(2, now), Ok(()));
        assert!(key.usable(1, now).is_err());
        key.spent(2, now);
        assert_eq!(key.usable(2, now).unwrap_err().why, KeyFault::Spent);
    }

    #[test]
    fn of_two_faults_the_longer_stands() {
        let (key, now) = (KeyHealth::new(), Instant::now());
        key.spent(1, now);
        key.refused(1, now + SECOND);
        assert_eq!(key.usable(1, now), Err(Out { until: now + SPENT_FOR, why: KeyFault::Spent }));
        let later = now + SPENT_FOR - SECOND;
        key.refused(1, later);
        assert_eq!(key.usable(1, later), Err(Out { until: later + REFUSED_FOR, why: KeyFault::Refused }));
    }

    #[test]
    fn of_the_faults_of_two_secrets_the_one_told_last_stands() {
        let (key, now) = (KeyHealth::new(), Instant::now());
        key.spent(1, now);
        key.refused(2, now);
        assert_eq!(key.usable(2, now).unwrap_err().why, KeyFault::Refused);
        assert_eq!(key.usable(1, now), Ok(()));
    }

    #[test]
    fn rounds_begin_with_one_after_the_other() {
        let rotation = Rotation::new();
        assert_eq!([3; 5].map(|count| rotation.start(count)), [0, 1, 2, 0, 1]);
        assert_eq!((rotation.start(0), rotation.start(1)), (0, 0));
    }
}
