//! Arithmetic of one limit on calls at once.

use std::num::NonZeroU32;

/// Places, and how many are taken. Time does nothing to it.
#[derive(Debug)]
pub(super) struct Concurrency {
    amount: NonZeroU32,
    held: u32,
}

impl Concurrency {
    pub(super) fn new(amount: NonZeroU32) -> Self {
        Self { amount, held: 0 }
    }

    /// Puts a limit in force; who holds a place keeps it.
    pub(super) fn adopt(&mut self, amount: NonZeroU32) {
        self.amount = amount;
    }

    pub(super) fn is_full(&self) -> bool {
        self.held >= self.amount.get()
    }

    /// Takes a place; the caller has seen that one is free, or that the limit only counts.
    pub(super) fn hold(&mut self) {
        self.held = self.held.saturating_add(1);
    }

    /// Gives a place back.
    pub(super) fn give_back(&mut self) {
        debug_assert!(self.held > 0, "gave back more than was held");
        self.held = self.held.saturating_sub(1);
    }

    pub(super) fn held(&self) -> u32 {
        self.held
    }

    pub(super) fn amount(&self) -> u32 {
        self.amount.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(amount: u32) -> NonZeroU32 {
        NonZeroU32::new(amount).unwrap()
    }

    #[test]
    fn a_place_given_back_is_free_at_once() {
        let mut cell = Concurrency::new(places(1));
        cell.hold();
        assert!(cell.is_full());
        cell.give_back();
        assert!(!cell.is_full());
    }

    #[test]
    fn a_lowered_limit_keeps_the_places_and_grants_no_more_until_enough_are_free() {
        let mut cell = Concurrency::new(places(3));
        (0..3).for_each(|_| cell.hold());
        cell.adopt(places(2));
        assert_eq!(cell.held(), 3);
        cell.give_back();
        assert!(cell.is_full());
        cell.give_back();
        assert!(!cell.is_full());
    }
}
