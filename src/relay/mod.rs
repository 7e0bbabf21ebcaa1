//! One call, from its request to its settlement. The stages are told in the order in which they happen.

mod admit;
mod annotation;
mod answer;
mod attempt;
mod authenticate;
mod call;
mod charge;
mod clamp;
mod dispatch;
mod exceed;
mod lease;
mod models;
mod operation;
mod outcome;
mod queue;
mod rate_headers;
mod receive;
mod refusal;
mod route;
mod shape;
mod stream;
mod timers;
mod warnings;

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;

pub use answer::RelayBody;
pub use stream::BrokenOff;
pub use timers::Timers;
pub use warnings::Warnings;

use authenticate::Origin;
use call::Call;
use operation::Operation;
use refusal::Refusal;

use crate::clock::Clock;
use crate::dialect::error::Cause;
use crate::dialect::openai::params::params;
use crate::ids::TenantId;
use crate::limits::Ledger;
use crate::net::body::BufferBudget;
use crate::net::upstream::Upstream;
use crate::policy::Snapshot;
use crate::policy::store::PolicyStore;
use crate::pricing::Calibration;
use crate::random::Random;
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
    /// Answers one request of a caller at `from`; never fails. Dropped on the way, the provider's connection is closed, what the call
    /// held is given back, and the call is noted as left by its caller.
    pub async fn handle<B>(self: Arc<Self>, request: Request<B>, from: IpAddr) -> Response<RelayBody>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<receive::BoxError>,
    {
        let mut call = Call::begin(&self, &request, from);
        let Some(snapshot) = self.shared.store.load() else {
            let refusal = Refusal::new(Cause::NoProviderAvailable, "egret has no valid policy yet.");
            return answer::refuse(call, None, &refusal);
        };
        call.under(&snapshot);
        let (head, body) = request.into_parts();
        let mut body = pin!(body);
        match self.answer(&mut call, &snapshot, &head, body.as_mut(), from).await {
            Ok(Reply::Own(body)) => answer::own(call, &snapshot, body),
            Ok(Reply::Relayed(relayed)) => relayed.send(call, &snapshot),
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

    /// The way of a call.
    async fn answer<B>(
        &self,
        call: &mut Call,
        snapshot: &Snapshot,
        head: &Parts,
        body: Pin<&mut B>,
        from: IpAddr,
    ) -> Result<Reply, Refusal>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<receive::BoxError>,
    {
        let operation = operation::find(&head.method, head.uri.path())?;
        call.asks_for(operation);
        let origin = Origin { loopback: from.is_loopback(), stamp: self.shared.settings.stamp.as_ref() };
        let principal = authenticate::authenticate(snapshot, &head.headers, origin)?;
        call.comes_from(&principal);
        let api = match operation {
            Operation::ListModels => {
                return Ok(Reply::Own(models::all(snapshot, &principal, self.clock.wall())));
            }
            Operation::ShowModel(id) => {
                return models::show(snapshot, &principal, id, self.clock.wall()).map(Reply::Own);
            }
            Operation::Relay(api) => api,
        };
        let asked = receive::receive(self, call, api, &head.headers, body).await?;
        call.note(|record| {
            record.stream = asked.facts.stream;
            record.bytes_in = asked.body().len() as u64;
            if let Some(trace) = &mut record.trace {
                trace.params = params(api, asked.body());
            }
        });
        let candidates = route::route(snapshot, &principal, &asked.model(), api)?;
        call.note(|record| record.route = Some(candidates.route.id.clone()));
        let found = exceed::dispatch(self, call, &principal, &asked, &head.headers, &candidates).await?;
        Ok(Reply::Relayed(answer::Relayed::new(found, api, call.started)))
    }
}

/// What a call comes to, refusals apart.
enum Reply {
    /// An answer of our own.
    Own(Bytes),
    /// A provider's.
    Relayed(answer::Relayed),
}
