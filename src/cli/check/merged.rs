//! `--show-merged`: the policy with all its files and overlays as one document, each value with its place.

use std::io::{self, Write};

use crate::policy::load::Sources;
use crate::policy::origin::Origins;

/// Writes one YAML document: what is said of the policy in comments, then the policy. For one that is good: what
/// cannot be read is left away.
pub(super) fn write(sources: &Sources, said: &str, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "---")?;
    for line in said.lines() {
        writeln!(out, "{}", format!("# {line}").trim_end())?;
    }
    out.write_all(Origins::of(sources).print().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_stands_in_comments_above_the_policy() {
        let base = "apiVersion: egret.dev/v1alpha1\nkind: Policy\nrevision: a\n";
        let sources = Sources::single("policy.yaml", base)
            .overlaid([("./prod.yaml".into(), base.replace(": a", ": b").into_bytes())]);
        let mut out = Vec::new();
        write(&sources, "warning: one\n\npolicy.yaml: good\n", &mut out).unwrap();
        let expected = "---
# warning: one
#
# policy.yaml: good
apiVersion: egret.dev/v1alpha1
kind: Policy
revision: b  # ./prod.yaml:3 over policy.yaml:3
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
