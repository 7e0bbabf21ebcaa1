//! What the manual says of overlays.

use super::*;
use crate::policy::compile::compile;
use crate::policy::origin::Origins;

const MANUAL: &str = include_str!("../../../../policies/README.md");

/// The first block of code in a language, in the part of the page under a heading.
fn block(heading: &str, language: &str) -> &'static str {
    let (_, part) = MANUAL.split_once(&format!("\n## {heading}\n")).unwrap();
    let (_, code) = part.split_once(&format!("\n```{language}\n")).unwrap();
    code.split_once("```").unwrap().0
}

/// Without the blanks before comments: their column depends on all that is printed.
fn close(text: &str) -> String {
    let lines = text.lines().map(|line| match line.split_once(" # ") {
        Some((value, comment)) => format!("{} # {comment}\n", value.trim_end()),
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn the_overlay_of_the_manual_does_what_it_says_there() {
    let over = ("overlays/prod.yaml".into(), block("Overlays", "yaml").as_bytes().to_vec());
    let sources = Sources::single("policy.yaml", block("A policy", "yaml")).overlaid([over]);
    let (snapshot, warnings) = compile(&sources).unwrap_or_else(|found| panic!("{found}"));
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!((snapshot.tenants.len(), snapshot.models.len()), (2, 1));
    let printed = Origins::of(&sources).print();
    let told = block("Overlays", "text");
    assert!(close(&printed).contains(&close(told)), "{printed}");
}
