//! `/explain`.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::Full;

use super::{Sight, json, text};
use crate::net::body::{BufferBudget, read_capped};

/// The longest call that is explained, in bytes.
const LONGEST: usize = 1 << 20;

pub(super) async fn page<B>(body: B, sight: &dyn Sight) -> Response<Full<Bytes>>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Ok(body) = read_capped(body, LONGEST, &BufferBudget::new(LONGEST)).await else {
        let hint = format!("the call broke off, or is longer than {LONGEST} bytes\n");
        return text(StatusCode::PAYLOAD_TOO_LARGE, hint);
    };
    match sight.explain(body.bytes()) {
        Ok(explanation) => json(&explanation),
        Err(fault) => text(StatusCode::BAD_REQUEST, format!("{fault}\n")),
    }
}
