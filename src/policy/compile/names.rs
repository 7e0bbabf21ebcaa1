//! Names: how they are written, how references find what they name.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderName;

use crate::policy::diagnostic::{Code, Findings, Span, did_you_mean, quoted};
use crate::policy::spec::At;

/// Compiled things by name. A name whose entry was faulty is known, but leads nowhere.
pub(super) struct Known<K, T> {
    items: BTreeMap<K, Option<Arc<T>>>,
    /// Whether there may be names that could not be read.
    partial: bool,
}

impl<K: Ord + std::borrow::Borrow<str> + for<'n> From<&'n str>, T> Known<K, T> {
    pub(super) fn new(partial: bool) -> Self {
        Self { items: BTreeMap::new(), partial }
    }

    pub(super) fn insert(&mut self, name: &str, item: Option<T>) {
        self.items.insert(K::from(name), item.map(Arc::new));
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.items.contains_key(name)
    }

    /// What a reference names. A name that is not known is told; one whose entry was faulty has been.
    pub(super) fn find(
        &self,
        what: &str,
        reference: &At<String>,
        found: &mut Findings<'_>,
    ) -> Option<Arc<T>> {
        let name = reference.value.as_deref()?;
        match self.items.get(name) {
            Some(item) => item.clone(),
            None if self.partial => None,
            None => {
                let mut sections = what.split(" or ").map(|what| format!("{what}s"));
                let deleted = sections.find_map(|section| found.place_deleted(&section, name));
                let error = found
                    .error(reference.span, format!("there is no {what} {}", quoted(name)))
                    .code(Code::UnknownName)
                    .maybe_hint(self.suggestion(name));
                if let Some(place) = deleted {
                    error.other("an overlay deletes it here", place);
                }
                None
            }
        }
    }

    /// What is of this name, without a word where there is nothing.
    pub(super) fn get(&self, name: &str) -> Option<Arc<T>> {
        self.items.get(name).cloned().flatten()
    }

    pub(super) fn suggestion(&self, name: &str) -> Option<String> {
        did_you_mean(name, self.names()).or_else(|| {
            let names: Vec<_> = self.names().take(8).map(quoted).collect();
            let more = if self.items.len() > names.len() { ", ..." } else { "" };
            (!names.is_empty()).then(|| format!("this policy has {}{more}", names.join(", ")))
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.items.keys().map(std::borrow::Borrow::borrow)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, Option<&Arc<T>>)> {
        self.items.iter().map(|(name, item)| (name, item.as_ref()))
    }

    pub(super) fn is_partial(&self) -> bool {
        self.partial
    }

    /// All that compiled.
    pub(super) fn into_map(self) -> BTreeMap<K, Arc<T>> {
        let items = self.items.into_iter();
        items.filter_map(|(name, item)| Some((name, item?))).collect()
    }
}

/// The longest name.
const LONGEST: usize = 128;

/// What [`check`] lets through, as a regular expression for editors.
pub(in crate::policy) const PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$";

/// How a name is written.
pub(super) const HINT: &str = "a letter or digit, then letters, digits and . _ : / @ -, up to 128";

/// Whether logs, headers and globs can carry a name.
pub(super) fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/@-".contains(&b));
    first && rest && name.len() <= LONGEST
}

/// Tells a name that logs, headers and globs could not carry.
pub(in crate::policy) fn check(what: &str, name: &str, at: Span, found: &mut Findings<'_>) -> bool {
    let fits = is_name(name);
    if !fits {
        found
            .error(at, format!("{} cannot be the name of a {what}", quoted(name)))
            .code(Code::BadName)
            .hint(HINT);
    }
    fits
}

/// The name of a header into which a policy may look. None where that was told.
pub(super) fn header(name: &str, at: Span, found: &mut Findings<'_>) -> Option<HeaderName> {
    let Ok(header) = HeaderName::from_bytes(name.as_bytes()) else {
        found
            .error(at, format!("{} cannot be the name of a header", quoted(name)))
            .code(Code::BadName)
            .hint("letters, digits and -, such as `x-egret-task`");
        return None;
    };
    if CREDENTIALS.contains(&header.as_str()) {
        found
            .error(at, format!("header {} carries a credential, into which no policy looks", quoted(name)))
            .hint("who a caller is, `match` tells; name a header of your own, such as `x-egret-task`");
        return None;
    }
    Some(header)
}

/// Headers by which callers say who they are.
const CREDENTIALS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "x-api-key", "x-goog-api-key", "api-key"];
