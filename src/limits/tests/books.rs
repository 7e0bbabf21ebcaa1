//! The simplest bookkeeping that could be right, kept beside the ledger through random schedules: nothing of the ledger's
//! own arithmetic. Here for the unit tests and for the soak (`tests/soak`), which is the longer run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::schedules::{Policy, Step, later, start, stem};
use crate::clock::{Date, Now};
use crate::ids::{LimitKey, ModelId, UserId};
use crate::limits::{
    Amounts, Ask, CellUse, Each, Exceeded, Ledger, Mode, Owner, Quota, Reservation, Rule, Turn, Unit, Window,
};

/// A cell: key, unit, turn, value and whose.
type Id = (String, Unit, Option<Turn>, Option<String>, Owner);

fn id(rule: &Rule, user: Option<&str>, model: &str) -> Id {
    let value = match rule.each {
        None => None,
        Some(Each::Model) => Some(model.to_owned()),
        Some(Each::User | Each::App | Each::Key) => Some(user.unwrap_or("(none)").to_owned()),
    };
    (stem(&rule.key), rule.quota.unit(), rule.quota.turn(), value, rule.owner.clone())
}

fn id_of(cell: &CellUse) -> Id {
    (stem(&cell.key), cell.unit, cell.turn, cell.value.clone(), cell.owner.clone())
}

/// One cell. What is reserved is not here: it is the sum over all calls.
struct Book {
    settled: f64,
    quota: Quota,
    kept_back: u64,
    mode: Mode,
    /// Of a calendar: the first day of the running window, and how often it turned.
    window: Option<Date>,
    turns: u32,
    at: Now,
}

/// Floating point may be wrong by so much of a token.
const BLUR: f64 = 1e-6;

impl Book {
    fn new(rule: &Rule, now: Now) -> Self {
        let (quota, mode, kept_back) = (rule.quota.clone(), rule.mode, rule.kept_back);
        let mut book = Self { settled: 0.0, quota, kept_back, mode, window: None, turns: 0, at: now };
        book.window = book.first_day();
        book
    }

    fn limit(&self) -> f64 {
        match &self.quota {
            Quota::Windowed { amount, .. } => amount.get() as f64,
            Quota::Concurrent { amount } => amount.get().into(),
        }
    }

    /// What of it is granted.
    fn granted(&self) -> f64 {
        self.limit() - self.kept_back as f64
    }

    /// The running window, by the calendar on the wall.
    fn first_day(&self) -> Option<Date> {
        let Quota::Windowed { window: Window::Calendar(calendar), .. } = &self.quota else { return None };
        let today = calendar.zone.to_datetime(self.at.wall).date();
        Some(match calendar.turn {
            Turn::Day => today,
            Turn::Week => {
                let monday = |day: &Date| day.weekday() == jiff::civil::Weekday::Monday;
                std::iter::successors(Some(today), |day| day.yesterday().ok()).find(monday).unwrap()
            }
            Turn::Month => Date::new(today.year(), today.month(), 1).unwrap(),
        })
    }

    fn advance(&mut self, now: Now) {
        if let Quota::Windowed { amount, window: Window::Rolling(per), .. } = &self.quota {
            let passed = now.instant.duration_since(self.at.instant).as_secs_f64();
            self.settled = (self.settled - amount.get() as f64 * passed / per.as_secs_f64()).max(0.0);
        }
        self.at = Now { instant: now.instant, wall: self.at.wall.max(now.wall) };
        let today = self.first_day();
        if today > self.window {
            (self.window, self.settled) = (today, 0.0);
            self.turns += 1;
        }
    }

    fn adopt(&mut self, rule: &Rule, now: Now) {
        self.advance(now);
        self.quota = rule.quota.clone();
        self.kept_back = rule.kept_back;
        self.window = self.first_day();
        if (self.mode, rule.mode) == (Mode::Shadow, Mode::Enforce) {
            self.settled = self.settled.min(self.limit());
        }
        self.mode = rule.mode;
    }
}

/// What a call holds of a cell.
#[derive(Clone, Copy, Debug)]
struct Held {
    amount: u64,
    turns: u32,
    /// What of it the window that granted it may yet take.
    covered: u64,
    /// Granted by a limit that only counted.
    in_shadow: bool,
}

struct Call {
    reservation: Reservation,
    rules: Arc<[Rule]>,
    user: Option<String>,
    held: HashMap<Id, Held>,
    /// Where it counts as a call already.
    used: Vec<Id>,
    /// What would have refused it so far.
    beyond: Vec<LimitKey>,
    over: bool,
}

/// A ledger, and books of what it should hold; whatever differs panics.
pub(crate) struct World {
    ledger: Arc<Ledger>,
    policy: Policy,
    rules: Arc<[Rule]>,
    /// The provider's.
    rules_there: Arc<[Rule]>,
    calls: Vec<Call>,
    books: HashMap<Id, Book>,
    now: Now,
    /// As `now`, on clocks that never step back.
    latest: Now,
    /// Calls and attempts that were granted, and those that were not.
    pub(crate) grants: u64,
    pub(crate) refusals: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let policy = Policy::first();
        let now = start();
        let mut world = Self {
            ledger: Arc::new(Ledger::with_cells(4)),
            rules: policy.rules(),
            rules_there: policy.rules_there(),
            policy,
            calls: Vec::new(),
            books: HashMap::new(),
            now,
            latest: now,
            grants: 0,
            refusals: 0,
        };
        // Asked once before anything steps back: a time that nobody told is none.
        world.compare();
        world
    }

    /// Takes a step, and compares everything thereafter.
    pub(crate) fn step(&mut self, step: &Step) {
        match step {
            Step::Reserve { user, model, amounts } => {
                self.reserve(*user, *model, amounts, Arc::clone(&self.rules));
            }
            Step::Attempt { model, amounts } => {
                if self.reserve(0, *model, amounts, Arc::clone(&self.rules)) {
                    self.reserve(0, *model, amounts, Arc::clone(&self.rules_there));
                }
            }
            Step::Written { call } => self.written(*call),
            Step::Charge { call, amounts } => self.charge(*call, amounts, false),
            Step::Resize { call, model, amounts } => self.resize(*call, *model, amounts),
            Step::Settle { call, amounts } => self.charge(*call, amounts, true),
            Step::Drop { call } => {
                if *call < self.calls.len() {
                    drop(self.calls.swap_remove(*call));
                }
            }
            Step::Pass { millis } => self.now = later(self.now, Duration::from_millis(*millis)),
            Step::Back { secs } => self.now.wall -= Duration::from_secs(*secs),
            Step::Reload(policy) => {
                self.load(policy.named_as(&self.policy));
            }
            Step::Rename { tpm, calls, says_was } => {
                self.load(self.policy.renamed(*tpm, *calls, *says_was));
            }
        }
        self.latest = Now { instant: self.now.instant, wall: self.latest.wall.max(self.now.wall) };
        self.compare();
    }

    fn load(&mut self, policy: Policy) {
        (self.rules, self.rules_there) = (policy.rules(), policy.rules_there());
        self.ledger.adopt(self.rules.iter().chain(&*self.rules_there), self.now);
        self.policy = policy;
    }

    /// Gives whether there was room.
    fn reserve(&mut self, user: u8, model: u8, amounts: &Amounts, rules: Arc<[Rule]>) -> bool {
        // User 0 has no name.
        let user = (user > 0).then(|| format!("user-{user}"));
        let model = format!("model-{model}");
        let (name, id_of_model) = (user.as_deref().map(UserId::from), ModelId::from(model.as_str()));
        let ask = Ask { user: name.as_ref(), app: None, key: None, model: &id_of_model, amounts: *amounts };
        let answer = self.ledger.reserve(&rules, &ask, self.now);
        self.count(answer.is_ok());
        let asked: Vec<Id> = rules.iter().map(|rule| id(rule, user.as_deref(), &model)).collect();
        for (rule, id) in rules.iter().zip(&asked) {
            self.adopt(rule, id);
        }
        self.judge(&asked, amounts, None, answer.as_ref().err());
        let Ok(reservation) = answer else { return false };
        self.would_refuse(&reservation, &asked, amounts);
        let held = asked.iter().map(|id| (id.clone(), self.hold(id, amounts))).collect();
        let beyond = reservation.would_refuse().map(|rule| rule.key.clone()).collect();
        self.calls.push(Call { reservation, rules, user, held, used: Vec::new(), beyond, over: false });
        self.within_limits(&asked);
        true
    }

    fn resize(&mut self, at: usize, model: u8, amounts: &Amounts) {
        let Some(call) = self.calls.get_mut(at) else { return };
        let model = format!("model-{model}");
        let answer = call.reservation.resize(&model.as_str().into(), amounts, self.now);
        if call.over {
            assert!(answer.is_ok());
            return;
        }
        let before: Vec<LimitKey> = call.beyond.clone();
        call.beyond = call.reservation.would_refuse().map(|rule| rule.key.clone()).collect();
        assert!(before.iter().all(|key| call.beyond.contains(key)));
        let (rules, user) = (Arc::clone(&call.rules), call.user.clone());
        let (held, used) = (call.held.clone(), call.used.clone());
        let next: Vec<Id> = rules.iter().map(|rule| id(rule, user.as_deref(), &model)).collect();
        let sized = |id: &Id| !matches!(id.1, Unit::Requests | Unit::Concurrent);
        let asked: Vec<Id> = next
            .iter()
            .filter(|id| sized(id) || !(held.contains_key(*id) || used.contains(id)))
            .cloned()
            .collect();
        for (rule, id) in rules.iter().zip(&next) {
            if asked.contains(id) && !held.contains_key(id) {
                self.adopt(rule, id);
            } else if asked.contains(id) {
                let now = self.now;
                self.books.get_mut(id).unwrap().advance(now);
            }
        }
        self.count(answer.is_ok());
        self.judge(&asked, amounts, Some(at), answer.as_ref().err());
        if answer.is_ok() {
            let granted: Vec<_> = asked.iter().map(|id| (id.clone(), self.hold(id, amounts))).collect();
            let call = &mut self.calls[at];
            call.held.retain(|id, _| next.contains(id));
            call.held.extend(granted);
            self.within_limits(&asked);
        }
    }

    fn written(&mut self, at: usize) {
        let Some(call) = self.calls.get_mut(at) else { return };
        call.reservation.written(self.now);
        let calls: Vec<Id> = call.held.keys().filter(|id| id.1 == Unit::Requests).cloned().collect();
        for id in calls {
            let held = call.held.remove(&id).unwrap();
            spend(self.books.get_mut(&id).unwrap(), 1, held, self.now);
            call.used.push(id);
        }
    }

    /// An attempt is over, with `settles` the call too.
    fn charge(&mut self, at: usize, amounts: &Amounts, settles: bool) {
        let Some(call) = self.calls.get_mut(at) else { return };
        if settles {
            call.reservation.settle(amounts, self.now);
        } else {
            call.reservation.charge(amounts, self.now);
        }
        for (id, held) in &mut call.held {
            if !matches!(id.1, Unit::Requests | Unit::Concurrent) && amounts.of(id.1) > 0 {
                *held = spend(self.books.get_mut(id).unwrap(), amounts.of(id.1), *held, self.now);
            }
        }
        if settles {
            call.held.clear();
            call.over = true;
        }
    }

    fn count(&mut self, granted: bool) {
        *(if granted { &mut self.grants } else { &mut self.refusals }) += 1;
    }

    fn adopt(&mut self, rule: &Rule, id: &Id) {
        let now = self.latest;
        self.books.entry(id.clone()).or_insert_with(|| Book::new(rule, now)).adopt(rule, now);
    }

    fn hold(&self, id: &Id, amounts: &Amounts) -> Held {
        let (amount, book) = (amounts.of(id.1), &self.books[id]);
        Held { amount, turns: book.turns, covered: amount, in_shadow: book.mode == Mode::Shadow }
    }

    fn reserved(&self, id: &Id, without: Option<usize>) -> u64 {
        let others = self.calls.iter().enumerate().filter(|(at, _)| Some(*at) != without);
        others.filter_map(|(_, call)| Some(call.held.get(id)?.amount)).sum()
    }

    /// By how much another so large passes the limit.
    fn over(&self, id: &Id, amounts: &Amounts, of: Option<usize>) -> f64 {
        let all = self.books[id].settled + (self.reserved(id, of) + amounts.of(id.1)) as f64;
        all - self.books[id].granted()
    }

    /// Whether what only counts tells when it had no room, and nothing else does.
    fn would_refuse(&self, reservation: &Reservation, asked: &[Id], amounts: &Amounts) {
        for id in asked {
            let told = reservation.would_refuse().any(|rule| stem(&rule.key) == id.0);
            let (over, only_counts) = (self.over(id, amounts, None), self.books[id].mode == Mode::Shadow);
            if over.abs() > BLUR || !only_counts {
                assert_eq!(told, only_counts && over > 0.0, "{id:?} is over by {over}");
            }
        }
    }

    /// Whether the books would have decided the same.
    fn judge(&self, asked: &[Id], amounts: &Amounts, of: Option<usize>, exceeded: Option<&Exceeded>) {
        let over = |id: &Id| self.over(id, amounts, of);
        let Some(exceeded) = exceeded else {
            for id in asked.iter().filter(|id| self.books[*id].mode == Mode::Enforce) {
                assert!(over(id) < BLUR, "{id:?} is granted beyond its limit by {}", over(id));
            }
            return;
        };
        let (rule, each) = (&exceeded.rule, exceeded.each.clone());
        let (unit, turn) = (rule.quota.unit(), rule.quota.turn());
        let id = (stem(&rule.key), unit, turn, each, rule.owner.clone());
        assert!(asked.contains(&id));
        assert_eq!(self.books[&id].mode, Mode::Enforce);
        assert!(over(&id) > -BLUR, "{id:?} had room");
        let never = id.1 != Unit::Concurrent && amounts.of(id.1) as f64 > self.books[&id].granted();
        assert_eq!((exceeded.never, exceeded.asked), (never, amounts.of(id.1)));
        assert_eq!(exceeded.wait.is_none(), never || id.1 == Unit::Concurrent);
    }

    /// The promise itself, in whole numbers, as the ledger shows them right after a grant.
    fn within_limits(&self, granted: &[Id]) {
        for cell in self.ledger.usage(self.now) {
            let id = id_of(&cell);
            if granted.contains(&id) {
                assert_eq!(cell.limit as f64, self.books[&id].limit(), "{cell:?}");
                assert_eq!(cell.mode, self.books[&id].mode, "{cell:?}");
                assert_eq!(cell.kept_back, self.books[&id].kept_back, "{cell:?}");
                let taken = cell.settled + cell.reserved + cell.kept_back;
                assert!(cell.mode == Mode::Shadow || taken <= cell.limit, "{cell:?}");
            }
        }
    }

    /// Everything the books know against everything the ledger shows.
    fn compare(&mut self) {
        let mut shown: HashMap<Id, CellUse> = HashMap::new();
        for cell in self.ledger.usage(self.now) {
            let id = id_of(&cell);
            assert!(shown.insert(id, cell).is_none());
        }
        for book in self.books.values_mut() {
            book.advance(self.latest);
        }
        for (id, book) in &self.books {
            let cell = shown.remove(id);
            let (settled, reserved) = cell.as_ref().map_or((0, 0), |cell| (cell.settled, cell.reserved));
            assert_eq!(reserved, self.reserved(id, None), "{id:?}");
            let gap = settled as f64 - book.settled;
            assert!((-BLUR..1.0 + BLUR).contains(&gap), "{id:?} shows {settled} for {}", book.settled);
            if id.2.is_some() {
                assert_eq!(settled as f64, book.settled, "a budget is exact: {id:?}");
            }
            assert!(cell.is_none_or(|cell| cell.debt == cell.settled.saturating_sub(cell.limit)));
        }
        assert!(shown.values().all(|cell| cell.settled == 0 && cell.reserved == 0), "{shown:?}");
    }

    /// All leave who are left, and time passes until nothing counts any more.
    pub(crate) fn end(&mut self) {
        self.calls.clear();
        self.compare();
        // Longer than any debt of these schedules takes to leak, and than any window of a calendar.
        for cell in self.ledger.usage(later(self.now, Duration::from_secs(90 * 100 * 120 * 60))) {
            assert_eq!((cell.settled, cell.reserved, cell.debt), (0, 0, 0), "{cell:?}");
        }
    }
}

/// Writes down what was used, and gives what is held thereafter.
fn spend(book: &mut Book, used: u64, held: Held, now: Now) -> Held {
    book.advance(now);
    let covered = if held.turns == book.turns { 0 } else { used.min(held.covered) };
    let before = book.settled;
    book.settled += (used - covered) as f64;
    if held.in_shadow && book.mode == Mode::Enforce {
        // It was granted what nobody counted on: that is no debt.
        book.settled = book.settled.min(book.limit().max(before));
    }
    Held { covered: held.covered - covered, ..held }
}
