//! Environment variables, as they come in from outside.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where environment variables are read: the process's own, or a test's map.
#[derive(Clone)]
pub struct Environment(Source);

#[derive(Clone)]
enum Source {
    Process,
    Given(Arc<BTreeMap<String, String>>),
    #[cfg(test)]
    Noting(Arc<BTreeMap<String, String>>, Asked),
}

/// The names that were asked for.
#[cfg(test)]
pub(crate) type Asked = Arc<parking_lot::Mutex<std::collections::BTreeSet<String>>>;

impl Environment {
    /// The variables of this process.
    pub fn process() -> Self {
        Self(Source::Process)
    }

    /// Just these variables.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(Source::Given(Arc::new(variables.into_iter().collect())))
    }

    /// Just these variables, as tests write them.
    pub fn given<const N: usize>(variables: [(&str, &str); N]) -> Self {
        Self::of(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    /// Just these variables, and a note of every name that is asked for.
    #[cfg(test)]
    pub(crate) fn noting<const N: usize>(variables: [(&str, &str); N]) -> (Self, Asked) {
        let asked = Asked::default();
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        (Self(Source::Noting(Arc::new(variables.collect()), Arc::clone(&asked))), asked)
    }

    /// The value of a variable; none when it is not set, or is not UTF-8.
    pub fn var(&self, name: &str) -> Option<String> {
        match &self.0 {
            #[expect(
                clippy::disallowed_methods,
                reason = "the one place that reads the process's environment"
            )]
            Source::Process => std::env::var(name).ok(),
            Source::Given(variables) => variables.get(name).cloned(),
            #[cfg(test)]
            Source::Noting(variables, asked) => {
                asked.lock().insert(name.to_owned());
                variables.get(name).cloned()
            }
        }
    }
}

impl fmt::Debug for Environment {
    /// Values may be secrets: only the kind of source is printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Process => "Environment(process)",
            Source::Given(_) => "Environment(given)",
            #[cfg(test)]
            Source::Noting(..) => "Environment(noting)",
        })
    }
}
