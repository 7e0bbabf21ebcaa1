//! Wiring; start and stop order.
