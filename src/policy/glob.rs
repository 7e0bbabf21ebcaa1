//! Globs over the names of a policy.

/// Whether a glob matches a name; `*` stands for any text, also for none.
pub fn matches(glob: &str, name: &str) -> bool {
    let mut parts = glob.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    let Some(mut middle) = rest.strip_suffix(last) else {
        return false;
    };
    // The leftmost place of each part leaves the most room for those after it.
    for part in parts {
        let Some(at) = middle.find(part) else { return false };
        middle = middle.split_at(at + part.len()).1;
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(matches("*", ""));
        assert!(matches("claude-*", "claude-sonnet"));
        assert!(matches("*-preview", "gpt-preview"));
        assert!(matches("a*b*c", "a-b-b-c"));
        assert!(!matches("a*a", "a"));
        assert!(!matches("gpt", "gpt-4"));
        assert!(!matches("*-preview", "gpt-preview-2"));
    }

    proptest! {
        #[test]
        fn globs_match_as_the_plain_recursive_definition_does(glob in "[ab*]{0,7}", name in "[ab]{0,7}") {
            prop_assert_eq!(matches(&glob, &name), plainly(glob.as_bytes(), name.as_bytes()));
        }
    }

    fn plainly(glob: &[u8], name: &[u8]) -> bool {
        match (glob, name) {
            ([], []) => true,
            ([b'*', glob @ ..], _) => (0..=name.len()).any(|skip| plainly(glob, &name[skip..])),
            ([g, glob @ ..], [n, name @ ..]) => g == n && plainly(glob, name),
            _ => false,
        }
    }
}
