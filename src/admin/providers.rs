//! `/providers`.

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use super::{Sight, json};

pub(super) fn page(sight: &dyn Sight) -> Response<Full<Bytes>> {
    json(&sight.providers())
}
