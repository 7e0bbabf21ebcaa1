//! One call, from request to settlement.
