//! The kinds of findings, each with a name that stays: by it a lint is allowed, and reports tell findings apart.

macro_rules! codes {
    ($($code:ident = $name:literal, $level:ident, $says:literal;)*) => {
        /// A kind of finding.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $says] $code,)*
        }

        impl Code {
            /// All of them, errors first.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// What it says, one sentence.
            pub fn says(self) -> &'static str {
                match self { $(Self::$code => $says,)* }
            }

            /// How bad it is, or may be.
            pub fn level(self) -> Level {
                match self { $(Self::$code => Level::$level,)* }
            }
        }
    };
}

/// How bad findings of one kind are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Always an error.
    Error,
    /// An error, or a warning where it does no harm.
    Both,
    /// A warning, at the start of `egret run` too.
    Warning,
    /// A warning of `egret check` alone: serving is as good without knowing.
    Review,
}

codes! {
    NotText = "not-text", Error, "A file is not UTF-8 text.";
    NotYaml = "not-yaml", Error, "A file is not YAML, or uses what of YAML is not part of the language.";
    TooMuch = "too-much", Error, "A file is nested too deep, or aliases or values make too much of it.";
    NoPolicy = "no-policy", Error, "There is no policy, or one without providers, models or tenants.";
    WrongKind = "wrong-kind", Error, "A document has another `apiVersion` or `kind`, or none.";
    UnknownField = "unknown-field", Error, "A field that the language does not have there.";
    MissingField = "missing-field", Error, "A field without which the rest means nothing.";
    WrongValue = "wrong-value", Error, "A value of another form: text for a number, no unit, an unknown choice.";
    NotBuiltYet = "not-built-yet", Error, "Part of the language, and not built yet.";
    BadName = "bad-name", Error, "A name that logs, headers and patterns could not carry.";
    UnknownName = "unknown-name", Error, "A name that nothing in the policy has.";
    DefinedTwice = "defined-twice", Error, "The same key, name or value twice.";
    MakesNoSense = "makes-no-sense", Error, "A value out of its range, or one that another contradicts.";
    KeyInPolicy = "key-in-policy", Both, "A secret, or what looks like one, stands in the policy's text.";
    UnkeptLimit = "unkept-limit", Both, "A limit of tokens or money that cannot be kept: no price, no bound, no room for one call.";
    NeverHolds = "never-holds", Both, "A condition that no call ever fulfils.";
    NothingAllowed = "nothing-allowed", Warning, "A tenant that may not use anything.";
    NoLimits = "no-limits", Warning, "A tenant without limits.";
    UnmatchedTenant = "unmatched-tenant", Warning, "A tenant that no caller can be.";
    PatternMatchesNothing = "pattern-matches-nothing", Warning, "A pattern of `allow` or `deny` that matches no name.";
    DeadEnd = "dead-end", Warning, "A route that a tenant may use and whose targets are all denied to it.";
    UnreachableTarget = "unreachable-target", Warning, "A target that no call reaches, or none that simply fails before it: twice there, or beyond `maxAttempts`.";
    SingleTargetRoute = "single-target-route", Warning, "A route with one target: nothing stands in where it fails.";
    NoLastTarget = "no-last-target", Warning, "An ordered route whose targets all have a `when`.";
    UnpricedModel = "unpriced-model", Warning, "A model without a price that calls are routed to.";
    UselessSetting = "useless-setting", Warning, "A setting that changes nothing where it stands.";
    TimeoutsContradict = "timeouts-contradict", Warning, "A time span that a shorter one always cuts off.";
    NoKey = "no-key", Warning, "A provider without a key that refuses calls without one.";
    SameKeyTwice = "same-key-twice", Warning, "Two keys of a pool come from the same place.";
    StalePrice = "stale-price", Review, "A price that holds for longer than `--max-price-age`.";
    DeniedTarget = "denied-target", Review, "A route that a tenant may use leads to a model that is denied to it.";
    LimitAboveProvider = "limit-above-provider", Review, "A limit that is never reached: the providers' own are lower.";
    WindowWithoutZone = "window-without-zone", Review, "A window of the calendar or a time of the day without `timeZone`.";
    BeyondWindow = "beyond-window", Review, "A target for calls longer than its model's `contextTokens`.";
    MissingSecret = "missing-secret", Review, "A key that is not where the policy says; only with `--with-secrets`.";
}

impl Code {
    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// Whether a finding of this kind may be a warning, which may be allowed.
    pub fn is_lint(self) -> bool {
        match self.level() {
            Level::Error => false,
            Level::Both | Level::Warning | Level::Review => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_in_small_letters() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        assert!(Code::ALL.iter().all(|code| Code::named(code.name()) == Some(*code)));
    }

    #[test]
    fn what_a_kind_says_is_a_sentence() {
        assert!(Code::ALL.iter().all(|code| code.says().ends_with('.')));
    }
}
