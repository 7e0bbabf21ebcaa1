//! `mock:`: the script of a scripted provider.

use std::time::Duration;

use super::{DAY, HOUR, not_zero, span_between};
use crate::mock::Script;
use crate::mock::script::Fault;
use crate::policy::diagnostic::Findings;
use crate::policy::spec::{self, At};

/// None where a part of it is faulty; that was told.
pub(super) fn script(mock: &spec::Mock, found: &mut Findings<'_>) -> Option<Script> {
    let otherwise = Script::default();
    let latency = match &mock.latency {
        None => Some(otherwise.latency),
        Some(latency) => span_between(latency, Duration::ZERO, HOUR, found),
    };
    let mut positive =
        |written: &At<u32>| not_zero(written, "leave it out for the default", found)?.try_into().ok();
    let tokens = mock.tokens.as_ref().map_or(Some(otherwise.tokens), &mut positive);
    let speed = mock.tokens_per_second.as_ref().map(positive);
    let faults = mock.faults.as_ref().map_or(Some(Vec::new()), |faults| {
        let faults: Vec<_> = faults.value.as_ref()?.iter().map(|written| fault(written, found)).collect();
        faults.into_iter().collect()
    });
    let says = match &mock.says {
        None => None,
        Some(says) => Some(says.value.as_deref()?.into()),
    };
    Some(Script {
        says,
        latency: latency?,
        tokens_per_second: match speed {
            None => None,
            Some(speed) => Some(speed?),
        },
        tokens: tokens?,
        faults: faults?,
    })
}

fn fault(written: &At<spec::Fault>, found: &mut Findings<'_>) -> Option<Fault> {
    Some(match written.value.as_ref()? {
        spec::Fault::Ok => Fault::None,
        spec::Fault::Status { code, retry_after } => {
            let retry_after = match retry_after {
                None => None,
                Some(after) => {
                    let span = span_between(after, Duration::from_secs(1), DAY, found)?;
                    Some(u32::try_from(span.as_secs()).ok()?)
                }
            };
            let status = code.value?;
            if !(400..=599).contains(&status) {
                found.error(code.span, "an error status is from 400 to 599");
                return None;
            }
            Fault::Status { status, retry_after }
        }
        spec::Fault::Reset { after_chunks } => Fault::Reset { after_chunks: after_chunks.value? },
        spec::Fault::Stall { after_chunks } => Fault::Stall { after_chunks: after_chunks.value? },
        spec::Fault::ErrorEvent { after_chunks } => Fault::ErrorEvent { after_chunks: after_chunks.value? },
        spec::Fault::Empty => Fault::Empty,
        spec::Fault::Html => Fault::Html,
        spec::Fault::SlowHead(delay) => {
            Fault::SlowHead { delay: span_between(delay, Duration::ZERO, HOUR, found)? }
        }
    })
}
