//! OpenAI's dialect.

pub(crate) mod answer;
pub(crate) mod chat;
pub(crate) mod chunk;
pub(crate) mod error;
pub(crate) mod facts;
pub(crate) mod models;
pub(crate) mod params;
pub(crate) mod responses;
pub(crate) mod usage;
