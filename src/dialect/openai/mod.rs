//! OpenAI's dialect.

pub mod error;
pub mod models;
pub mod stream;
pub mod usage;
