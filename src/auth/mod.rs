//! Who the caller is: credentials as they come, and what they are compared with.

pub mod api_key;
pub mod credential;

pub use api_key::KeyDigest;
pub use credential::{Credential, CredentialFault, credential};
