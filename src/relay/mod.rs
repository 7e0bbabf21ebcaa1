//! One call, from its request to its settlement. The stages are told in the order in which they happen.

mod admit;
mod annotation;
mod answer;
mod attempt;
mod attributes;
mod authenticate;
mod call;
mod candidate;
mod charge;
mod clamp;
mod commit;
mod count;
mod crossing;
mod dispatch;
mod exceed;
mod exhausted;
mod explain;
mod explanation;
mod hedge;
mod keep_alive;
mod lease;
mod models;
mod operation;
mod order;
mod outcome;
mod queue;
mod rate_headers;
mod receive;
mod refusal;
mod report;
mod room;
mod route;
mod shape;
mod stream;
mod timers;
mod tries;
mod under_way;
mod warnings;
mod when;
mod window;

use std::net::{IpAddr, Ipv4Addr};
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;

pub use answer::RelayBody;
pub use explanation::{Bounds, Candidate, Edits, Explanation, Look, Refused, Room, Said, Try, Verdict};
pub use keep_alive::KeptAlive;
pub use stream::BrokenOff;
pub use timers::Timers;
pub use warnings::Warnings;

use authenticate::Origin;
use call::Call;
use dispatch::Way;
use keep_alive::Waiting;
use operation::Operation;
use receive::Asked;
use refusal::Refusal;
use when::Circumstances;

use crate::clock::Clock;
use crate::dialect::answer as fixed;
use crate::dialect::error::Cause;
use crate::dialect::params::params;
use crate::dialect::sse;
use crate::ids::TenantId;
use crate::limits::Ledger;
use crate::net::body::BufferBudget;
use crate::net::upstream::Upstream;
use crate::policy::Snapshot;
use crate::policy::snapshot::Principal;
use crate::policy::store::PolicyStore;
use crate::pricing::Calibration;
use crate::random::Random;
use crate::resilience::health::Health;
use crate::secret::Secrets;
use crate::telemetry::Telemetry;

/// Relays calls. One per worker, with its own connections; what is counted is shared.
pub struct Relay {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// This worker's connections to providers.
    pub upstream: Upstream,
    /// Tells the time.
    pub clock: Clock,
    /// Gives calls their ids.
    pub random: Random,
    /// Its timers that no call uses.
    pub timers: Timers,
}

/// What outlives every call and every policy.
pub struct Shared {
    /// The policy in force.
    pub store: Arc<PolicyStore>,
    /// Live counts of every limit.
    pub ledger: Arc<Ledger>,
    /// How many tokens a byte of a call's body is, by model.
    pub calibration: Calibration,
    /// The providers' keys.
    pub secrets: Arc<Secrets>,
    /// Where finished calls are noted.
    pub telemetry: Telemetry,
    /// Which failed attempts have been said on standard error.
    pub warnings: Warnings,
    /// How providers, targets and routes do.
    pub health: Arc<Health>,
    /// How many request bytes the process may hold.
    pub budget: BufferBudget,
    /// What the process was started with.
    pub settings: Settings,
}

/// What the process was started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// The tenant of callers without a credential, by `--tenant`.
    pub stamp: Option<TenantId>,
}

impl Relay {
    /// Answers one request; never fails. Dropped on the way, the provider's connection is closed, what the call held is
    /// given back, and the call is noted as left by its caller.
    pub async fn handle<B>(
        self: Arc<Self>,
        request: Request<B>,
        from: impl Into<Caller>,
    ) -> Response<RelayBody>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<receive::BoxError>,
    {
        let from = from.into();
        let mut call = Call::begin(&self, &request, from.address());
        let Some(snapshot) = self.shared.store.load() else {
            let refusal = Refusal::new(Cause::NoProviderAvailable, "egret has no valid policy yet.");
            return answer::refuse(call, None, &refusal);
        };
        call.under(&snapshot);
        let (head, body) = request.into_parts();
        let mut body = pin!(body);
        match self.answer(&mut call, &snapshot, &head, body.as_mut(), &from).await {
            Ok(Found::Reply(reply)) => answer::reply(call, &snapshot, Ok(reply)),
            Ok(Found::Waiting(waiting)) => {
                // Boxed: most routes keep nothing alive, and every call would carry its room.
                Box::pin(keep_alive::answer(&self, call, snapshot, head.headers, *waiting)).await
            }
            Err(refusal) => {
                // A body that was not waited for any longer is not waited for again.
                if refusal.cause() != Cause::RequestTimeout {
                    let began = self.clock.now();
                    receive::discard(&head, body).await;
                    call.waits(began);
                }
                answer::refuse(call, Some(&snapshot), &refusal)
            }
        }
    }

    /// Who is calling.
    fn identify(&self, snapshot: &Snapshot, head: &Parts, from: &Caller) -> Result<Arc<Principal>, Refusal> {
        match from {
            Caller::Known(principal) => Ok(Arc::clone(principal)),
            Caller::At(address) => {
                let stamp = self.shared.settings.stamp.as_ref();
                let origin = Origin { loopback: address.is_loopback(), stamp };
                authenticate::authenticate(snapshot, &head.headers, head.uri.query(), origin)
            }
        }
    }

    /// The way of a call.
    async fn answer<B>(
        &self,
        call: &mut Call,
        snapshot: &Snapshot,
        head: &Parts,
        body: Pin<&mut B>,
        from: &Caller,
    ) -> Result<Found, Refusal>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<receive::BoxError>,
    {
        let operation = operation::find(&head.method, &head.uri, call.face)?;
        call.asks_for(&operation);
        let principal = self.identify(snapshot, head, from)?;
        call.comes_from(&principal);
        let (api, in_path) = match operation {
            Operation::ListModels(face) => {
                return Ok(Found::own(models::all(face, snapshot, &principal, self.clock.wall())));
            }
            Operation::ShowModel(face, id) => {
                return models::show(face, snapshot, &principal, &id, self.clock.wall()).map(Found::own);
            }
            Operation::Relay(api, in_path) => (api, in_path),
        };
        let asked = receive::receive(self, call, (api, in_path), &head.headers, body).await?;
        call.note(|record| {
            record.stream = asked.facts.stream;
            record.bytes_in = asked.body().len() as u64;
            if let Some(trace) = &mut record.trace {
                trace.params = params(api, asked.body());
            }
        });
        let Shared { ledger, calibration, .. } = &*self.shared;
        if let Some(count) = count::estimated(snapshot, &principal, calibration, &asked) {
            return Ok(Found::Reply(Reply::Estimated(count)));
        }
        let (headers, now) = (&head.headers, self.clock.moment());
        let circumstances =
            Circumstances { principal: &principal, asked: &asked, headers, ledger, calibration, now };
        let candidates = route::route(snapshot, call, &circumstances, &asked.model())?;
        if let Some(keep_alive) =
            candidates.route.keep_alive.filter(|_| asked.facts.stream && sse::keep_alive(api).is_some())
        {
            let waiting = Waiting { principal, asked, candidates, keep_alive };
            return Ok(Found::Waiting(Box::new(waiting)));
        }
        let way = Way {
            relay: self,
            principal: &principal,
            asked: &asked,
            from_caller: headers,
            candidates: &candidates,
        };
        look(call, way).await.map(Found::Reply)
    }
}

/// Who sends a request, as far as that is known before its head is read.
#[derive(Clone, Debug)]
pub enum Caller {
    /// Somebody at this address: the request says who it is.
    At(IpAddr),
    /// Whoever a rehearsal takes it for, in this process; no credential of the request is looked at.
    Known(Arc<Principal>),
}

impl Caller {
    fn address(&self) -> IpAddr {
        match self {
            Self::At(address) => *address,
            Self::Known(_) => Ipv4Addr::LOCALHOST.into(),
        }
    }
}

impl From<IpAddr> for Caller {
    fn from(address: IpAddr) -> Self {
        Self::At(address)
    }
}

/// Looks for an answer; where nobody has one, the policy may.
async fn look(call: &mut Call, way: Way<'_>) -> Result<Reply, Refusal> {
    let Way { asked, candidates, .. } = way;
    match exceed::dispatch(call, way).await {
        Ok(found) => Ok(Reply::Relayed(answer::Relayed::new(found, asked.api))),
        Err(refusal) => match &candidates.route.on_exhausted {
            Some(text) if refusal.is_exhausted() => respond(call, asked, text, refusal),
            Some(_) | None => Err(refusal),
        },
    }
}

/// The policy's own answer in place of a refusal, where the operation has a form for it.
fn respond(call: &Call, asked: &Asked, text: &str, refusal: Refusal) -> Result<Reply, Refusal> {
    let id = call.id.hex();
    let fixed = fixed::Fixed {
        text,
        model: &asked.model(),
        id: str::from_utf8(&id).unwrap_or_default(),
        created: call.began().as_second(),
        include_usage: asked.facts.asks_usage,
    };
    let stream = asked.facts.stream;
    match fixed::fixed(asked.api, stream, &fixed) {
        Some(body) => Ok(Reply::Fixed(answer::Fixed { body, stream, refusal })),
        None => Err(refusal),
    }
}

/// What the way of a call led to.
enum Found {
    /// What its caller gets.
    Reply(Reply),
    /// A stream that is kept alive while it is looked for.
    Waiting(Box<Waiting>),
}

impl Found {
    fn own(body: Bytes) -> Self {
        Self::Reply(Reply::Own(body))
    }
}

/// What a call comes to, refusals apart.
enum Reply {
    /// An answer of our own.
    Own(Bytes),
    /// One that is an estimate.
    Estimated(Bytes),
    /// A provider's.
    Relayed(answer::Relayed),
    /// The policy's, for want of one.
    Fixed(answer::Fixed),
}
