//! OpenAI's dialect.

pub mod error;
pub mod facts;
pub mod models;
pub mod params;
pub mod stream;
pub mod usage;
