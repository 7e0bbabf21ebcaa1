//! Live counts of every limit, and the rules they are held against. Knows no policy and no call.

pub mod concurrency;
pub mod ledger;
pub mod rate;
pub mod reservation;
pub mod rule;

pub use ledger::Ledger;
pub use reservation::Reservation;
pub use rule::{Ask, Each, Exceeded, Quota, Rule, Standing};
