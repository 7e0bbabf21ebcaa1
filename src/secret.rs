//! Where secrets are kept, secrets that cannot be printed, and the values in use.

mod source;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::HeaderValue;
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::environment::Environment;
use source::Stamp;

pub use secrecy::{ExposeSecret, SecretString};
pub use source::SecretFault;

/// Where a secret is to be found. Holds no secret, so a policy may be printed and compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// An environment variable, read when a policy is loaded.
    Env(Arc<str>),
    /// A file, read again when it changes. White space at its end is not part of the secret.
    File(Arc<PathBuf>),
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
        }
    }
}

/// A secret that policies no longer name is kept for so many refreshes, an hour at one a second: calls in flight
/// under an older policy still ask for it.
const KEPT_UNNAMED: u32 = 3_600;

/// The values of the secrets that policies name.
///
/// Values are read by [`Secrets::adopt`] and [`Secrets::refresh`], on the control thread; looking one up reads nothing
/// and waits for nothing.
pub struct Secrets {
    environment: Environment,
    values: ArcSwap<HashMap<SecretRef, Value>>,
    /// Held while files are read; no call asks for it.
    entries: Mutex<HashMap<SecretRef, Entry>>,
}

/// How a header carries a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderForm {
    /// `Bearer SECRET`
    Bearer,
    /// The secret alone.
    Plain,
}

/// A named secret without a good value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingSecret {
    /// Where it should be.
    pub at: SecretRef,
    /// What is wrong there.
    pub fault: SecretFault,
}

impl fmt::Display for MissingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.fault)
    }
}

/// A good value, in the forms that are asked for: built when it is read, not per call.
#[derive(Clone)]
struct Value {
    text: Arc<SecretString>,
    bearer: HeaderValue,
    plain: HeaderValue,
    /// How often it has changed.
    version: u64,
}

/// What is known of one secret. A value that was good once stays until another good one is read: a file caught in the
/// middle of its replacement must not take a working key away.
#[derive(Default)]
struct Entry {
    value: Option<Value>,
    fault: Option<SecretFault>,
    stamp: Stamp,
    unnamed_for: u32,
}

impl Secrets {
    /// No secret yet; environment variables will be read from `environment`.
    pub fn new(environment: Environment) -> Self {
        Self { environment, values: ArcSwap::default(), entries: Mutex::default() }
    }

    /// The secret's value; none where it has never had a good one, or no policy has named it.
    pub fn get(&self, at: &SecretRef) -> Option<Arc<SecretString>> {
        self.values.load().get(at).map(|value| Arc::clone(&value.text))
    }

    /// The secret as a header's value, marked sensitive, and its [`Secrets::version`]; built once, so this copies nothing.
    pub fn header(&self, at: &SecretRef, form: HeaderForm) -> Option<(HeaderValue, u64)> {
        let values = self.values.load();
        let value = values.get(at)?;
        let header = match form {
            HeaderForm::Bearer => &value.bearer,
            HeaderForm::Plain => &value.plain,
        };
        Some((header.clone(), value.version))
    }

    /// Which of its values the secret has: another number after each change, zero while it has none. What was found wrong
    /// with one value is not said of the next.
    pub fn version(&self, at: &SecretRef) -> u64 {
        self.values.load().get(at).map_or(0, |value| value.version)
    }

    /// Reads the secrets that a new policy names, and keeps them fresh from now on. Call it before the policy comes
    /// into force, so that its first call finds them.
    ///
    /// Tells which of them are at fault now. Where such a one had a good value before, that stays in use.
    pub fn adopt<'a>(&self, named: impl Iterator<Item = &'a SecretRef>) -> Vec<MissingSecret> {
        let mut entries = self.entries.lock();
        for entry in entries.values_mut() {
            entry.unnamed_for = entry.unnamed_for.max(1);
        }
        let mut missing = Vec::new();
        for at in named {
            let entry = entries.entry(at.clone()).or_default();
            // Named twice, by two providers: read and told once.
            let again = std::mem::take(&mut entry.unnamed_for) == 0 && entry.was_read();
            if again {
                continue;
            }
            entry.read(at, &self.environment);
            missing.extend(entry.fault.map(|fault| MissingSecret { at: at.clone(), fault }));
        }
        self.publish(&entries);
        missing
    }

    /// Reads the files that changed; to be called every second or so. Says in the log what changed, once.
    pub fn refresh(&self) {
        let mut entries = self.entries.lock();
        let mut changed = false;
        entries.retain(|at, entry| {
            changed |= entry.refresh(at, &self.environment);
            let kept = entry.unnamed_for < KEPT_UNNAMED;
            changed |= !kept;
            kept
        });
        if changed {
            self.publish(&entries);
        }
    }

    fn publish(&self, entries: &HashMap<SecretRef, Entry>) {
        let good = |(at, entry): (&SecretRef, &Entry)| Some((at.clone(), entry.value.clone()?));
        self.values.store(Arc::new(entries.iter().filter_map(good).collect()));
    }
}

impl fmt::Debug for Secrets {
    /// Neither values nor how many characters they have.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.load().keys()).finish()
    }
}

impl Entry {
    fn was_read(&self) -> bool {
        self.value.is_some() || self.fault.is_some()
    }

    /// Reads the secret, whatever its stamp says. True where its value changed.
    fn read(&mut self, at: &SecretRef, environment: &Environment) -> bool {
        match source::read(at, environment).and_then(Value::new) {
            Ok(mut value) => {
                self.fault = None;
                let same = self.value.as_ref().is_some_and(|old| old.is(&value));
                if !same {
                    value.version = self.value.as_ref().map_or(0, |old| old.version) + 1;
                    self.value = Some(value);
                }
                !same
            }
            Err(fault) => {
                self.fault = Some(fault);
                false
            }
        }
    }

    /// Reads a file that may have changed, and says so. True where its value changed.
    fn refresh(&mut self, at: &SecretRef, environment: &Environment) -> bool {
        if self.unnamed_for > 0 {
            self.unnamed_for += 1;
        }
        let SecretRef::File(path) = at else {
            return false;
        };
        if self.stamp.is_settled(path) {
            return false;
        }
        let before = self.fault;
        let changed = self.read(at, environment);
        if changed {
            info!(secret = %at, "secret read again");
        }
        if let Some(fault) = self.fault.filter(|fault| before != Some(*fault)) {
            let kept = self.value.is_some();
            warn!(secret = %at, kept, "secret {fault}");
        }
        changed
    }
}

impl Value {
    fn new(text: SecretString) -> Result<Self, SecretFault> {
        // Through `SecretString`, so that the joined text is wiped when it is dropped.
        let bearer = SecretString::from(format!("Bearer {}", text.expose_secret()));
        Ok(Self { bearer: header(&bearer)?, plain: header(&text)?, text: Arc::new(text), version: 0 })
    }

    fn is(&self, other: &Self) -> bool {
        self.text.expose_secret() == other.text.expose_secret()
    }
}

fn header(text: &SecretString) -> Result<HeaderValue, SecretFault> {
    let text = text.expose_secret();
    // Stricter than `HeaderValue`, which lets bytes beyond ASCII through: no provider's key has them.
    if !text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return Err(SecretFault::Malformed);
    }
    let mut value = HeaderValue::from_str(text).map_err(|_| SecretFault::Malformed)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
