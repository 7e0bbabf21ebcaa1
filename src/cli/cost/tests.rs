use std::fs;

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

const POLICY: &str = r#"
apiVersion: egret.dev/v1alpha1
kind: Policy
allowMock: true
providers: { house: { mock: {} } }
models:
  gpt-4.1:       { provider: house, price: [{ inputPerMTok: "2.00", outputPerMTok: "8.00", cacheReadPerMTok: "0.50" }] }
  deepseek-v3.2: { provider: house, price: [{ inputPerMTok: "0.28", outputPerMTok: "0.42" }] }
  trial:         { provider: house }
routes:
  chat: { targets: [{ model: deepseek-v3.2, when: { task: [summarization] } }, { model: gpt-4.1 }] }
tenants: { app: { local: true, access: { allow: ["*"] }, limits: { rpm: { requests: 60, per: 1m } } } }
"#;

fn args(folder: &std::path::Path, flags: &str) -> Result<Args, clap::Error> {
    let path = folder.display().to_string();
    let words = ["cost", &path].into_iter().chain(flags.split_whitespace());
    Line::try_parse_from(words).map(|line| line.args)
}

fn printed(policy: &str, flags: &str) -> Result<String, (u8, String)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.yaml");
    fs::write(&file, policy).unwrap();
    let args = args(&file, flags).unwrap();
    let clock = Clock::standing("2026-11-29T10:00:00Z".parse().unwrap());
    let named = |text: String| text.replace(&file.display().to_string(), "policy.yaml");
    let report = compared(&args, &clock).map_err(|(code, why)| (code, named(why)))?;
    Ok(named(match args.format {
        Format::Text => report.text(),
        Format::Json => report.json(),
        Format::Markdown => report.markdown(),
    }))
}

#[test]
fn the_flags_are_sound() {
    <Args as clap::Args>::augment_args(clap::Command::new("cost")).debug_assert();
}

#[test]
fn models_stand_in_a_table_from_the_cheapest_to_the_dearest() {
    let shown = printed(POLICY, "--tokens 300M --cached-share 40%").unwrap();
    assert_eq!(
        shown,
        "\
300M tokens a month: 225M of input (90M of it from a cache) and 75M of output
At the prices of 2026-11-29 in policy.yaml

model          a month      a year  to the cheapest  to gpt-4.1
deepseek-v3.2   $94.50   $1,134.00             1.0x      -89.7%
gpt-4.1        $915.00  $10,980.00             9.7x        same

Without a price on that day, and left out: trial
"
    );
}

#[test]
fn shares_say_where_the_work_goes_and_what_that_saves() {
    let flags = "--input 225M --output 75M --share chat:summarization=60% --share chat=40%";
    let shown = printed(POLICY, flags).unwrap();
    let (_, shares) = shown.split_once("left out: trial\n\n").unwrap();
    assert_eq!(
        shares,
        "\
share               goes to          part  a month     a year
chat:summarization  deepseek-v3.2   60.0%   $56.70    $680.40
chat                gpt-4.1         40.0%  $420.00  $5,040.00
together                           100.0%  $476.70  $5,720.40

Saves $6,879.60 a year against gpt-4.1 for all of it (-54.6%)
"
    );
    let dearer = printed(POLICY, &format!("{flags} --baseline deepseek-v3.2")).unwrap();
    assert!(
        dearer.ends_with("Costs $4,586.40 more a year against deepseek-v3.2 for all of it (+404.4%)\n"),
        "{dearer}"
    );
}

#[test]
fn an_overlay_may_bring_other_prices() {
    let folder = tempfile::tempdir().unwrap();
    let overlay = folder.path().join("prod.yaml");
    let dearer = r#"models: { gpt-4.1: { price: [{ inputPerMTok: "3.00", outputPerMTok: "8.00" }] } }"#;
    fs::write(&overlay, format!("apiVersion: egret.dev/v1alpha1\nkind: Policy\n{dearer}\n")).unwrap();
    let flags = format!("--input 1M --output 1M --format json --overlay {}", overlay.display());
    assert!(printed(POLICY, &flags).unwrap().contains("\"usdMonth\": \"11\""));
}

#[test]
fn a_task_that_no_target_asks_for_is_told() {
    let shown = printed(POLICY, "--tokens 1M --share chat:sumarization").unwrap();
    let note = "No target asks for the task of chat:sumarization: it goes where calls without a task go\n";
    assert!(shown.ends_with(note), "{shown}");
    assert!(!printed(POLICY, "--tokens 1M --share chat:summarization").unwrap().contains("No target"));
}

#[test]
fn json_has_money_to_the_last_digit() {
    let shown =
        printed(POLICY, "--tokens 1001 --share gpt-4.1=50% --share deepseek-v3.2=50% --format json").unwrap();
    let value: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(value["month"]["outputTokens"], 250);
    assert_eq!(value["models"][0]["model"], "deepseek-v3.2");
    assert_eq!(value["models"][0]["usdMonth"], "0.00031528");
    assert_eq!(value["unpriced"], serde_json::json!(["trial"]));
    assert_eq!(value["baseline"], "gpt-4.1");
    assert_eq!(value["shares"]["parts"][1]["share"], "deepseek-v3.2");
    assert_eq!(value["shares"]["saves"]["usdMonth"], "0.00159422");
}

#[test]
fn markdown_is_a_table_for_a_pull_request() {
    let shown = printed(POLICY, "--tokens 300M --format markdown").unwrap();
    assert!(shown.contains("\n| model | a month | a year | to the cheapest | to gpt-4.1 |\n| --- | ---: | ---: | ---: | ---: |\n"), "{shown}");
    assert!(shown.contains("\n| deepseek-v3.2 | $94.50 | $1,134.00 | 1.0x | -91.0% |\n"), "{shown}");
}

#[test]
fn each_way_to_fail_has_its_exit_code() {
    let (code, why) = printed(&POLICY.replace("house }", "hous }"), "--tokens 1M").unwrap_err();
    assert_eq!(code, 1, "{why}");
    let (code, why) = printed(POLICY, "--tokens 1M --baseline trial").unwrap_err();
    assert_eq!((code, &*why), (1, "error: model `trial` has no `price` that holds on that day"));
    for wrong in ["--tokens 0", "--tokens 1M --baseline gpt-4", "--tokens 1M --share chat=60%"] {
        assert_eq!(printed(POLICY, wrong).unwrap_err().0, 2, "{wrong}");
    }
    let nowhere = args(std::path::Path::new("nowhere/policy.yaml"), "--tokens 1M").unwrap();
    assert_eq!(compared(&nowhere, &Clock::system()).unwrap_err().0, 2);
}

#[test]
fn the_command_line_says_how_much_work_there_is_in_one_way() {
    let folder = std::path::Path::new("policy.yaml");
    for wrong in
        ["", "--input 1M", "--tokens 1M --input 1M --output 1M", "--input 1M --output 1M --output-share 5%"]
    {
        assert!(args(folder, wrong).is_err(), "{wrong}");
    }
    assert!(args(folder, "--input 1M --output 1M").is_ok());
}
