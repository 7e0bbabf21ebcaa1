//! `/livez` and `/readyz`.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

use super::{Sight, text};

/// The process answers: that is all a restart could better.
pub(super) fn live() -> Response<Full<Bytes>> {
    text(StatusCode::OK, "live\n")
}

pub(super) fn ready(sight: &dyn Sight) -> Response<Full<Bytes>> {
    match sight.ready() {
        Ok(()) => text(StatusCode::OK, "ready\n"),
        Err(missing) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")),
    }
}
