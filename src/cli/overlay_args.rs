//! `--overlay`, for the verbs that read a policy.

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};

/// What is laid over the policy.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct OverlayArgs {
    /// A file or folder that is laid over the policy, such as prod.yaml; several: repeat it, or write A:B. The last wins
    #[arg(long = "overlay", env = "EGRET_OVERLAY", value_name = "PATH", value_delimiter = ':', value_parser = maybe_nothing())]
    overlays: Vec<PathBuf>,
}

impl OverlayArgs {
    /// These, in order. A variable that is set to nothing names none.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.overlays.iter().filter(|path| !path.as_os_str().is_empty()).cloned().collect()
    }
}

/// Paths, and nothing: a variable may be set to it.
fn maybe_nothing() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}
