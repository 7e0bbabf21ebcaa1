//! Where secrets are kept, and secrets that cannot be printed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use secrecy::{ExposeSecret, SecretString};

/// Where a secret is to be found. Holds no secret, so a policy may be printed and compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// An environment variable, read when a policy is loaded.
    Env(Arc<str>),
    /// A file, read again when it changes. White space at its end is not part of the secret.
    File(Arc<PathBuf>),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}
