//! Counts of connections, for operators.

use std::sync::{Arc, Weak};

use super::pool::Pool;
use crate::meters::{Counter, Gauge};

/// How many connections there are and were.
#[derive(Debug, Default)]
pub struct ConnectionMeters {
    /// Those that are open.
    pub open: Gauge,
    /// Those that were opened.
    pub opened: Counter,
    /// Those that were not, for whatever reason.
    pub failed: Counter,
}

/// One open connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Open(Arc<ConnectionMeters>);

impl Open {
    pub(super) fn count(meters: &Arc<ConnectionMeters>) -> Self {
        meters.open.add(1);
        meters.opened.increment();
        Self(Arc::clone(meters))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.add(-1);
    }
}

/// Tells of a client how many connections stand idle; none once it is gone.
#[derive(Clone)]
pub struct IdleConnections(Weak<Pool>);

impl IdleConnections {
    pub(super) fn of(pool: &Arc<Pool>) -> Self {
        Self(Arc::downgrade(pool))
    }

    /// HTTP/1 connections without a call, and HTTP/2 ones without a stream.
    pub fn count(&self) -> usize {
        self.0.upgrade().map_or(0, |pool| pool.idle())
    }
}
