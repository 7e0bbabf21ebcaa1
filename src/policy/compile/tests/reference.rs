//! `policies/reference.yaml`: what it says that is not built yet, and that nothing breaks the compiler.

use proptest::prelude::*;

use super::*;

const REFERENCE: &str = include_str!("../../../../policies/reference.yaml");

/// Every field and choice that is not built yet, as the reference has them: shorten it with what you build.
const NOT_BUILT: &[(&str, &[&str])] = &[
    ("auth", &["auth"]),
    ("tenants", &["kubernetes", "jwt", "user", "app"]),
    ("limits", &["localShare"]),
    ("access", &["shadow"]),
];

#[test]
fn the_reference_has_no_fault_but_what_is_not_built_yet() {
    let found = compile(&Sources::single("reference.yaml", REFERENCE)).unwrap_err();
    let told: Vec<&str> = found.iter().map(|d| d.message.as_str()).collect();
    let expected = NOT_BUILT.iter().flat_map(|(_, names)| *names);
    let expected: Vec<String> = expected.map(|name| spec::planned::not_built(name)).collect();
    assert_eq!(told, expected, "\n{found}");
}

#[test]
fn the_reference_shows_everything_that_is_not_built_yet() {
    let found = compile(&Sources::single("reference.yaml", REFERENCE)).unwrap_err();
    let told: Vec<&str> = found.iter().map(|d| d.message.as_str()).collect();
    let missing: Vec<_> = spec::not_built_yet()
        .flat_map(|(_, names)| names)
        .filter(|name| !told.contains(&spec::planned::not_built(name).as_str()))
        .collect();
    assert_eq!(missing, [""; 0]);
}

/// A verdict is a snapshot, or errors of which each that has a place shows one that exists.
fn judge(text: &[u8]) -> Result<(), TestCaseError> {
    let lines = text.iter().filter(|b| **b == b'\n').count() + 2;
    match compile(&Sources::single("reference.yaml", text)) {
        Ok((snapshot, _)) => prop_assert!(!snapshot.tenants.is_empty()),
        Err(found) => {
            prop_assert!(found.counts().0 > 0);
            let overall = ["the policy has no", "there is no policy here"];
            for diagnostic in found.iter() {
                match &diagnostic.place {
                    Some(place) => prop_assert!((1..=lines).contains(&(place.line as usize)), "{diagnostic}"),
                    None => prop_assert!(overall.iter().any(|start| diagnostic.message.starts_with(start))),
                }
            }
            prop_assert!(!found.to_string().is_empty());
        }
    }
    Ok(())
}

proptest! {
    // Each case reads the whole reference.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_truncated_policy_is_judged(at in 0..REFERENCE.len()) {
        judge(&REFERENCE.as_bytes()[..at])?;
    }

    #[test]
    fn a_mutated_policy_is_judged(at in 0..REFERENCE.len(), cut in 0usize..12, insert in "[\\x00-\\x7f]{0,4}|[&*]?[-:{}\\[\\], \n\t!|>%@`\"'#]{0,6}") {
        let mut text = REFERENCE.as_bytes().to_vec();
        let end = (at + cut).min(text.len());
        text.splice(at..end, insert.bytes());
        judge(&text)?;
    }

    #[test]
    fn a_mutated_good_policy_is_judged(at in 0..GOOD.len(), cut in 0usize..6, insert in "[ -~\n]{0,4}") {
        let mut text = GOOD.as_bytes().to_vec();
        let end = (at + cut).min(text.len());
        text.splice(at..end, insert.bytes());
        judge(&text)?;
    }

    #[test]
    fn a_policy_without_some_of_its_lines_is_judged(keep in proptest::collection::vec(proptest::bool::weighted(0.9), REFERENCE.lines().count())) {
        let lines = REFERENCE.lines().zip(keep).filter(|(_, keep)| *keep).map(|(line, _)| line);
        judge(lines.collect::<Vec<_>>().join("\n").as_bytes())?;
    }

    #[test]
    fn a_key_pasted_anywhere_is_never_shown(at in 0..GOOD.len(), colon in any::<bool>(), pool in any::<bool>()) {
        let key = if colon { " sk-proj-a1b2c3d4e5f6: " } else { " sk-proj-a1b2c3d4e5f6 " };
        let good = if pool { with("key: { fromEnv: OPENAI_API_KEY }", "keys: [{ name: a, fromEnv: A }]") } else { GOOD.to_owned() };
        let at = at.min(good.len());
        let text = format!("{}{key}{}", &good[..at], &good[at..]);
        if let Err(found) = compile(&Sources::single("policy.yaml", text)) {
            prop_assert!(!found.to_string().contains("a1b2c3"), "{found}");
        }
    }

    #[test]
    fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        judge(&bytes)?;
    }
}
