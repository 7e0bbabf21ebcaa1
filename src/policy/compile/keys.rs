//! `key` and `keys` of a provider: where they are to be found. What they are is never looked at here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::limit::Limits;
use super::names;
use crate::ids::KeyName;
use crate::limits::Each;
use crate::policy::diagnostic::{Code, Findings, Span, looks_secret, quoted};
use crate::policy::snapshot::ProviderKey;
use crate::policy::spec::planned::POOL;
use crate::policy::spec::{self, At, KeySource};
use crate::secret::SecretRef;

/// The keys of a provider. Never empty: without one there is one that is nowhere. None where a fault was told.
pub(super) fn compile(
    provider: &str,
    spec: &spec::Provider,
    found: &mut Findings<'_>,
) -> Option<Arc<[ProviderKey]>> {
    let single = |at| Some([ProviderKey { name: provider.into(), at }].into());
    match (&spec.key, &spec.keys) {
        (None, None) => single(None),
        (Some(key), None) => {
            let at = match key.value.as_ref()? {
                KeySource::FromEnv(name) => variable(name),
                KeySource::FromFile(path) => file(path),
            };
            if at.is_none() {
                found
                    .error_at_secret(key.span, NEITHER)
                    .hint("write the variable's name, `key: { fromEnv: OPENAI_API_KEY }`, not what it holds");
            }
            single(Some(at?))
        }
        (None, Some(keys)) => pool(provider, keys, found),
        (Some(key), Some(keys)) => {
            pool(provider, keys, found);
            let key = found.place(key.span);
            found
                .error(keys.span, format!("provider {} has both `key` and `keys`", quoted(provider)))
                .hint("move the one of `key` into `keys`, with a name")
                .other("`key` is here", key);
            None
        }
    }
}

const NEITHER: &str = "this names neither an environment variable nor a file";

fn pool(provider: &str, written: &At<spec::KeyPool>, found: &mut Findings<'_>) -> Option<Arc<[ProviderKey]>> {
    let spec::KeyPool(list) = written.value.as_ref()?;
    if list.is_empty() {
        found.error(written.span, format!("the pool of provider {} has no keys", quoted(provider))).hint(
            "name at least one, `keys: [{ name: a, fromEnv: NAME }]`, or remove `keys` where it wants none",
        );
        return None;
    }
    let mut named: BTreeMap<KeyName, Span> = BTreeMap::new();
    let mut keys: Vec<ProviderKey> = Vec::new();
    for at in list {
        let Some(spec) = &at.value else { continue };
        let name = name(at.span, spec, &mut named, found);
        let place = place(at.span, spec, found);
        if let Some(same) = keys.iter().find(|other| place.is_some() && other.at == place) {
            let message =
                format!("this is the key {} once more: both come from one place", quoted(same.name.as_str()));
            found
                .warning(Code::SameKeyTwice, at.span, message)
                .hint("two names of one key have no more room than one");
        }
        keys.extend(name.zip(place).map(|(name, place)| ProviderKey { name, at: Some(place) }));
    }
    (keys.len() == list.len()).then(|| keys.into())
}

fn name(
    at: Span,
    spec: &spec::KeyOfPool,
    named: &mut BTreeMap<KeyName, Span>,
    found: &mut Findings<'_>,
) -> Option<KeyName> {
    let Some(written) = &spec.name else {
        found
            .error_at_secret(at, "this key has no name, by which limits and logs could tell it")
            .code(Code::MissingField)
            .hint(POOL);
        return None;
    };
    let text = written.value.as_deref()?;
    if !names::check("key", text, written.span, found) {
        return None;
    }
    let name = KeyName::from(text);
    if let Some(first) = named.insert(name.clone(), written.span) {
        super::twice(&format!("two keys have the name {}", quoted(text)), written.span, first, found);
        return None;
    }
    Some(name)
}

fn place(at: Span, spec: &spec::KeyOfPool, found: &mut Findings<'_>) -> Option<SecretRef> {
    let (written, place) = match (&spec.from_env, &spec.from_file) {
        (Some(name), None) => (name, variable(name.value.as_deref()?)),
        (None, Some(path)) => (path, file(path.value.as_deref()?)),
        (Some(_), Some(both)) => {
            found
                .error_at_secret(both.span, "this key comes from two places")
                .code(Code::MakesNoSense)
                .hint("keep one of `fromEnv` and `fromFile`");
            return None;
        }
        (None, None) => {
            found
                .error_at_secret(at, "this key does not say where it is to be found")
                .code(Code::MissingField)
                .hint(POOL);
            return None;
        }
    };
    if place.is_none() {
        found
            .error_at_secret(written.span, NEITHER)
            .hint("write the variable's name, `{ name: a, fromEnv: NAME }`, not what it holds");
    }
    place
}

/// None where it cannot be the name of a variable: it may be the key itself.
fn variable(name: &str) -> Option<SecretRef> {
    let fits = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
        && !looks_secret(name);
    fits.then(|| SecretRef::Env(name.into()))
}

fn file(path: &str) -> Option<SecretRef> {
    let fits = !path.trim().is_empty();
    fits.then(|| SecretRef::File(Arc::new(PathBuf::from(path))))
}

/// Tells limits of each key where there is but one.
pub(super) fn check_limits(provider: &str, keys: &[ProviderKey], limits: &Limits, found: &mut Findings<'_>) {
    for (key, limit) in limits.iter().filter(|(_, limit)| limit.each == Some(Each::Key)) {
        if keys.len() == 1 {
            let (limit_name, provider) = (quoted(key.as_str()), quoted(provider));
            let message =
                format!("limit {limit_name} is of each key, but provider {provider} has one at most");
            found
                .warning(Code::UselessSetting, limit.at, message)
                .hint("name several under `keys`, or leave `each: providerKey` out");
        }
    }
}
