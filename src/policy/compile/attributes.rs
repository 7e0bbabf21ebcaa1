//! `attributes` of tenants: where their calls say what they are about.

use super::names;
use crate::policy::diagnostic::Findings;
use crate::policy::snapshot::{Attributes, Source};
use crate::policy::spec::{self, At};

/// Where calls say it. Where a part was faulty, that was told.
pub(super) fn compile(written: Option<&At<spec::Attributes>>, found: &mut Findings<'_>) -> Attributes {
    let Some(spec) = written.and_then(|written| written.value.as_ref()) else {
        return Attributes::default();
    };
    let spec::Attributes { task, priority, skills, latency_budget } = spec;
    let mut read = |field: &Option<At<spec::Source>>| source(field.as_ref()?, found);
    Attributes {
        task: read(task),
        priority: read(priority),
        skills: read(skills),
        latency_budget: read(latency_budget),
    }
}

fn source(written: &At<spec::Source>, found: &mut Findings<'_>) -> Option<Source> {
    match written.value.as_ref()? {
        spec::Source::Header(at) => names::header(at.value.as_deref()?, at.span, found).map(Source::Header),
        spec::Source::Metadata(at) => {
            let name = at.value.as_deref()?;
            let fits = (1..=LONGEST).contains(&name.chars().count()) && !name.chars().any(char::is_control);
            if !fits {
                found
                    .error(at.span, format!("a member of `metadata` has a name of 1 to {LONGEST} characters"))
                    .hint("such as `{ metadata: task }`");
            }
            fits.then(|| Source::Metadata(name.into()))
        }
    }
}

/// The longest name of a member of `metadata` that OpenAI takes.
const LONGEST: usize = 64;
