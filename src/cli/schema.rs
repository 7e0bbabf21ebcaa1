//! `egret schema`: prints the JSON Schema of what can be written.

use std::io::Write;

use clap::ValueEnum;

use crate::policy::schema;

/// Prints the JSON Schema of the policy language, by which editors complete and explain.
///
/// It is of draft 2020-12. A file names the schema of its kind in its first line:
///
///   # yaml-language-server: $schema=policy.schema.json
///
/// An editor tells what has the wrong shape; `egret check` also tells names that lead nowhere and budgets that cannot be
/// kept.
///
/// Exit codes: 0 the schema was printed; 1 it could not be written; 2 the command line is wrong.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// What the schema is of.
    #[arg(value_enum, default_value_t = Kind::Policy, value_name = "KIND")]
    kind: Kind,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Documents of `kind: Policy`
    Policy,
    /// Documents of `kind: PolicyTest`
    Test,
}

/// Prints the schema.
///
/// # Errors
/// Where `out` fails.
pub fn run(args: &Args, out: &mut impl Write) -> anyhow::Result<()> {
    let schema = match args.kind {
        Kind::Policy => schema::policy(),
        Kind::Test => schema::policy_test(),
    };
    writeln!(out, "{schema:#}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_sound() {
        <Args as clap::Args>::augment_args(clap::Command::new("schema")).debug_assert();
    }

    #[test]
    fn what_is_printed_is_the_schema_and_a_line_break() {
        for (kind, schema) in [(Kind::Policy, schema::policy()), (Kind::Test, schema::policy_test())] {
            let mut out = Vec::new();
            run(&Args { kind }, &mut out).unwrap();
            assert!(out.ends_with(b"}\n"));
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&out).unwrap(), schema);
        }
    }
}
