//! How a body comes: in which pieces and order, at what pace, and where it breaks.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::body::{AnswerBody, Piece, Pieces, Strike};
use super::course::{Break, Flow};
use super::reply::Sending;
use super::seen::Visit;

/// What is answered, before it flows.
pub(super) enum Content {
    Whole(Bytes),
    /// Too long to be held: bytes and their number.
    Long {
        length: u64,
        pieces: Pieces,
    },
    Events(Pieces),
    /// The items of one JSON array, each sent when it is known.
    Items(Pieces),
}

impl Content {
    /// The body; the visit is told how it ends.
    pub(super) fn flow(self, sending: Sending, visit: Visit) -> AnswerBody {
        match self {
            Self::Whole(bytes) => whole(bytes, &sending, visit),
            Self::Long { length, pieces } => AnswerBody::new(pieces, visit).of_length(length),
            Self::Events(pieces) => stream(ordered(pieces, &sending.flow), sending, visit),
            Self::Items(pieces) => stream(array(ordered(pieces, &sending.flow)), sending, visit),
        }
    }
}

/// A plain answer. What happens after chunks happens in its middle.
fn whole(bytes: Bytes, sending: &Sending, visit: Visit) -> AnswerBody {
    let now = sending.now;
    let length = bytes.len();
    let half = || bytes.slice(..length / 2);
    let broken = |after: u32, strike, visit| {
        AnswerBody::new(one(half()), visit).struck(after.min(1), strike).of_length(length as u64)
    };
    match &sending.flow {
        // Where the break is an error, the body is that already.
        Flow::Proper
        | Flow::Slow(_)
        | Flow::Twice
        | Flow::Swapped
        | Flow::Broken { by: Break::ErrorEvent(_), .. } => of_length(bytes, visit),
        Flow::Broken { after, by: Break::Reset } => broken(*after, Strike::Reset, visit),
        Flow::Broken { after, by: Break::Stall } => broken(*after, Strike::Stall, visit),
        Flow::Broken { by: Break::Truncate, .. } => of_length(half(), visit),
        Flow::Lull { delay, pings: None } => {
            AnswerBody::new(late(bytes), visit).of_length(length as u64).lulled(now + *delay)
        }
        // Its length is not told ahead: how many blank lines come is a matter of time.
        Flow::Lull { delay, pings: Some(period) } => {
            let ping = Bytes::from_static(b"\n");
            AnswerBody::new(late(bytes), visit).lulled(now + *delay).pinging(ping, *period, now)
        }
        Flow::Trickle(pause) => {
            AnswerBody::new(trickled(one(bytes)), visit).of_length(length as u64).paced(*pause, now)
        }
        Flow::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            of_length(flushed(&mut encoder, &bytes, GzEncoder::try_finish), visit)
        }
    }
}

fn of_length(bytes: Bytes, visit: Visit) -> AnswerBody {
    let length = bytes.len() as u64;
    AnswerBody::new(one(bytes), visit).of_length(length)
}

/// No piece where there are no bytes.
fn one(bytes: Bytes) -> Pieces {
    Box::new((!bytes.is_empty()).then(|| Piece::at_once(bytes)).into_iter())
}

/// In the time of a word.
fn late(bytes: Bytes) -> Pieces {
    Box::new((!bytes.is_empty()).then(|| Piece::word(bytes)).into_iter())
}

/// A stream, its pieces in the order in which they come.
fn stream(pieces: Pieces, sending: Sending, visit: Visit) -> AnswerBody {
    let now = sending.now;
    let paced = |body: AnswerBody| match sending.tokens_per_second {
        Some(rate) => body.paced(Duration::from_secs(1) / rate.get(), now),
        None => body,
    };
    match sending.flow {
        Flow::Proper | Flow::Twice | Flow::Swapped => paced(AnswerBody::new(pieces, visit)),
        Flow::Broken { after, by } => {
            let strike = match by {
                Break::Reset => Strike::Reset,
                Break::Stall => Strike::Stall,
                Break::Truncate => Strike::Last(Bytes::new()),
                Break::ErrorEvent(error) => Strike::Last(sending.api.error_event(&error, after)),
            };
            paced(AnswerBody::new(pieces, visit)).struck(after, strike)
        }
        Flow::Lull { delay, pings } => {
            let body = paced(AnswerBody::new(pieces, visit)).lulled(now + delay);
            match pings {
                None => body,
                Some(period) => {
                    let ping = sending.api.face().ping();
                    body.pinging(Bytes::from_static(ping.as_bytes()), period, now)
                }
            }
        }
        Flow::Slow(rate) => AnswerBody::new(pieces, visit).paced(Duration::from_secs(1) / rate.get(), now),
        Flow::Trickle(pause) => AnswerBody::new(trickled(pieces), visit).paced(pause, now),
        Flow::Gzip => paced(AnswerBody::new(zipped(pieces), visit)),
    }
}

/// In the order in which a flow has them.
fn ordered(pieces: Pieces, flow: &Flow) -> Pieces {
    match flow {
        Flow::Twice => twice(pieces),
        Flow::Swapped => swapped(pieces),
        Flow::Proper
        | Flow::Broken { .. }
        | Flow::Lull { .. }
        | Flow::Slow(_)
        | Flow::Trickle(_)
        | Flow::Gzip => pieces,
    }
}

/// As the items of an array.
fn array(pieces: Pieces) -> Pieces {
    let items = pieces.enumerate().map(|(at, piece)| Piece { bytes: item(at == 0, &piece.bytes), ..piece });
    Box::new(items.chain([Piece::at_once("]")]))
}

/// An item with what stands before it in its array.
pub(super) fn item(first: bool, json: &[u8]) -> Bytes {
    Bytes::from([if first { &b"["[..] } else { b",\n" }, json].concat())
}

/// Byte by byte.
fn trickled(pieces: Pieces) -> Pieces {
    Box::new(pieces.flat_map(|piece| {
        let bytes = piece.bytes;
        (0..bytes.len()).map(move |at| Piece::word(bytes.slice(at..=at)))
    }))
}

fn twice(pieces: Pieces) -> Pieces {
    Box::new(
        pieces.flat_map(|piece| [Piece { bytes: piece.bytes.clone(), ..piece }, Piece::at_once(piece.bytes)]),
    )
}

/// The second word before the first; an answer of one word stays as it is.
fn swapped(mut pieces: Pieces) -> Pieces {
    let mut beginning = Vec::new();
    let mut words = Vec::new();
    while words.len() < 2
        && let Some(piece) = pieces.next()
    {
        if piece.paced {
            words.push(beginning.len());
        }
        beginning.push(piece);
    }
    if let [first, second] = words[..] {
        beginning.swap(first, second);
    }
    Box::new(beginning.into_iter().chain(pieces))
}

/// In gzip, each piece flushed so that it can be decoded by itself.
fn zipped(pieces: Pieces) -> Pieces {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let pieces = pieces.map(Some).chain([None]);
    Box::new(pieces.map(move |piece| match piece {
        Some(piece) => Piece { bytes: flushed(&mut encoder, &piece.bytes, Write::flush), ..piece },
        None => Piece::at_once(flushed(&mut encoder, b"", GzEncoder::try_finish)),
    }))
}

/// What an encoder gives for these bytes.
fn flushed(
    encoder: &mut GzEncoder<Vec<u8>>,
    bytes: &[u8],
    flush: impl FnOnce(&mut GzEncoder<Vec<u8>>) -> std::io::Result<()>,
) -> Bytes {
    // A vector takes every write.
    let _ = encoder.write_all(bytes).and_then(|()| flush(encoder));
    Bytes::from(std::mem::take(encoder.get_mut()))
}
