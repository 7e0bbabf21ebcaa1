//! To be written.
/// Live counts.
#[derive(Debug)]
pub struct Ledger;
