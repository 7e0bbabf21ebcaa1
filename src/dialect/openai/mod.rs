//! OpenAI's dialect.

pub(crate) mod answer;
pub mod error;
pub mod facts;
pub mod models;
pub mod params;
pub mod stream;
pub mod usage;
