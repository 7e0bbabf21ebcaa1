//! What looks like a secret in a policy's text, comments included; and secrets that are not where the policy says.

use super::Policy;
use crate::policy::diagnostic::{Code, Findings, Span, secrets_in};
use crate::policy::load::Sources;
use crate::policy::spec;

/// Tells what looks like a secret, also in a policy that has errors.
pub(super) fn in_text(sources: &Sources, found: &mut Findings<'_>) {
    for (file, source) in (0..).zip(sources.files()) {
        let text = str::from_utf8(&source.bytes).unwrap_or_default();
        for (line, text) in (1..).zip(text.lines()) {
            for column in secrets_in(text) {
                let column = u32::try_from(column).unwrap_or(u32::MAX);
                // Not even how long it is.
                let at = Span { file, line, column, length: 1 };
                if !found.told_on_line(Code::KeyInPolicy, at) {
                    found
                        .warning(Code::KeyInPolicy, at, "this looks like a secret, which a policy never holds")
                        .hint("name where it is, `fromEnv` or `fromFile`; one that was in git is no secret any more");
                }
            }
        }
    }
}

impl Policy<'_> {
    /// Tells which keys are not where the policy says, if anybody looks.
    pub(super) fn missing(&self, found: &mut Findings<'_>) {
        let Some(fault) = self.settings.secrets else { return };
        for (name, item) in &self.written.providers.entries {
            let Some((spec, provider)) = item.value.as_ref().zip(self.snapshot.providers.get(name.as_str()))
            else {
                continue;
            };
            for (key, at) in provider.keys.iter().zip(places(spec)) {
                if let Some((place, fault)) = key.at.as_ref().and_then(|place| Some((place, fault(place)?))) {
                    found.warning(Code::MissingSecret, at, format!("{place} {fault}")).hint(
                        "egret serves without it; calls that need this key are refused by the provider",
                    );
                }
            }
        }
    }
}

/// Where the keys of a provider are said, in the order of its pool.
fn places(spec: &spec::Provider) -> Vec<Span> {
    let single = spec.key.iter().map(|key| key.span);
    let pool = spec.keys.as_ref().and_then(|keys| keys.value.as_ref());
    single.chain(pool.into_iter().flat_map(|pool| pool.0.iter().map(|key| key.span))).collect()
}
