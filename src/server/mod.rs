//! Listeners: from a TCP socket to one checked request, and back; how serving ends.
//!
//! Knows no policy and no call: what answers a request is a [`Service`] handed in. Every worker calls [`serve`]
//! on its own clone of one listening socket ([`bind`]), on its own current-thread runtime.

mod accept;
mod backoff;
mod checks;
mod connection;
mod counted;
mod drain;
mod socket;
mod stall;
mod timeouts;

pub use accept::{Listen, serve};
pub use checks::{Malformed, check};
pub use connection::{Peer, Service, Settings, serve_io};
pub use counted::Counted;
pub use drain::{Drain, Drained, Mode, Phase, Timing, drain};
pub use socket::{BindError, bind};

#[cfg(test)]
mod tests;
