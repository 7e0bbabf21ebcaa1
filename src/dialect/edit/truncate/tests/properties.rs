//! Conversations of any shape, cut by as much as may be asked, against a second reading of what may be cut.

use super::conversations::{Kind, Said, any_steps, conversation};
use super::*;

/// Which messages stay if all before one are cut that may be: the instructions, and reasoning that what stays needs.
fn kept_from(said: &[Said], at: usize) -> Vec<bool> {
    let mut kept: Vec<_> =
        said.iter().enumerate().map(|(place, said)| place >= at || said.kind == Kind::Instruction).collect();
    for place in (0..at.min(said.len())).rev() {
        if said[place].kind == Kind::Reasoning {
            let next = (place + 1..said.len())
                .find(|next| !matches!(said[*next].kind, Kind::Instruction | Kind::Reasoning));
            kept[place] = next.is_none_or(|next| kept[next]);
        }
    }
    kept
}

/// Whether every call stays or goes together with its results.
fn is_whole(said: &[Said], kept: &[bool]) -> bool {
    let stays = |call: usize| {
        let mut of_call =
            said.iter().zip(kept).filter(move |(said, _)| said.calls.contains(&call)).map(|(_, kept)| *kept);
        let first = of_call.next();
        of_call.all(|kept| Some(kept) == first)
    };
    said.iter().flat_map(|said| &said.calls).all(|call| stays(*call))
}

/// The cut, found by trying every place where a turn begins.
fn reference(said: &[Said], gaps: &[usize], bytes: usize) -> Option<Vec<bool>> {
    let begins = |place: &usize| *place == 0 || said[*place].kind == Kind::User;
    (0..said.len().max(1)).filter(|place| said.is_empty() || begins(place)).find_map(|place| {
        let kept = kept_from(said, place);
        let gone: usize = kept.iter().zip(gaps).filter(|(kept, _)| !**kept).map(|(_, gap)| gap).sum();
        (gone >= bytes && is_whole(said, &kept)).then_some(kept)
    })
}

fn any_api() -> impl Strategy<Value = Api> {
    prop::sample::select(vec![Api::Chat, Api::Responses, Api::Messages, Api::Generate])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn as_much_goes_as_must_and_as_may(
        api in any_api(), steps in any_steps(), texts in prop::collection::vec(samples::any_text(), 1..5),
        spaces in prop::collection::vec("[ \n\t\r]{0,2}", 1..6), bytes in 0..700_usize, streams: bool,
        model in prop::option::of("[a-z]{1,9}"), cap in prop::option::of(1..9999_u64),
    ) {
        let said = conversation(api, &steps, &texts);
        let space = |at: usize| spaces[at % spaces.len()].as_str();
        let (mut list, mut starts) = ("[".to_owned(), vec![]);
        for (at, message) in said.iter().enumerate() {
            list += if at > 0 { "," } else { "" };
            list += space(at);
            starts.push(list.len());
            list += &message.text;
            list += space(at + 1);
        }
        list += "]";
        let gaps: Vec<_> = starts.windows(2).map(|pair| pair[1] - pair[0]).chain([0]).collect();
        let name = list_of(api);
        let body = format!(r#"{{"x":[1.0],"{name}": {list} ,"stream":{streams},"model":"m"}}"#);

        let facts = read_facts(api, &body);
        let cut = oldest(api, body.as_bytes(), &facts, bytes);
        let expected = reference(&said, &gaps, bytes);
        prop_assert_eq!(cut.is_some(), expected.is_some(), "{}", body);
        let (Some(cut), Some(kept)) = (cut, expected) else { return Ok(()) };
        prop_assert!(cut.bytes >= bytes);
        prop_assert_eq!(cut.bytes, cut.ranges.iter().map(|range| range.len()).sum::<usize>());
        prop_assert_eq!(cut.messages as usize, kept.iter().filter(|kept| !**kept).count());

        // Alone: what stays is the same bytes, and so is all around the list.
        let bytes = Bytes::from(body.clone());
        let alone = apply(api, &bytes, &facts, &Edits { cut: Some(&cut), ..Edits::default() });
        prop_assert_eq!(alone.len() + cut.bytes, bytes.len());
        let stays: Vec<_> = said.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(said, _)| said).collect();
        let left = std::str::from_utf8(&alone).unwrap();
        let mut rest = left;
        for said in &stays {
            let at = rest.find(&said.text);
            prop_assert!(at.is_some(), "{} in {}", said.text, left);
            rest = &rest[at.unwrap() + said.text.len()..];
        }
        let parsed: Json = serde_json::from_str(left).unwrap();
        let expected: Vec<Json> = stays.iter().map(|said| serde_json::from_str(&said.text).unwrap()).collect();
        prop_assert_eq!(&parsed[name], &json!(expected));
        let around = |body: &str| {
            let before = body.split_once(&format!("\"{name}\"")).unwrap().0.to_owned();
            (before, body.rsplit_once("] ,").unwrap().1.to_owned())
        };
        prop_assert_eq!(around(left), around(&body));

        // Whatever was kept can be understood.
        let systems = |all: &[&Said]| all.iter().filter(|said| said.kind == Kind::Instruction).count();
        prop_assert_eq!(systems(&stays), systems(&said.iter().collect::<Vec<_>>()));
        let calls = |kind: Kind| {
            let of_kind = stays.iter().filter(|said| said.kind == kind);
            let mut calls: Vec<_> = of_kind.flat_map(|said| said.calls.clone()).collect();
            calls.sort_unstable();
            calls
        };
        prop_assert_eq!(calls(Kind::Call), calls(Kind::Result));
        if cut.messages > 0 {
            let first = stays.iter().find(|said| !matches!(said.kind, Kind::Instruction | Kind::Reasoning));
            prop_assert_eq!(first.map(|said| said.kind), Some(Kind::User));
        }
        if let Some(last) = said.iter().rposition(|said| said.kind == Kind::User) {
            prop_assert!(kept[last..].iter().all(|kept| *kept));
        }

        // Together with all other edits: as if each had been made in a parsed body.
        let cap = cap.map(|tokens| Cap { tokens: Tokens(tokens), chat_field: MaxTokensField::MaxTokens, lowers: true });
        let edits = Edits { model: model.as_deref(), ask_usage: true, cap, cut: Some(&cut) };
        let edited: Json = serde_json::from_slice(&apply(api, &bytes, &facts, &edits)).unwrap();
        let uncut: Json =
            serde_json::from_slice(&apply(api, &bytes, &facts, &Edits { cut: None, ..edits })).unwrap();
        let mut expected_body = uncut;
        expected_body[name] = json!(expected);
        prop_assert_eq!(edited, expected_body);
    }

    #[test]
    fn no_messages_make_it_panic(
        api in any_api(), messages in prop::collection::vec(samples::any_json(), 0..8), bytes in 0..200_usize,
    ) {
        let with_roles: Vec<_> = messages
            .into_iter()
            .zip(["user", "assistant", "tool", "system", "model"].iter().cycle())
            .map(|(any, role)| {
                let list = json!([any, { "type": "tool_use", "id": any, "functionCall": any }, { "functionResponse": any }]);
                json!({ "role": role, "content": list, "parts": list, "tool_calls": any, "call_id": any, "id": any })
            })
            .collect();
        let body = body(api, &json!(with_roles));
        if let Some((_, left)) = without(api, &body, bytes) {
            prop_assert!(serde_json::from_str::<Json>(&left).is_ok());
        }
    }
}
