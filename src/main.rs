//! The `egret` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    egret::cli::main()
}
