//! `/metrics`: Prometheus' text format 0.0.4.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;

use super::Sight;

pub(super) fn page(sight: &dyn Sight) -> Response<Full<Bytes>> {
    super::page(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", sight.metrics().into())
}
