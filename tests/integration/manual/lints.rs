//! The warnings of `egret check`, by name.

use std::fmt::Write as _;

use egret::policy::diagnostic::{Code, Level};

pub(super) fn table() -> String {
    let mut table = "| name | what it says |\n|---|---|\n".to_owned();
    for code in Code::ALL.iter().filter(|code| code.is_lint()) {
        let star = match code.level() {
            Level::Review => "\\*",
            Level::Error | Level::Both | Level::Warning => "",
        };
        writeln!(table, "| `{}`{star} | {} |", code.name(), code.says()).unwrap();
    }
    table
}
