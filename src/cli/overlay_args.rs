//! `--overlay`, for the verbs that read a policy.

use std::path::PathBuf;

/// What is laid over the policy.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct OverlayArgs {
    /// A file or folder that is laid over the policy, such as prod.yaml; several: repeat it, or write A:B. The last wins
    #[arg(long = "overlay", env = "EGRET_OVERLAY", value_name = "PATH", value_delimiter = ':')]
    pub overlays: Vec<PathBuf>,
}
