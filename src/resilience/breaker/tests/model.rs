//! Whatever comes, in whatever order.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Passes(u64),
    Asks,
    Probes,
    Succeeds(usize),
    Fails(usize),
    Leaves(usize),
    BreaksOff,
    Adopts(u32),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (0_u64..90_000).prop_map(Event::Passes),
        6 => Just(Event::Asks),
        1 => Just(Event::Probes),
        2 => any::<usize>().prop_map(Event::Succeeds),
        3 => any::<usize>().prop_map(Event::Fails),
        1 => any::<usize>().prop_map(Event::Leaves),
        1 => Just(Event::BreaksOff),
        1 => (1_u32..4).prop_map(Event::Adopts),
    ]
}

/// A pass, and what the breaker was when it gave it out, by the count of its changes.
struct Given {
    pass: Pass,
    change: usize,
    /// It holds one of the places to probe.
    has_place: bool,
}

/// A breaker, and what has to be so of it.
struct Watched {
    breaker: Arc<Breaker>,
    now: Instant,
    given: Vec<Given>,
    changes: usize,
    /// Failures of the present epoch in a row, while it is closed.
    run: u32,
}

impl Watched {
    fn new(settings: BreakerSettings) -> Self {
        Self { breaker: breaker(settings), now: Instant::now(), given: Vec::new(), changes: 0, run: 0 }
    }

    fn places(&self) -> usize {
        self.given.iter().filter(|given| given.has_place && given.change == self.changes).count()
    }

    fn asks(&mut self, probes: u32) {
        let (before, retry_at) = (self.breaker.state(self.now), self.breaker.retry_at(self.now));
        let pass = match self.breaker.admit(self.now) {
            Ok(pass) => pass,
            Err(at) => {
                assert_eq!(Some(at), retry_at);
                assert!(at > self.now);
                return;
            }
        };
        assert_eq!(retry_at, None);
        assert!(!matches!(before, BreakerState::Open { .. }));
        self.give(pass, before);
        assert!(self.places() <= probes as usize);
    }

    fn probes(&mut self) {
        let before = self.breaker.state(self.now);
        let pass = self.breaker.probe(self.now);
        self.give(pass, before);
        // It is beyond what is counted.
        self.given.last_mut().unwrap().has_place = false;
    }

    fn give(&mut self, pass: Pass, before: BreakerState) {
        // Its time being over shows only in the first pass that is let through.
        let newest = self.given.iter().map(|given| given.pass.epoch).max();
        if before == BreakerState::HalfOpen && newest.is_none_or(|newest| pass.epoch > newest) {
            self.changes = pass.epoch as usize;
        }
        let has_place = before == BreakerState::HalfOpen;
        self.given.push(Given { change: self.changes, pass, has_place });
    }

    fn judges(&mut self, at: usize, judge: impl FnOnce(Pass, Instant)) -> Option<bool> {
        if self.given.is_empty() {
            return None;
        }
        let given = self.given.swap_remove(at % self.given.len());
        let is_of_now = given.change == self.changes;
        let (before, epoch) = (self.breaker.state(self.now), self.breaker.word().epoch());
        judge(given.pass, self.now);
        if !is_of_now {
            assert_eq!(self.breaker.state(self.now), before, "one of another time changed it");
            assert_eq!(self.breaker.word().epoch(), epoch);
        }
        self.changes = self.breaker.word().epoch() as usize;
        Some(is_of_now)
    }
}

proptest! {
    #[test]
    fn it_keeps_its_rules(probes in 1_u32..4, events in prop::collection::vec(event(), 1..200)) {
        let settings = BreakerSettings { half_open_probes: few(probes), ..settings() };
        let mut watched = Watched::new(settings);
        let mut threshold = 3;
        for event in events {
            let was_closed = is_closed(&watched.breaker, watched.now);
            let mut has_failed = false;
            match event {
                Event::Passes(ms) => watched.now += Duration::from_millis(ms),
                Event::Asks => watched.asks(probes),
                Event::Probes => watched.probes(),
                Event::Succeeds(at) => {
                    if watched.judges(at, Pass::succeeded) == Some(true) {
                        watched.run = 0;
                    }
                }
                Event::Fails(at) => has_failed = watched.judges(at, Pass::failed) == Some(true),
                Event::Leaves(at) => {
                    watched.judges(at, |pass, _| drop(pass));
                }
                Event::BreaksOff => {
                    watched.breaker.failed_late(watched.now);
                    watched.changes = watched.breaker.word().epoch() as usize;
                    has_failed = true;
                }
                Event::Adopts(most) => {
                    threshold = most;
                    watched.breaker.adopt(BreakerSettings { consecutive_failures: Some(few(most)), ..settings });
                }
            }
            let closed = is_closed(&watched.breaker, watched.now);
            if was_closed {
                watched.run += u32::from(has_failed);
                prop_assert_eq!(closed, !has_failed || watched.run < threshold);
            }
            if !closed {
                watched.run = 0;
            }
            if let BreakerState::Open { until } = watched.breaker.state(watched.now) {
                prop_assert!(until > watched.now && until <= watched.now + 16 * MINUTE);
            }
        }
        // Whatever was: when all are gone and time has passed, it can be asked, and close.
        watched.given.clear();
        watched.now += 16 * MINUTE;
        for _ in 0..2 {
            watched.breaker.admit(watched.now).unwrap().succeeded(watched.now);
        }
        prop_assert!(is_closed(&watched.breaker, watched.now));
    }
}
