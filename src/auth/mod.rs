//! Who the caller is: credentials as they come, and what they are compared with.

pub mod api_key;
