use proptest::prelude::*;

use super::*;
use crate::dialect::samples;

#[test]
fn accepts_what_serde_json_accepts_and_nothing_else() {
    let texts = [
        "",
        " ",
        "{}",
        "[]",
        "[,]",
        "[1,]",
        "{,}",
        r#"{"a":1,}"#,
        r#"{"a" 1}"#,
        r#"{"a":}"#,
        "{1:2}",
        "1",
        "01",
        "-",
        "-1",
        "-01",
        "0.",
        ".5",
        "0.5",
        "1e",
        "1e5",
        "1E+5",
        "1e-",
        "1e400",
        "-1e400",
        "0e400",
        "1e-400",
        "tru",
        "true",
        "truex",
        "null ",
        "nullnull",
        "\"",
        "\"a",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u+123\"",
        "\"\\u1234\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83dx\"",
        "\"\\ud83d\\n\"",
        "\"\\ud83d\\u0041\"",
        "\"a\u{1}b\"",
        "\"a\nb\"",
        "\"\u{7f}\"",
        "\u{feff}{}",
        "{} x",
        "{}\n",
        "[1 2]",
        "\"a\"\"b\"",
        "[[]]",
        "[}",
        "{]",
        "\u{b}1",
        "é",
    ];
    for text in texts {
        same_judgement(text.as_bytes());
    }
}

#[test]
fn a_number_is_refused_only_if_no_float_holds_it() {
    for digits in [299, 308, 309, 310, 400] {
        same_judgement("9".repeat(digits).as_bytes());
        same_judgement(format!("0.{}", "9".repeat(digits)).as_bytes());
        same_judgement(format!("{}.5", "1".repeat(digits)).as_bytes());
    }
}

#[test]
fn depth_ends_where_serde_json_ends() {
    for depth in [1, 126, 127, 128, 129, 5000] {
        same_judgement(format!("{}{}", "[".repeat(depth), "]".repeat(depth)).as_bytes());
        same_judgement(format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)).as_bytes());
    }
    assert_eq!(document("[".repeat(128).as_bytes()).err(), Some(Fault::TooDeep));
}

#[test]
fn members_and_elements_stand_where_they_stand() {
    let text = br#" { "a" : [1, "x" , {}], "b\u0063": null } "#;
    let object = document(text).unwrap_or_else(|fault| panic!("{fault:?}"));
    let members: Vec<_> = object.members().collect();
    assert_eq!(members.len(), 2);
    assert!(members[0].is("a") && members[1].is("bc"));
    assert_eq!(&text[members[0].value.range.clone()], br#"[1, "x" , {}]"#);
    let kinds: Vec<_> = members[0].value.elements().map(|element| element.kind).collect();
    assert_eq!(kinds, [Kind::Number, Kind::String, Kind::Object]);
    assert_eq!(members[1].value.kind, Kind::Null);
    assert_eq!(members[1].value.members().count(), 0);
}

#[test]
fn a_value_gives_its_number_its_text_and_its_last_member() {
    let text = br#"{"n":7,"n":-3,"f":0.5,"s":"l\u006fw","long":"lower","e":"\u00e9","a":[]}"#;
    let object = document(text).unwrap_or_else(|fault| panic!("{fault:?}"));
    let member = |name| object.member(name).unwrap();
    assert_eq!(member("n").number::<i64>(), Some(-3));
    assert_eq!(member("n").number::<u64>(), None);
    assert_eq!(member("f").number::<f64>(), Some(0.5));
    assert_eq!(member("s").number::<u64>(), None);
    assert_eq!(member("s").short_text(3).as_deref(), Some("low"));
    assert_eq!(member("s").one_of(&["high", "low"]), Some("low"));
    assert_eq!(member("s").one_of(&["high"]), None);
    for name in ["long", "e", "n", "a"] {
        assert_eq!(member(name).short_text(3), None, "{name}");
    }
    assert!(object.member("x").is_none() && member("a").member("x").is_none());
}

proptest! {
    #[test]
    fn judges_any_text_as_serde_json_does(text in r#"[\[\]{}",:\\ untrefalsd0-9.eE+\-\u{0}\n]{0,40}"#) {
        same_judgement(text.as_bytes());
    }

    #[test]
    fn never_panics_on_bytes(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = document(&bytes);
    }

    #[test]
    fn judges_a_changed_body_as_serde_json_does(
        value in samples::any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>(), insert in any::<bool>(),
    ) {
        let mut text = value.to_string().into_bytes();
        same_judgement(&text);
        let at = at.index(text.len());
        if insert { text.insert(at, byte) } else { text[at] = byte }
        same_judgement(&text);
    }
}

fn same_judgement(text: &[u8]) {
    let theirs = serde_json::from_slice::<serde_json::Value>(text);
    let ours = std::str::from_utf8(text).is_ok() && document(text).is_ok();
    assert_eq!(ours, theirs.is_ok(), "{}: {theirs:?}", String::from_utf8_lossy(text));
}
