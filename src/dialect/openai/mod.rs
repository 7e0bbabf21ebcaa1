//! OpenAI's dialect.

pub(crate) mod answer;
pub(crate) mod chat;
pub(crate) mod chunk;
pub mod error;
pub(crate) mod facts;
pub mod models;
pub(crate) mod params;
pub(crate) mod responses;
pub(crate) mod usage;
