//! Random schedules against the simplest bookkeeping that could be right.

use std::collections::HashMap;
use std::mem;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Reserve { user: u8, model: u8 },
    Used { call: usize },
    Redirect { call: usize, model: u8 },
    Release { call: usize },
    Drop { call: usize },
    Pass { millis: u64 },
    Reload { amounts: [u32; 4], secs: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let call = 0..16_usize;
    let step = prop_oneof![
        6 => (0..4_u8, 0..3_u8).prop_map(|(user, model)| Step::Reserve { user, model }),
        4 => call.clone().prop_map(|call| Step::Used { call }),
        3 => (call.clone(), 0..3_u8).prop_map(|(call, model)| Step::Redirect { call, model }),
        2 => call.clone().prop_map(|call| Step::Release { call }),
        3 => call.prop_map(|call| Step::Drop { call }),
        2 => (0..20_000_u64).prop_map(|millis| Step::Pass { millis }),
        1 => (prop::array::uniform4(1..6_u32), 1..90_u64)
            .prop_map(|(amounts, secs)| Step::Reload { amounts, secs }),
    ];
    prop::collection::vec(step, 1..120)
}

/// `rpm`, `user` and `model` roll, `open` counts places of each model.
fn policy(amounts: [u32; 4], secs: u64) -> Arc<[Rule]> {
    let per = Duration::from_secs(secs);
    limits([
        rule("rpm", requests(amounts[0] + 3, per), None),
        rule("user", requests(amounts[1], per), Some(Each::User)),
        rule("model", requests(amounts[2] + 1, 2 * per), Some(Each::Model)),
        rule("open", concurrent(amounts[3]), Some(Each::Model)),
    ])
}

/// A cell by limit key and value.
type Id = (String, Option<String>);

/// One cell in floating point; no eviction, no table, no lock.
struct Book {
    settled: f64,
    reserved: u64,
    amount: f64,
    /// Seconds; infinite for places, which never leak.
    per: f64,
    at: Now,
}

/// Floating point may be wrong by so much of a call.
const BLUR: f64 = 1e-6;

impl Book {
    fn new(now: Now) -> Self {
        Self { settled: 0.0, reserved: 0, amount: 0.0, per: f64::INFINITY, at: now }
    }

    fn advance(&mut self, now: Now) {
        let passed = now.instant.duration_since(self.at.instant).as_secs_f64();
        self.settled = (self.settled - self.amount * passed / self.per).max(0.0);
        self.at = now;
    }

    fn adopt(&mut self, quota: &Quota, now: Now) {
        self.advance(now);
        (self.amount, self.per) = match quota {
            Quota::Windowed { amount, window: Window::Rolling(per), .. } => {
                (amount.get() as f64, per.as_secs_f64())
            }
            Quota::Windowed { .. } => unreachable!("none of these turns"),
            Quota::Concurrent { amount } => (f64::from(amount.get()), f64::INFINITY),
        };
    }

    /// By how much one more passes the limit.
    fn over(&self) -> f64 {
        self.settled + self.reserved as f64 + 1.0 - self.amount
    }
}

/// A call as the books have it: the cells it holds and the cells it has used.
struct Call {
    reservation: Reservation,
    /// Those of the policy that it began under.
    rules: Arc<[Rule]>,
    model: String,
    held: Vec<Id>,
    used: Vec<Id>,
    over: bool,
}

struct World {
    ledger: Arc<Ledger>,
    rules: Arc<[Rule]>,
    calls: Vec<Call>,
    books: HashMap<Id, Book>,
    now: Now,
}

impl World {
    fn new() -> Self {
        Self {
            ledger: Arc::new(Ledger::with_cells(3)),
            rules: policy([3, 3, 3, 3], 60),
            calls: Vec::new(),
            books: HashMap::new(),
            now: moment(),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Reserve { user, model } => self.reserve(user, model),
            Step::Used { call } => self.used(call),
            Step::Redirect { call, model } => self.redirect(call, &format!("model-{model}")),
            Step::Release { call } => {
                if let Some(call) = self.calls.get_mut(call) {
                    call.reservation.release();
                    call.over = true;
                    give_back(&mut self.books, &mem::take(&mut call.held));
                }
            }
            Step::Drop { call } => {
                if call < self.calls.len() {
                    let call = self.calls.swap_remove(call);
                    give_back(&mut self.books, &call.held);
                }
            }
            Step::Pass { millis } => self.now = self.now + Duration::from_millis(millis),
            Step::Reload { amounts, secs } => self.rules = policy(amounts, secs),
        }
        self.compare();
    }

    fn reserve(&mut self, user: u8, model: u8) {
        // User 0 has no name.
        let user = (user > 0).then(|| format!("user-{user}"));
        let model = format!("model-{model}");
        let caller = Caller { user: user.as_deref().map(UserId::from), model: model.as_str().into() };
        let held = vec![
            ("rpm".to_owned(), None),
            ("user".to_owned(), Some(user.unwrap_or_else(|| "(none)".to_owned()))),
            ("model".to_owned(), Some(model.clone())),
            ("open".to_owned(), Some(model.clone())),
        ];
        let answer = self.ledger.reserve(&self.rules, &caller.ask(), self.now);
        let rules = self.rules.clone();
        self.judge(&rules, &held, answer.as_ref().err());
        if let Ok(reservation) = answer {
            let (used, over) = (Vec::new(), false);
            self.calls.push(Call { reservation, rules, model, held, used, over });
        }
    }

    fn used(&mut self, call: usize) {
        let Some(call) = self.calls.get_mut(call) else {
            return;
        };
        call.reservation.written(self.now);
        let (places, calls): (_, Vec<Id>) =
            mem::take(&mut call.held).into_iter().partition(|(key, _)| key == "open");
        call.held = places;
        for id in &calls {
            let book = self.books.get_mut(id).unwrap();
            book.advance(self.now);
            book.reserved -= 1;
            book.settled += 1.0;
        }
        call.used.extend(calls);
    }

    fn redirect(&mut self, at: usize, model: &str) {
        let Some(call) = self.calls.get_mut(at) else {
            return;
        };
        let answer = call.reservation.resize(&model.into(), &Amounts::NONE, self.now);
        if call.over || call.model == model {
            assert!(answer.is_ok());
            return;
        }
        let asked: Vec<Id> = ["model", "open"]
            .map(|key| (key.to_owned(), Some(model.to_owned())))
            .into_iter()
            .filter(|id| !call.used.contains(id))
            .collect();
        let rules = call.rules.clone();
        self.judge(&rules, &asked, answer.as_ref().err());
        if answer.is_ok() {
            let call = &mut self.calls[at];
            call.model = model.to_owned();
            let (left, kept): (Vec<Id>, _) =
                mem::take(&mut call.held).into_iter().partition(|(key, _)| key == "model" || key == "open");
            call.held = kept;
            call.held.extend(asked);
            give_back(&mut self.books, &left);
        }
    }

    /// Whether the books would have decided the same, and if granted, writes it down.
    fn judge(&mut self, rules: &[Rule], asked: &[Id], exceeded: Option<&Exceeded>) {
        for id in asked {
            let quota = rules.iter().find(|rule| rule.key.as_str() == id.0).unwrap().quota.clone();
            let book = self.books.entry(id.clone()).or_insert_with(|| Book::new(self.now));
            book.adopt(&quota, self.now);
        }
        match exceeded {
            Some(exceeded) => {
                let id = (exceeded.rule.key.as_str().to_owned(), exceeded.each.clone());
                assert!(asked.contains(&id));
                assert!(self.books[&id].over() > -BLUR, "{id:?} had room");
            }
            None => {
                for id in asked {
                    let book = self.books.get_mut(id).unwrap();
                    assert!(book.over() < BLUR, "{id:?} is granted beyond its limit by {}", book.over());
                    book.reserved += 1;
                }
            }
        }
    }

    /// Everything the books know against everything the ledger shows.
    fn compare(&mut self) {
        let mut shown: HashMap<Id, CellUse> = HashMap::new();
        for cell in self.ledger.usage(self.now) {
            let id = (cell.key.as_str().to_owned(), cell.value.clone());
            assert!(shown.insert(id, cell).is_none());
        }
        for (id, book) in &mut self.books {
            book.advance(self.now);
            let (settled, reserved) = shown.remove(id).map_or((0, 0), |cell| (cell.settled, cell.reserved));
            assert_eq!(reserved, book.reserved, "{id:?}");
            let gap = settled as f64 - book.settled;
            assert!((-BLUR..1.0 + BLUR).contains(&gap), "{id:?} shows {settled} for {}", book.settled);
        }
        assert!(shown.values().all(|cell| cell.settled == 0 && cell.reserved == 0), "{shown:?}");
    }
}

fn give_back(books: &mut HashMap<Id, Book>, held: &[Id]) {
    for id in held {
        books.get_mut(id).unwrap().reserved -= 1;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]
    #[test]
    fn nothing_is_lost_and_every_grant_and_refusal_is_right(schedule in steps()) {
        let mut world = World::new();
        for step in &schedule {
            world.step(step);
        }
        world.calls.clear();
        // Longer than any schedule of the policies takes to leak: 8 calls at 1 per 180 s.
        let end = world.now + Duration::from_secs(10 * 180 * 8);
        for cell in world.ledger.usage(end) {
            prop_assert_eq!((cell.settled, cell.reserved), (0, 0), "{:?}", cell);
        }
    }
}
