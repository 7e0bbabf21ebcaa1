//! Live counts of every limit, and the rules they are held against. Knows no policy and no call.
//!
//! A rule names a limit; a limit is one cell, or one per user, app, key or model. A call's reservation
//! holds a share of one cell per rule, taken in one step and given back when it is dropped. Where a call may wait, it
//! stands in the line of the cell that refused it. Where counts outlive the process, a cell spends only what a store has
//! leased to it.

pub mod calendar;
pub mod durable;
pub mod lease;
pub mod ledger;
pub mod queue;
pub mod reservation;
pub mod rule;
pub mod store;

mod budget;
mod cell;
mod concurrency;
mod cover;
mod limit;
mod rate;
mod table;
mod words;

#[cfg(test)]
mod tests;

pub use calendar::{Calendar, Turn};
pub use ledger::{CellUse, Ledger};
pub use queue::{Spot, Ticket};
pub use reservation::Reservation;
pub use rule::{
    Amounts, Ask, Each, Exceeded, Lack, LedgerDown, Mode, Owner, Quota, Rule, Slot, Standing, Unit, Window,
};
