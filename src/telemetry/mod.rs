//! What operators see of calls: takes finished records, formats them off the call's path.

pub mod access_log;
pub mod record;
