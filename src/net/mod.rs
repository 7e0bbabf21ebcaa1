//! Connections to providers. Knows no policy and no call.

pub mod body;
pub mod decode;
pub mod endpoint;
pub mod headers;
pub mod memory;
pub mod tls;
pub mod upstream;
