//! `kind: PolicyTest` -> [`Test`]s: names found in the policy under test, calls and expectations checked.

mod call;
mod expect;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::documents::head;
use super::{count, mock, span_between};
use crate::clock::Timestamp;
use crate::ids::{LimitKey, ProviderId};
use crate::limits::{Rule, Unit};
use crate::policy::Snapshot;
use crate::policy::compose::{self, is_test};
use crate::policy::diagnostic::{Code, Diagnostics, Findings, Span, did_you_mean, quoted};
use crate::policy::load::Sources;
use crate::policy::node::{self, decode};
use crate::policy::snapshot::{Principal, Tenant};
use crate::policy::spec::test as spec;
use crate::policy::spec::{Amount, At, Entries, Mock};
use crate::policy::suite::{Caller, Scripts, Step, Test, Used};

/// Noon of 2026-01-01, UTC.
const BEGINS: i64 = 1_767_268_800;

/// The longest pause between two calls.
const LONGEST_PAUSE: Duration = Duration::from_secs(400 * 24 * 60 * 60);
/// How often a call may be made.
const TIMES: u32 = 10_000;

/// One document of tests, as written.
#[derive(Debug)]
pub struct Document(spec::PolicyTest);

/// The documents of tests among these files, or everything that is wrong with their shape. Other documents are not looked
/// at.
pub fn read(sources: &Sources) -> Result<Vec<Document>, Diagnostics> {
    let mut found = Findings::new(sources);
    let mut documents = Vec::new();
    let [(version, wanted), _] = compose::HEAD;
    for (index, file) in sources.files().iter().enumerate() {
        let parsed = node::parse(u32::try_from(index).unwrap_or(u32::MAX), &file.bytes, &mut found);
        for node in parsed.iter().filter(|node| is_test(node)) {
            let Some(document) = decode::decode::<spec::PolicyTest>(node, &mut found) else { continue };
            if !head(node, version, document.api_version.as_ref(), wanted, &mut found) {
                continue;
            }
            if document
                .tests
                .as_ref()
                .is_none_or(|tests| tests.value.as_ref().is_some_and(|t| t.0.is_empty()))
            {
                let at = document.tests.as_ref().map_or(node.span, |tests| tests.span);
                found.error(at, "there are no `tests` here").hint(
                    "write `tests: { a sentence: { call: { model: chat }, expect: { status: 200 } } }`",
                );
            }
            documents.push(Document(document));
        }
    }
    found.finish(Some(documents)).map(|(documents, _)| documents)
}

impl Document {
    /// The policy under test, as seen from the document's file.
    pub fn policy(&self) -> Option<&str> {
        self.0.policy.as_ref()?.value.as_deref()
    }

    /// Overlays of it, in order.
    pub fn overlays(&self) -> impl Iterator<Item = &str> {
        let overlays = self.0.overlays.as_ref().and_then(|overlays| overlays.value.as_ref());
        overlays.into_iter().flatten().filter_map(|overlay| overlay.value.as_deref())
    }

    /// Says that there is no policy under test.
    pub fn without_policy(&self, sources: &Sources, why: &str) -> Diagnostics {
        let mut found = Findings::new(sources);
        let tests = self.0.tests.as_ref().map(|tests| tests.span);
        let at = self.0.policy.as_ref().map(|policy| policy.span).or(tests).unwrap_or_default();
        found
            .error(at, format!("no policy to test: {why}"))
            .code(Code::UnknownName)
            .hint("name it as it is seen from this file: `policy: ../policy.yaml`");
        found.told()
    }

    /// Its tests under a policy, or everything that is wrong with them. `sources` are those that it was read from.
    pub fn compile(&self, sources: &Sources, policy: &Snapshot) -> Result<Vec<Test>, Diagnostics> {
        let mut found = Findings::new(sources);
        let begins = self.0.at.as_ref().and_then(|at| at.value).map_or_else(begins, |moment| moment.0);
        let entries = self.0.tests.as_ref().and_then(|tests| tests.value.as_ref());
        let entries = entries.map_or(&[][..], |entries| &entries.0);
        let suite = Suite { policy, begins };
        let tests = entries.iter().filter_map(|entry| {
            let test = entry.value.as_ref()?;
            suite.test(&entry.name, entry.span, test, &mut found)
        });
        let tests = tests.collect();
        found.finish(Some(tests)).map(|(tests, _)| tests)
    }
}

fn begins() -> Timestamp {
    Timestamp::from_second(BEGINS).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// What all tests of a document have in common.
struct Suite<'p> {
    policy: &'p Snapshot,
    begins: Timestamp,
}

impl Suite<'_> {
    fn test(&self, name: &str, at: Span, spec: &spec::Test, found: &mut Findings<'_>) -> Option<Test> {
        let begins = spec.at.as_ref().and_then(|at| at.value).map_or(self.begins, |moment| moment.0);
        let caller = match &spec.caller {
            None => Some(Caller::Local),
            Some(caller) => self.caller(caller, found),
        };
        let used = spec.used.as_ref().and_then(|used| used.value.as_ref());
        let used: Vec<_> = used.into_iter().flatten().filter_map(|used| self.used(used, found)).collect();
        let scripts = self.scripts(spec.providers.as_ref(), found);
        let steps = self.steps(at, spec, caller.as_ref(), found);
        Some(Test { name: name.into(), place: found.place(at), at: begins, used, scripts, steps: steps? })
    }

    /// The calls of a test. None where a fault was told.
    fn steps(
        &self,
        at: Span,
        spec: &spec::Test,
        caller: Option<&Caller>,
        found: &mut Findings<'_>,
    ) -> Option<Vec<Step>> {
        let single = spec
            .call
            .as_ref()
            .map(|call| call.span)
            .or_else(|| spec.expect.as_ref().map(|expect| expect.span));
        let Some(calls) = &spec.calls else {
            if single.is_none() {
                found
                    .error(at, "this test makes no call")
                    .hint("write `call: { model: chat }, expect: { status: 200 }`, or `calls: [..]`");
                return None;
            }
            if spec.expect.is_none() {
                found
                    .error(at, "this test expects nothing")
                    .hint("say what is to come of its call: `expect: { status: 200 }`");
            }
            let asked = Asked { call: spec.call.as_ref(), expect: spec.expect.as_ref(), at };
            return Some(vec![self.step(&asked, caller.cloned(), found)?]);
        };
        if let Some(single) = single {
            let calls = found.place(calls.span);
            found.error(single, "a test has `call` and `expect`, or `calls`").other("`calls` is here", calls);
        }
        let listed = calls.value.as_ref()?;
        if listed.iter().all(|step| step.value.as_ref().is_some_and(|step| step.expect.is_none())) {
            found
                .error(calls.span, "this test expects nothing")
                .hint("say what is to come of a call: `expect: { status: 200 }`");
        }
        let steps: Vec<_> = listed.iter().map(|step| self.listed(step, caller, found)).collect();
        steps.into_iter().collect()
    }

    /// One call of several.
    fn listed(&self, at: &At<spec::Step>, caller: Option<&Caller>, found: &mut Findings<'_>) -> Option<Step> {
        let spec = at.value.as_ref()?;
        let after = match &spec.after {
            None => Some(Duration::ZERO),
            Some(after) => span_between(after, Duration::ZERO, LONGEST_PAUSE, found),
        };
        let times = match &spec.times {
            None => Some(1),
            Some(times) => count(times, "leave the call out", found).map(|times| {
                if times.get() > TIMES {
                    found.error(times_span(spec), format!("a call is made at most {TIMES} times"));
                }
                times.get()
            }),
        };
        let own = spec.caller.as_ref().map(|caller| self.caller(caller, found));
        let scripts = self.scripts(spec.providers.as_ref(), found);
        let asked = Asked { call: spec.call.as_ref(), expect: spec.expect.as_ref(), at: at.span };
        let step = self.step(&asked, own.unwrap_or_else(|| caller.cloned()), found);
        Some(Step { after: after?, times: times?, scripts, ..step? })
    }

    fn step(&self, asked: &Asked<'_>, caller: Option<Caller>, found: &mut Findings<'_>) -> Option<Step> {
        let Some(call) = asked.call else {
            found.error(asked.at, "`call` is missing").hint("write `call: { model: chat }`");
            return None;
        };
        let call = call::compile(call, found);
        let caller = caller?;
        let tenant = self.tenant_of(&caller);
        let expected = match asked.expect {
            None => Vec::new(),
            Some(expect) => expect::Names { policy: self.policy, tenant }.compile(expect, found),
        };
        Some(Step { after: Duration::ZERO, times: 1, scripts: Scripts::new(), caller, call: call?, expected })
    }

    fn tenant_of<'a>(&'a self, caller: &'a Caller) -> Option<&'a Tenant> {
        match caller {
            Caller::Known(principal) => Some(&principal.tenant),
            Caller::Local => self.policy.local.as_ref().map(|principal| &*principal.tenant),
            Caller::UnknownKey | Caller::Afar => None,
        }
    }

    fn caller(&self, at: &At<spec::Caller>, found: &mut Findings<'_>) -> Option<Caller> {
        let spec::Caller { tenant, key, unknown_key, afar } = at.value.as_ref()?;
        let says = |flag: &Option<At<bool>>| flag.as_ref().is_some_and(|flag| flag.value == Some(true));
        let (stranger, afar) = (says(unknown_key), says(afar));
        match (tenant, key) {
            (None, None) if stranger && !afar => Some(Caller::UnknownKey),
            (None, None) if afar && !stranger => Some(Caller::Afar),
            (None, None) if !afar => Some(Caller::Local),
            (Some(tenant), key) if !stranger && !afar => self.known(tenant, key.as_ref(), found),
            (None, Some(key)) if !stranger && !afar => {
                found
                    .error(key.span, "whose key is it?")
                    .hint("name the tenant: `as: { tenant: checkout, key: ci }`");
                None
            }
            (_, _) => {
                found.error(
                    at.span,
                    "a caller is one of these: a tenant's, one with an unknown key, one from afar",
                );
                None
            }
        }
    }

    fn known(
        &self,
        tenant: &At<String>,
        key: Option<&At<String>>,
        found: &mut Findings<'_>,
    ) -> Option<Caller> {
        let id = self.tenant(tenant, found)?.id.clone();
        let Some(key) = key else {
            return self.policy.unkeyed.get(&id).cloned().map(Caller::Known);
        };
        let name = key.value.as_deref()?;
        let of_tenant = |principal: &&Arc<Principal>| principal.tenant.id == id;
        let mut keys = self.policy.keys.values().filter(of_tenant);
        let named =
            |principal: &&Arc<Principal>| principal.key.as_ref().is_some_and(|key| key.as_str() == name);
        if let Some(principal) = keys.clone().find(named) {
            return Some(Caller::Known(Arc::clone(principal)));
        }
        let names: HashSet<&str> =
            keys.by_ref().filter_map(|principal| Some(principal.key.as_ref()?.as_str())).collect();
        let hint = did_you_mean(name, names)
            .unwrap_or_else(|| "a key has the `name` that stands beside it under `match`".to_owned());
        found
            .error(key.span, format!("tenant {} has no key {}", quoted(id.as_str()), quoted(name)))
            .hint(hint);
        None
    }

    fn tenant(&self, name: &At<String>, found: &mut Findings<'_>) -> Option<&Tenant> {
        let text = name.value.as_deref()?;
        let tenant = self.policy.tenants.get(text);
        if tenant.is_none() {
            let names = self.policy.tenants.keys().map(|id| id.as_str());
            not_there("tenant", name.span, text, names, found);
        }
        tenant.map(|tenant| &**tenant)
    }

    fn used(&self, at: &At<spec::Used>, found: &mut Findings<'_>) -> Option<Used> {
        let spec::Used { tenant, provider, limit, amount, of } = at.value.as_ref()?;
        let rules = match (tenant, provider) {
            (Some(tenant), None) => &self.tenant(tenant, found)?.limits,
            (None, Some(provider)) => {
                let name = provider.value.as_deref()?;
                let Some(known) = self.policy.providers.get(name) else {
                    not_there(
                        "provider",
                        provider.span,
                        name,
                        self.policy.providers.keys().map(ProviderId::as_str),
                        found,
                    );
                    return None;
                };
                &known.limits
            }
            (Some(_), Some(_)) | (None, None) => {
                found.error(at.span, "say whose limit it is: `tenant` or `provider`");
                return None;
            }
        };
        let rule = find(rules, limit, found)?;
        let unit = rule.quota.unit();
        let counted = counted(amount, unit, found)?;
        let of = match (of, rule.each) {
            (Some(of), Some(_)) => Some(of.value.as_deref()?.into()),
            (None, None) => None,
            (None, Some(each)) => {
                found.error(at.span, format!("this limit counts each {} apart: say `of`", each.as_str()));
                return None;
            }
            (Some(of), None) => {
                found.error(of.span, "this limit has one count for all: leave `of` out");
                return None;
            }
        };
        if unit == Unit::Concurrent && counted > 10_000 {
            found.error(amount.span, "at most 10000 calls can be under way");
            return None;
        }
        Some(Used { rule: [rule.clone()].into(), amount: counted, of })
    }

    /// The scripts of providers that are named.
    fn scripts(&self, written: Option<&At<Entries<Mock>>>, found: &mut Findings<'_>) -> Scripts {
        let entries =
            written.and_then(|written| written.value.as_ref()).map_or(&[][..], |entries| &entries.0);
        let mut scripts = Scripts::new();
        for entry in entries {
            let Some((id, _)) = self.policy.providers.get_key_value(&*entry.name) else {
                not_there(
                    "provider",
                    entry.span,
                    &entry.name,
                    self.policy.providers.keys().map(ProviderId::as_str),
                    found,
                );
                continue;
            };
            if let Some(script) = entry.value.as_ref().and_then(|mock| mock::script(mock, found)) {
                scripts.insert(id.clone(), Arc::new(script));
            }
        }
        scripts
    }
}

/// What one step asks and expects, as written.
struct Asked<'s> {
    call: Option<&'s At<spec::Call>>,
    expect: Option<&'s At<spec::Expect>>,
    at: Span,
}

fn times_span(spec: &spec::Step) -> Span {
    spec.times.as_ref().map_or_else(Span::default, |times| times.span)
}

/// Tells a name that the policy under test does not have.
fn not_there<'n>(
    what: &str,
    at: Span,
    name: &str,
    known: impl Iterator<Item = &'n str>,
    found: &mut Findings<'_>,
) {
    let message = format!("the policy under test has no {what} {}", quoted(name));
    found.error(at, message).code(Code::UnknownName).maybe_hint(did_you_mean(name, known));
}

/// The rule of this name.
fn find<'r>(rules: &'r [Rule], name: &At<String>, found: &mut Findings<'_>) -> Option<&'r Rule> {
    let text = name.value.as_deref()?;
    let rule = rules.iter().find(|rule| rule.key.as_str() == text);
    if rule.is_none() {
        not_there("such limit", name.span, text, rules.iter().map(|rule| LimitKey::as_str(&rule.key)), found);
    }
    rule
}

/// An amount in the unit of a limit.
fn counted(amount: &At<Amount>, unit: Unit, found: &mut Findings<'_>) -> Option<u64> {
    match (amount.value?, unit) {
        (Amount::Money(money), Unit::Usd) => Some(money.0),
        (Amount::Count(_), Unit::Usd) => {
            found
                .error(amount.span, "this limit counts money")
                .hint("write US dollars in quotes: \"499.00\"");
            None
        }
        (Amount::Count(count), _) => Some(count),
        (Amount::Money(_), _) => {
            found
                .error(amount.span, format!("this limit counts {}", unit.as_str()))
                .hint("write a whole number without quotes");
            None
        }
    }
}
