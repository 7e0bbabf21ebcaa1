//! Documents -> one policy as written: sections joined, names and single values unique.

use std::collections::BTreeMap;

use crate::policy::compose::{self, Documents};
use crate::policy::diagnostic::{Code, Findings, Span, did_you_mean, quoted};
use crate::policy::load::Sources;
use crate::policy::node::{Node, Value, decode};
use crate::policy::spec::{self, At, Defaults, Entries};

use super::names;

/// A policy as written, all its documents together.
#[derive(Default)]
pub(in crate::policy) struct Written {
    pub(in crate::policy) revision: Option<String>,
    pub(in crate::policy) allow_mock: Option<At<bool>>,
    pub(in crate::policy) defaults: Option<Defaults>,
    pub(in crate::policy) providers: Section<spec::Provider>,
    pub(in crate::policy) models: Section<spec::Model>,
    pub(in crate::policy) routes: Section<spec::Route>,
    pub(in crate::policy) plans: Section<spec::Plan>,
    pub(in crate::policy) tenants: Section<spec::Tenant>,
}

/// The named things of one kind, by name.
pub(in crate::policy) struct Section<T> {
    pub(in crate::policy) entries: BTreeMap<String, Item<T>>,
    /// Whether a part of it could not be read: its names are not known then.
    pub(in crate::policy) partial: bool,
}

/// One named thing; without a value where its shape was faulty.
pub(in crate::policy) struct Item<T> {
    pub(in crate::policy) span: Span,
    pub(in crate::policy) value: Option<T>,
}

const KIND: &str = "this egret reads `kind: Policy` and `kind: PolicyTest` only";
const NONE: &str = "there is no policy here: the files hold no document of `kind: Policy`";

/// Reads every document. Where one cannot be read, the rest is judged all the same, but nothing is missed in it:
/// what seems to be missing may stand where nothing can be read.
///
/// None where there is no policy at all.
pub(super) fn read(sources: &Sources, found: &mut Findings<'_>) -> Option<Written> {
    let Documents { list, partial } = compose::read(sources, found);
    if list.is_empty() && found.errors() == 0 {
        found
            .error(Span { line: 1, column: 1, ..Span::default() }, NONE)
            .code(Code::NoPolicy)
            .hint("begin with `apiVersion: egret.dev/v1alpha1` and `kind: Policy`");
        return None;
    }
    let policies: Vec<_> = list.iter().filter_map(|document| policy(document, found)).collect();
    let partial = partial || policies.len() < list.len();
    let begins = list.first().map(|document| Span { length: 1, ..document.span }).unwrap_or_default();
    Some(join(policies, partial, begins, found))
}

fn policy(document: &Node, found: &mut Findings<'_>) -> Option<spec::Policy> {
    if let Some((at, kind)) = foreign(document) {
        // Its fields are another language's.
        let config_map = kind == "ConfigMap";
        let hint =
            config_map.then_some("a ConfigMap holds policies as text: check the files it is made from");
        found.error(at, KIND).code(Code::WrongKind).maybe_hint(hint.map(str::to_owned));
        return None;
    }
    let policy: spec::Policy = decode::decode(document, found)?;
    let [(version, wanted), (kind, policys)] = compose::HEAD;
    let version_fits = head(document, version, policy.api_version.as_ref(), wanted, found);
    let kind_fits = head(document, kind, policy.kind.as_ref(), policys, found);
    (version_fits && kind_fits).then_some(policy)
}

/// The kind of a document of something else, and where it says so.
fn foreign(document: &Node) -> Option<(Span, &str)> {
    let kind = document.field("kind")?;
    let Value::Text(text) = &kind.value else { return None };
    let is_ours = text == "Policy" || did_you_mean(text, ["Policy", "PolicyTest"]).is_some();
    (!is_ours).then_some((kind.span, text))
}

pub(super) fn head(
    document: &Node,
    field: &str,
    written: Option<&At<String>>,
    wanted: &str,
    found: &mut Findings<'_>,
) -> bool {
    let Some(written) = written else {
        if document.has_slip_of(field) {
            return false;
        }
        found
            .error(document.span, format!("`{field}` is missing"))
            .code(Code::WrongKind)
            .hint(format!("write `{field}: {wanted}` at the top of the document"));
        return false;
    };
    let Some(value) = &written.value else { return false };
    if value != wanted {
        found
            .error(written.span, format!("this egret reads `{field}: {wanted}` only"))
            .code(Code::WrongKind)
            .maybe_hint(did_you_mean(value, [wanted, "PolicyTest"]));
    }
    value == wanted
}

fn join(policies: Vec<spec::Policy>, partial: bool, begins: Span, found: &mut Findings<'_>) -> Written {
    let mut written = Written {
        providers: Section::new(partial),
        models: Section::new(partial),
        routes: Section::new(partial),
        plans: Section::new(partial),
        tenants: Section::new(partial),
        ..Written::default()
    };
    let (mut revision, mut defaults) = (None, None);
    for policy in policies {
        once("revision", &mut revision, policy.revision, found);
        once("allowMock", &mut written.allow_mock, policy.allow_mock, found);
        once("defaults", &mut defaults, policy.defaults, found);
        written.providers.add("provider", policy.providers, found);
        written.models.add("model", policy.models, found);
        written.routes.add("route", policy.routes, found);
        written.plans.add("plan", policy.plans, found);
        written.tenants.add("tenant", policy.tenants, found);
    }
    if partial && written.allow_mock.is_none() {
        let (span, value) = (Span::default(), None);
        written.allow_mock = Some(At { span, value });
    }
    written.revision = revision.and_then(|revision| label(&revision, found));
    written.defaults = defaults.and_then(|defaults| defaults.value);
    written.providers.require(
        "providers",
        begins,
        "say where calls go: `openai: { key: { fromEnv: OPENAI_API_KEY } }`",
        found,
    );
    written.models.require("models", begins, "say what can be asked: `gpt-4.1: { provider: openai }`", found);
    written.tenants.require(
        "tenants",
        begins,
        "say who may call: `app: { local: true, access: { allow: [\"*\"] } }`",
        found,
    );
    written
}

fn label(written: &At<String>, found: &mut Findings<'_>) -> Option<String> {
    let label = written.value.as_ref()?;
    let fits = (1..=64).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_graphic());
    if !fits {
        found
            .error(written.span, "a revision has 1 to 64 letters, digits and signs, without spaces")
            .hint("usually the git commit: `revision: \"4f2c1a9\"`");
    }
    fits.then(|| label.clone())
}

/// Keeps what may be said once in a policy.
fn once<T>(field: &str, kept: &mut Option<At<T>>, more: Option<At<T>>, found: &mut Findings<'_>) {
    match (&kept, more) {
        (_, None) => {}
        (None, more) => *kept = more,
        (Some(first), Some(again)) => {
            super::twice(&format!("`{field}` is said twice in this policy"), again.span, first.span, found);
        }
    }
}

impl<T> Default for Section<T> {
    fn default() -> Self {
        Self::new(false)
    }
}

impl<T> Section<T> {
    fn new(partial: bool) -> Self {
        Self { entries: BTreeMap::new(), partial }
    }

    fn add(&mut self, what: &str, more: Option<At<Entries<T>>>, found: &mut Findings<'_>) {
        let Some(more) = more else { return };
        self.partial |= more.value.is_none();
        for entry in more.value.into_iter().flat_map(|entries| entries.0) {
            names::check(what, &entry.name, entry.span, found);
            if let Some(first) = self.entries.get(&entry.name) {
                let message = format!("{what} {} is defined twice", quoted(&entry.name));
                super::twice(&message, entry.span, first.span, found);
                continue;
            }
            let item = Item { span: entry.span, value: entry.value };
            self.entries.insert(entry.name, item);
        }
    }

    fn require(&self, what: &str, begins: Span, instead: &str, found: &mut Findings<'_>) {
        if self.entries.is_empty() && !self.partial {
            let message = format!("the policy has no {what}");
            found.error(begins, message).code(Code::NoPolicy).hint(instead);
        }
    }
}
