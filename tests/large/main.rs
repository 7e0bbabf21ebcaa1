//! A policy of many tenants, five limits each, to see how long it takes to check and to reload.
//!
//! ```sh
//! cargo run --example large -- 10000 > /tmp/large.yaml
//! time target/release/egret check /tmp/large.yaml
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints a policy")]

use std::fmt::Write as _;
use std::process::ExitCode;

const HEAD: &str = r#"apiVersion: egret.dev/v1alpha1
kind: Policy
providers:
  openai: { key: { fromEnv: OPENAI_API_KEY } }
  anthropic: { key: { fromEnv: ANTHROPIC_API_KEY } }
  deepseek: { key: { fromEnv: DEEPSEEK_API_KEY } }
models:
  gpt-4.1: { provider: openai, contextTokens: 1047576, maxOutputTokens: 32768, price: [{ inputPerMTok: "2.00", outputPerMTok: "8.00" }] }
  gpt-4.1-mini: { provider: openai, contextTokens: 1047576, maxOutputTokens: 32768, price: [{ inputPerMTok: "0.40", outputPerMTok: "1.60" }] }
  claude-sonnet: { provider: anthropic, contextTokens: 200000, maxOutputTokens: 64000, price: [{ inputPerMTok: "3.00", outputPerMTok: "15.00" }] }
  deepseek-chat: { provider: deepseek, contextTokens: 131072, maxOutputTokens: 8192, price: [{ inputPerMTok: "0.28", outputPerMTok: "0.42" }] }
routes:
  chat: { targets: [{ model: gpt-4.1 }, { model: claude-sonnet }, { model: deepseek-chat }] }
  cheap: { targets: [{ model: deepseek-chat }, { model: gpt-4.1-mini }] }
tenants:
"#;

fn main() -> ExitCode {
    let Some(tenants) = std::env::args().nth(1).and_then(|tenants| tenants.parse::<u32>().ok()) else {
        eprintln!("usage: large TENANTS");
        return ExitCode::from(2);
    };
    println!("{HEAD}{}", (0..tenants).map(tenant).collect::<String>());
    ExitCode::SUCCESS
}

/// 64 hex digits as different as those of a hash.
fn digest(number: u32) -> String {
    let part = |at: u64| (u64::from(number) * 4 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    (0..4).map(|at| format!("{:016x}", part(at).wrapping_mul(0xbf58_476d_1ce4_e5b9))).collect()
}

/// A tenant with a key of its own.
fn tenant(number: u32) -> String {
    let mut text = format!("  tenant-{number}:\n");
    let lines = [
        format!("match: [{{ apiKeySha256: \"{}\", name: ci }}]", digest(number)),
        "access: { allow: [chat, cheap] }".to_owned(),
        "limits:".to_owned(),
        format!("  rpm: {{ requests: {}, per: 1m }}", 60 + number % 100),
        "  tpm: { tokens: 2000000, per: 1m, each: user }".to_owned(),
        "  open: { concurrent: 20 }".to_owned(),
        "  day: { requests: 10000, per: day, timeZone: Europe/Berlin }".to_owned(),
        "  month: { usd: \"500.00\", per: month, timeZone: UTC, onExceed: { downgrade: { to: cheap } } }"
            .to_owned(),
    ];
    for line in lines {
        // Writing to a text does not fail.
        let _ = writeln!(text, "    {line}");
    }
    text
}
