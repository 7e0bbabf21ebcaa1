//! What would become of a call: the stages of serving up to the first byte that would be sent.
//!
//! For a relay whose counts and health are its own: what is held on the way is given back, but a breaker's probes and a
//! retry budget are used as by a call.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::request::Parts;
use http_body::Body;

use super::call::Call;
use super::candidate::Fitted;
use super::charge::{Came, Sized};
use super::dispatch::{Step, Walk, Walked, Way};
use super::explanation::{Bounds, Candidate, Edits, Explanation, Look, Refused, Room, Said, Try, Verdict};
use super::operation::{self, Operation};
use super::receive::{self, Asked};
use super::refusal::Refusal;
use super::route::{self, Candidates};
use super::when::Circumstances;
use super::{Caller, Relay, Shared, admit, candidate, count, exceed, exhausted};
use crate::clock::Now;
use crate::dialect::error::Cause;
use crate::limits::{Amounts, Ask, Each, Exceeded, Owner, Rule};
use crate::policy::Snapshot;
use crate::policy::snapshot::{Hold, Model, OnExceed, Principal, Route, Target};
use crate::units::Tokens;

impl Relay {
    /// What would become of this request if it came now, and everybody who is tried failed. Asks nobody, and holds and
    /// notes nothing when it is done.
    pub async fn explain<B>(self: &Arc<Self>, request: Request<B>, from: impl Into<Caller>) -> Explanation
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<receive::BoxError>,
    {
        let from = from.into();
        let mut call = Call::begin(self, &request, from.address());
        let (head, body) = request.into_parts();
        let mut explained = Explanation::default();
        let refusal = match self.shared.store.load() {
            Some(snapshot) => {
                self.look_ahead(&mut call, &snapshot, &head, body, &from, &mut explained).await.err()
            }
            None => Some(Refusal::new(Cause::NoProviderAvailable, "egret has no valid policy yet.")),
        };
        explained.principal.clone_from(&call.principal);
        explained.refused = refusal.map(|refusal| refused(&refusal, &call, &explained));
        // It was no call: nothing of it is counted or told.
        call.held = None;
        call.record = None;
        explained
    }

    /// The way of a call as far as its first try.
    async fn look_ahead<B>(
        self: &Arc<Self>,
        call: &mut Call,
        snapshot: &Snapshot,
        head: &Parts,
        body: B,
        from: &Caller,
        explained: &mut Explanation,
    ) -> Result<(), Refusal>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<receive::BoxError>,
    {
        let operation = operation::find(&head.method, &head.uri, call.face)?;
        let principal = self.identify(snapshot, head, from)?;
        call.comes_from(&principal);
        let Operation::Relay(api, in_path) = operation else { return Ok(()) };
        let asked = receive::receive(self, call, (api, in_path), &head.headers, body).await?;
        call.note(|record| record.bytes_in = asked.body().len() as u64);
        let Shared { ledger, calibration, .. } = &*self.shared;
        let (headers, now) = (&head.headers, self.clock.moment());
        let circumstances =
            Circumstances { principal: &principal, asked: &asked, headers, ledger, calibration, now };
        explained.said = Some(said(&asked, &circumstances));
        if count::estimated(snapshot, &principal, calibration, &asked).is_some() {
            return Ok(());
        }
        let candidates = match route::route(snapshot, call, &circumstances, &asked.model()) {
            Ok(candidates) => candidates,
            Err(refusal) => {
                explained.looks.extend(nowhere(snapshot, call, &principal, &asked));
                return Err(refusal);
            }
        };
        let way = Way {
            relay: self,
            principal: &principal,
            asked: &asked,
            from_caller: headers,
            candidates: &candidates,
        };
        looks(call, way, explained).await
    }
}

/// What the call says of itself.
fn said(asked: &Asked, circumstances: &Circumstances<'_>) -> Said {
    let own = circumstances.said();
    Said {
        api: asked.api,
        name: asked.model().into(),
        stream: asked.facts.stream,
        bytes: asked.body().len() as u64,
        max_output: asked.facts.max_output,
        task: own.task().map(Into::into),
        priority: own.priority().map(Into::into),
    }
}

/// The candidates of a name none of which comes into question.
fn nowhere(snapshot: &Snapshot, call: &Call, principal: &Principal, asked: &Asked) -> Option<Look> {
    let route = snapshot.routes.get(&*asked.model())?;
    let is_allowed = principal.tenant.access.allowed.contains(&route.id);
    is_allowed.then(|| Look {
        route: Arc::clone(route),
        total: route.total,
        candidates: excluded(call, route, &[]),
    })
}

/// Targets of a route that are in no order, and why.
fn excluded(call: &Call, route: &Route, order: &[usize]) -> Vec<Candidate> {
    let targets = route.targets.iter().enumerate().filter(|(at, _)| !order.contains(at));
    let candidate = |(_, target): (usize, &Target)| Candidate {
        model: Arc::clone(&target.model),
        verdict: passed_over(call, &target.model),
        rooms: Vec::new(),
    };
    targets.map(candidate).collect()
}

/// Why the call passed a model over, last.
fn passed_over(call: &Call, model: &Model) -> Verdict {
    let passed = call.record.iter().flat_map(|record| &record.passed_over);
    let of_model = passed.filter(|passed| Arc::ptr_eq(&passed.destination, &model.destination));
    of_model.last().map_or(Verdict::NotReached, |passed| {
        let (reason, says) = (passed.reason, None);
        Verdict::PassedOver { reason, says }
    })
}

/// Looks at the candidates, and where none of them has room at those to which a limit downgrades.
async fn looks(call: &mut Call, way: Way<'_>, explained: &mut Explanation) -> Result<(), Refusal> {
    let Some(exceeded) = look(call, way, explained).await? else { return Ok(()) };
    call.held = None;
    let (last, deadline) = match exceed::downgraded(call, &exceeded, way) {
        None => (exceeded, way.candidates.deadline),
        Some(elsewhere) => {
            let way = Way { candidates: &elsewhere, ..way };
            match look(call, way, explained).await? {
                None => return Ok(()),
                Some(exceeded) => (exceeded, elsewhere.deadline),
            }
        }
    };
    let left = deadline.saturating_duration_since(way.relay.clock.now());
    explained.waits = waits(&last, way.principal, left);
    Err(exceed::refusal(&last, way.principal))
}

/// How long a call without room, which may take so long, waits for some at most.
fn waits(exceeded: &[Exceeded], principal: &Principal, left: Duration) -> Option<Duration> {
    let wait = |exceeded: &Exceeded| match admit::beyond(exceeded, &principal.tenant)? {
        OnExceed::Queue { max_wait } => {
            let most = left.min(*max_wait);
            (!most.is_zero() && exceeded.soonest? <= most).then_some(most)
        }
        OnExceed::Clamp { .. } | OnExceed::Downgrade { .. } => None,
    };
    exceeded.iter().filter_map(wait).max()
}

/// Looks at the candidates of one name. Gives why none of them had room, where that is all there is against it.
async fn look(
    call: &mut Call,
    way: Way<'_>,
    explained: &mut Explanation,
) -> Result<Option<Vec<Exceeded>>, Refusal> {
    let Candidates { route, order, deadline } = way.candidates;
    // Before others are passed over for other reasons.
    let out = excluded(call, route, order);
    let mut walk = Walk::new(call, way);
    // Before anything is held.
    let rooms = |at| walk.target(at).map(|to| rooms_at(way, to)).unwrap_or_default();
    let all: Vec<_> = (0..walk.reach).map(rooms).collect();
    let mut looked = Vec::new();
    let mut is_over = false;
    for (at, rooms) in all.into_iter().enumerate() {
        let Some(to) = walk.target(at) else { continue };
        let candidate = |verdict, rooms| Candidate { model: Arc::clone(&to.model), verdict, rooms };
        looked.push(match is_over {
            true => candidate(Verdict::NotReached, Vec::new()),
            false => {
                let considered = walk.consider(call, at, to, rooms).await;
                is_over = considered.is_final;
                candidate(considered.verdict, considered.rooms)
            }
        });
    }
    let is_tried =
        |looked: &[Candidate]| looked.iter().any(|candidate| matches!(candidate.verdict, Verdict::Tried(_)));
    if !is_over
        && !is_tried(&looked)
        && let Some(at) = walk.least_bad(call)
        && let (Some(to), Some(candidate)) = (walk.target(at), looked.get_mut(at))
    {
        let considered = walk.consider(call, at, to, rooms_at(way, to)).await;
        (candidate.verdict, candidate.rooms) = (considered.verdict, considered.rooms);
    }
    // A call that is bound to a provider goes to no other.
    let bound = order.iter().skip(walk.reach).filter_map(|at| route.targets.get(*at));
    looked.extend(bound.map(|target| Candidate {
        model: Arc::clone(&target.model),
        verdict: Verdict::NotReached,
        rooms: Vec::new(),
    }));
    looked.extend(out);
    let is_tried = is_tried(&looked);
    let total = *deadline - call.started;
    explained.looks.push(Look { route: Arc::clone(route), total, candidates: looked });
    if is_tried {
        return Ok(None);
    }
    match walk.exhausted(call)? {
        Walked::NoRoom(exceeded) => Ok(Some(exceeded)),
        // Nobody was asked: there is nothing to be found.
        Walked::Found(_) => Err(exhausted::none_available()),
    }
}

/// What a look at one candidate came to.
struct Considered {
    verdict: Verdict,
    rooms: Vec<Room>,
    /// Whether nobody else is looked at.
    is_final: bool,
}

impl Walk<'_> {
    /// As the walk looks at one candidate; the try fails before there is any answer.
    async fn consider(&mut self, call: &mut Call, at: usize, to: &Target, rooms: Vec<Room>) -> Considered {
        let passed =
            |call: &Call, rooms| Considered { verdict: passed_over(call, &to.model), rooms, is_final: false };
        let now = self.way.relay.clock.moment();
        if call.attempts() >= self.max_attempts {
            call.passes_over(&to.model, "max_attempts", now.instant);
            return passed(call, Vec::new());
        }
        let (fitted, well) = match self.ready(call, at, to, now.instant) {
            Ok(ready) => ready,
            Err(step) => {
                let mut considered = passed(call, Vec::new());
                considered.is_final = matches!(step, Step::Over);
                if let Verdict::PassedOver { says, .. } = &mut considered.verdict {
                    *says = self.unfit_for(call, &to.model);
                }
                return considered;
            }
        };
        let rooms = asking(rooms, &fitted.sized.amounts);
        let Some((stake, key, now)) = self.admitted(call, to, &fitted, &well, now).await else {
            return passed(call, rooms);
        };
        if !self.may_retry(call, &to.model, &well, now.instant) {
            return passed(call, rooms);
        }
        let mut rooms = asking(rooms, &stake.sized.amounts);
        self.with_key(&to.model, key, now, &mut rooms);
        let tried = self.planned(call, &to.model, &fitted, &stake.sized, key);
        let (id, _) = call.tries(&to.model, stake, self.way.from_caller, now.instant);
        call.written(id, now);
        call.loses(id, "unasked", None, Came::Nothing, now);
        Considered { verdict: Verdict::Tried(tried), rooms, is_final: false }
    }

    /// Tells the room of the key that is used, of limits that each key of a pool has for itself: it holds its share already.
    fn with_key(&self, model: &Model, key: usize, now: Now, rooms: &mut [Room]) {
        let Some(key) = model.provider.keys.get(key).map(|key| &key.name) else { return };
        let ask = Ask { user: None, app: None, key: Some(key), model: &model.id, amounts: Amounts::NONE };
        let of_key = |room: &&mut Room| {
            matches!(room.rule.owner, Owner::Provider(_)) && room.rule.each == Some(Each::Key)
        };
        for room in rooms.iter_mut().filter(of_key) {
            room.of = Some(key.as_str().into());
            room.left = self.way.relay.shared.ledger.room(&room.rule, &ask, now).saturating_add(room.asks);
        }
    }

    /// Why the call does not fit at a model, where it does not.
    fn unfit_for(&self, call: &Call, model: &Model) -> Option<Box<str>> {
        let Way { principal, asked, candidates, .. } = self.way;
        let unfit = candidate::fits(call, principal, &candidates.route, model, asked).err()?;
        Some(unfit.refusal.problem().message.into())
    }

    fn planned(&self, call: &Call, model: &Model, fitted: &Fitted, sized: &Sized, key: usize) -> Try {
        let Way { principal, asked, candidates, .. } = self.way;
        let Fitted { cut, crossing, .. } = fitted;
        let cut_bytes = cut.as_ref().map_or(0, |cut| cut.bytes);
        let edits = Edits {
            model: (*model.name != *asked.model()).then(|| Arc::clone(&model.name)),
            cap: sized.cap.map(|cap| cap.tokens),
            lowers: sized.cap.is_some_and(|cap| cap.lowers),
            cut_messages: cut.as_ref().map_or(0, |cut| cut.messages),
            translated: crossing.as_ref().map(|crossing| (model.provider.dialect, crossing.api)),
            lost: crossing
                .iter()
                .flat_map(|crossing| crossing.lost.iter())
                .map(|loss| loss.field.clone())
                .collect(),
        };
        let key = model.provider.keys.get(key).filter(|key| key.at.is_some());
        let bytes = (asked.body().len() - cut_bytes) as u64;
        let secrets = &self.way.relay.shared.secrets;
        Try {
            key: key.map(|key| key.name.clone()),
            key_is_there: key.and_then(|key| key.at.as_ref()).is_none_or(|at| secrets.get(at).is_some()),
            held: sized.amounts,
            bounds: call.bounds(principal, &candidates.route, model, asked, sized, bytes),
            edits,
        }
    }
}

impl Call {
    /// What a try may come to at most, whether or not a limit counts that.
    fn bounds(
        &self,
        principal: &Principal,
        route: &Route,
        model: &Model,
        asked: &Asked,
        sized: &Sized,
        bytes: u64,
    ) -> Bounds {
        let tenant = &principal.tenant;
        let window = model.context_tokens.map(Tokens);
        let estimate = Hold::of(tenant, route, model).estimate;
        let input = self.relay.shared.calibration.input(&model.id, estimate, bytes, window);
        let longest = model.max_output_tokens.map(Tokens);
        let named = sized.cap.map(|cap| cap.tokens).or(asked.facts.max_output);
        let one = named.into_iter().chain(longest).min();
        let output = match asked.api.has_output() {
            true => one.map(|one| Tokens(one.0.saturating_mul(asked.facts.choices))),
            false => Some(Tokens::ZERO),
        };
        let price = tenant.unknowns.price(model, self.began());
        let usd = price.zip(output).map(|(price, output)| price.most(input, output));
        Bounds { input, output, usd }
    }
}

/// Where the call stands with every limit that counts a try at a target.
fn rooms_at(way: Way<'_>, to: &Target) -> Vec<Room> {
    let Way { relay, principal, candidates, .. } = way;
    let Model { id: model, provider, .. } = &*to.model;
    let (ledger, now) = (&relay.shared.ledger, relay.clock.moment());
    let room = |rule: &Rule, ask: &Ask<'_>| Room {
        rule: rule.clone(),
        of: rule.each.map(|each| each.of(ask).unwrap_or("(none)").into()),
        asks: 0,
        left: ledger.room(rule, ask, now),
    };
    let Principal { user, app, key, .. } = principal;
    let amounts = Amounts::NONE;
    let own = Ask { user: user.as_ref(), app: app.as_ref(), key: key.as_ref(), model, amounts };
    let of_tenant = principal.tenant.counting(&candidates.route.id).limits.iter();
    // Of a limit on each key of a pool the first one's, until it is known which is used.
    let key = provider.keys.first().map(|key| &key.name);
    let there = Ask { user: None, app: None, key, model, amounts };
    let of_provider = provider.limits.iter().map(|rule| room(rule, &there));
    of_tenant.map(|rule| room(rule, &own)).chain(of_provider).collect()
}

/// The same for a try of this size.
fn asking(mut rooms: Vec<Room>, amounts: &Amounts) -> Vec<Room> {
    for room in &mut rooms {
        room.asks = amounts.of(room.rule.quota.unit());
    }
    rooms
}

/// What egret answers by itself.
fn refused(refusal: &Refusal, call: &Call, explained: &Explanation) -> Refused {
    let problem = refusal.problem();
    // That of the name asked for, where the operation has a form for it.
    let responds = explained.looks.first().is_some_and(|look| look.route.on_exhausted.is_some());
    let has_form = explained.said.as_ref().is_some_and(|said| said.api.has_output());
    Refused {
        status: refusal.status(call.face).as_u16(),
        code: problem.cause.code(),
        message: problem.message.into(),
        wait: problem.wait,
        is_replaced: responds && has_form && refusal.is_exhausted(),
    }
}
