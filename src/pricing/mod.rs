//! What a call costs: usage times price, exact to the nano-dollar; and what it will use, estimated before it is sent.
//! Knows no policy and no call.

pub mod estimate;
pub mod workload;

mod calibration;
mod expect;
mod price;
mod schedule;

pub use calibration::Calibration;
pub use price::{PerMillion, Price};
pub use schedule::Schedule;
