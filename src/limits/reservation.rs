//! To be written.
/// What one call holds.
#[derive(Debug)]
pub struct Reservation;
