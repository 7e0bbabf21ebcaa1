use proptest::prelude::*;

use super::*;

fn framed(chunks: &[&[u8]]) -> (Vec<Bytes>, Bytes) {
    let mut framer = Framer::default();
    let whole = chunks.iter().map(|chunk| framer.push(Bytes::copy_from_slice(chunk)).unwrap()).collect();
    (whole, framer.take_rest())
}

#[test]
fn whole_events_go_on_in_the_same_bytes() {
    let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\n");
    let passed = Framer::default().push(chunk.clone()).unwrap();
    assert_eq!(passed.as_ptr(), chunk.as_ptr());
    assert_eq!(passed.len(), chunk.len());
}

#[test]
fn an_incomplete_event_waits() {
    let (whole, rest) = framed(&[b"data: a\n\ndata: ", b"b", b"\n", b"\ndata: c"]);
    assert_eq!(whole, ["data: a\n\n", "", "", "data: b\n\n"]);
    assert_eq!(rest, "data: c");
}

#[test]
fn every_line_end_ends_an_event_at_once() {
    for event in
        ["data: a\n\n", "data: a\r\n\r\n", "data: a\r\r", "data: a\n\r\n", "data: a\r\n\n", "\n", "\r\n"]
    {
        let (whole, rest) = framed(&[event.as_bytes()]);
        assert_eq!(whole, [event], "{event:?}");
        assert!(rest.is_empty());
    }
    let (whole, rest) = framed(&[b"data: a\r\n", b"data: b\r"]);
    assert_eq!((whole, &rest[..]), (vec![Bytes::new(), Bytes::new()], &b"data: a\r\ndata: b\r"[..]));
}

#[test]
fn a_crlf_split_after_its_cr_delays_nothing() {
    let (whole, rest) = framed(&[b"data: a\r\n\r", b"\ndata: b", b"\r", b"\n\r\n"]);
    assert_eq!(whole, ["data: a\r\n\r", "\n", "", "data: b\r\n\r\n"]);
    assert!(rest.is_empty());
}

#[test]
fn an_event_beyond_the_cap_is_an_error() {
    let mut framer = Framer::default();
    let piece = Bytes::from(vec![b'x'; MAX_EVENT]);
    assert_eq!(framer.push(piece.clone()).unwrap(), "");
    assert_eq!(framer.push(Bytes::from_static(b"x")), Err(EventTooLong));
    let mut framer = Framer::default();
    framer.push(piece).unwrap();
    assert!(framer.push(Bytes::from_static(b"\n\n")).is_ok());
}

#[test]
fn fields_are_read_as_the_format_says() {
    let event = b": note\nevent: error\nid: 4\ndata:a\r\ndata:  b\rdata\nother: x\n\n";
    assert_eq!(name(event), Some(&b"error"[..]));
    assert_eq!(data(event).unwrap().as_ref(), b"a\n b\n");
    assert_eq!(data(b": keep-alive\n\n"), None);
    assert_eq!(data(b"database: x\n\n"), None);
    assert!(matches!(data(b"data: one line\n\n"), Some(Cow::Borrowed(b"one line"))));
}

#[test]
fn a_sign_of_life_is_one_event_that_its_face_passes_over() {
    let comment = keep_alive(Api::Chat).unwrap();
    assert_eq!(keep_alive(Api::Responses), Some(comment));
    assert_eq!((name(comment), data(comment)), (None, None));
    let ping = keep_alive(Api::Messages).unwrap();
    assert_eq!(name(ping), Some(&b"ping"[..]));
    assert_eq!(data(ping).as_deref(), Some(&br#"{"type":"ping"}"#[..]));
    for sign in [comment, ping] {
        assert_eq!(events(sign).collect::<Vec<_>>(), [sign]);
        let (whole, rest) = framed(&[sign]);
        assert_eq!((&whole[0][..], rest.len()), (sign, 0));
    }
    assert_eq!(keep_alive(Api::Generate), None);
}

#[test]
fn debug_shows_no_content() {
    let mut framer = Framer::default();
    framer.push(Bytes::from_static(b"data: secret")).unwrap();
    assert_eq!(format!("{framer:?}"), "Framer { held: 12 }");
}

proptest! {
    #[test]
    fn no_split_changes_what_passes(text in "(data: [a-c]|: n|[\n\r]|\r\n){0,20}", cuts in any::<[prop::sample::Index; 3]>()) {
        let text = text.as_bytes();
        let mut cuts = cuts.map(|cut| cut.index(text.len() + 1));
        cuts.sort_unstable();
        let [a, b, c] = cuts;
        let (whole, rest) = framed(&[text]);
        let (pieces, piece_rest) = framed(&[&text[..a], &text[a..b], &text[b..c], &text[c..]]);
        prop_assert_eq!(pieces.concat(), whole.concat());
        prop_assert_eq!(piece_rest, rest);
        let fields = |whole: &[u8]| events(whole).filter_map(|event| data(event).map(Cow::into_owned)).collect::<Vec<_>>();
        prop_assert_eq!(pieces.iter().flat_map(|piece| fields(piece)).collect::<Vec<_>>(), fields(&whole[0]));
    }

    #[test]
    fn events_are_all_the_bytes(text in "(data: [a-c]|[\n\r]|\r\n){0,20}") {
        let (whole, _) = framed(&[text.as_bytes()]);
        prop_assert_eq!(events(&whole[0]).collect::<Vec<_>>().concat(), &whole[0][..]);
    }
}

proptest! {
    #[test]
    fn name_and_data_are_the_same_in_one_pass(event in "((data|event|id|da)(:| |: )[a-z ]{0,4}(\n|\r|\r\n)){0,6}") {
        let (named, said) = name_and_data(event.as_bytes());
        prop_assert_eq!(named, name(event.as_bytes()));
        prop_assert_eq!(said, data(event.as_bytes()));
    }
}
