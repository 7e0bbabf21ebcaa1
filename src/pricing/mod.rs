//! What a call costs: usage times price, exact to the nano-dollar. Knows no policy and no call.

mod price;
mod schedule;

pub use price::{PerMillion, Price};
pub use schedule::Schedule;
