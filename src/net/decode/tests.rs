use std::io::Write;

use bytes::Bytes;
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, GzBuilder};
use http::HeaderValue;
use proptest::prelude::*;

use super::inflate::OUTPUT_BYTES_MAX;
use super::*;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// What comes of pieces, to the end.
fn decode<'a>(coding: Coding, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(coding);
    let mut text = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Pulled::Bytes(bytes) = decoder.pull()? {
            assert!((1..=OUTPUT_BYTES_MAX).contains(&bytes.len()));
            text.extend_from_slice(&bytes);
        }
    }
    decoder.finish().map(|()| text)
}

fn whole(coding: Coding, coded: &[u8]) -> Result<Vec<u8>, DecodeError> {
    decode(coding, [coded])
}

/// Bytes that compress well and badly.
fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        proptest::collection::vec(b'a'..b'd', 0..2_000),
        (any::<u8>(), 0_usize..200_000).prop_map(|(byte, times)| vec![byte; times]),
    ]
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded_however_it_is_cut(
        texts in proptest::collection::vec(text(), 1..4), size in 1_usize..3_000,
    ) {
        let coded: Vec<u8> = texts.iter().flat_map(|text| gzip(text)).collect();
        prop_assert_eq!(decode(Coding::Gzip, coded.chunks(size)), Ok(texts.concat()));
        prop_assert_eq!(decode(Coding::Zlib, zlib(&texts[0]).chunks(size)), Ok(texts[0].clone()));
    }

    #[test]
    fn a_changed_bit_gives_an_error_or_does_no_harm(text in text(), at in any::<prop::sample::Index>(), bit in 0_u32..8) {
        let mut coded = gzip(&text);
        let at = at.index(coded.len());
        coded[at] ^= 1_u8 << bit;
        if let Ok(decoded) = whole(Coding::Gzip, &coded) {
            prop_assert_eq!(decoded, text);
        }
    }

    #[test]
    fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..200), start in any::<bool>()) {
        let mut coded = if start { gzip(b"")[..10].to_vec() } else { Vec::new() };
        coded.extend(bytes);
        let _ = whole(Coding::Gzip, &coded);
        let _ = whole(Coding::Zlib, &coded);
    }
}

#[test]
fn a_body_cut_anywhere_ends_too_early() {
    for (coding, coded) in [(Coding::Gzip, gzip(b"high at noon")), (Coding::Zlib, zlib(b"high at noon"))] {
        for end in 1..coded.len() {
            assert_eq!(whole(coding, &coded[..end]), Err(DecodeError::CutShort), "{coding:?} {end}");
            let halves = [&coded[..end], &coded[end..]];
            assert_eq!(decode(coding, halves).as_deref(), Ok(&b"high at noon"[..]), "{coding:?} {end}");
        }
        assert_eq!(whole(coding, b""), Ok(Vec::new()), "there was nothing to encode");
    }
}

#[test]
fn every_field_of_a_header_is_passed_over() {
    let mut encoder = GzBuilder::new()
        .extra(vec![0, 1, 0, 2])
        .filename("tide.txt")
        .comment("high")
        .mtime(1_795_000_000)
        .write(Vec::new(), Compression::default());
    encoder.write_all(b"high at noon").unwrap();
    let mut coded = encoder.finish().unwrap();
    for pieces in [1, 7, coded.len()] {
        assert_eq!(decode(Coding::Gzip, coded.chunks(pieces)).as_deref(), Ok(&b"high at noon"[..]));
    }
    // The header's own checksum, which nobody writes, and an empty extra field.
    let plain = gzip(b"low");
    let mut checked = plain[..10].to_vec();
    checked[3] = 0b0000_0110;
    checked.extend([0, 0, 0xab, 0xcd]);
    checked.extend(&plain[10..]);
    assert_eq!(decode(Coding::Gzip, checked.chunks(1)).as_deref(), Ok(&b"low"[..]));

    coded[3] |= 0b0010_0000;
    assert_eq!(whole(Coding::Gzip, &coded), Err(DecodeError::Malformed), "a flag that means nothing yet");
}

#[test]
fn what_is_wrong_is_told_apart() {
    let coded = gzip(b"high at noon");
    let mut checksum = coded.clone();
    checksum[coded.len() - 8] ^= 1;
    let mut length = coded.clone();
    length[coded.len() - 1] ^= 1;
    for changed in [checksum, length] {
        assert_eq!(whole(Coding::Gzip, &changed), Err(DecodeError::Checksum));
    }
    let behind = |coded: &[u8]| [coded, b"x"].concat();
    for (coding, malformed) in [
        (Coding::Gzip, b"{\"id\":1}".to_vec()),
        (Coding::Zlib, b"{\"id\":1}".to_vec()),
        (Coding::Gzip, zlib(b"high at noon")),
        (Coding::Gzip, behind(&coded)),
        (Coding::Zlib, behind(&zlib(b"high at noon"))),
        // A block of a type that does not exist.
        (Coding::Gzip, [&coded[..10], &[0b111]].concat()),
    ] {
        assert_eq!(whole(coding, &malformed), Err(DecodeError::Malformed), "{malformed:?}");
    }
}

#[test]
fn a_flushed_event_is_there_before_the_next_one_is_pushed() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut decoder = Decoder::new(Coding::Gzip);
    // One that is as large as several outputs, too.
    for event in
        ["data: one\n\n".to_owned(), format!("data: {}\n\n", "tide ".repeat(40_000)), "data: two\n\n".into()]
    {
        encoder.write_all(event.as_bytes()).unwrap();
        encoder.flush().unwrap();
        decoder.push(std::mem::take(encoder.get_mut()).into());
        let mut came = Vec::new();
        while let Ok(Pulled::Bytes(bytes)) = decoder.pull() {
            came.extend_from_slice(&bytes);
        }
        assert_eq!(came, event.as_bytes());
    }
    assert_eq!(decoder.finish(), Err(DecodeError::CutShort));
}

#[test]
fn what_is_beyond_one_output_is_given_though_all_input_is_used_up() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&[b'x'; OUTPUT_BYTES_MAX + 1]).unwrap();
    encoder.flush().unwrap();
    let coded = encoder.get_ref();
    let mut decoder = Decoder::new(Coding::Gzip);
    // Without the marker of the flush, which would be left as input.
    decoder.push(Bytes::copy_from_slice(&coded[..coded.len() - 5]));
    assert_eq!(decoder.pull(), Ok(Pulled::Bytes(vec![b'x'; OUTPUT_BYTES_MAX].into())));
    assert_eq!(decoder.pull(), Ok(Pulled::Bytes("x".into())));
    assert_eq!(decoder.pull(), Ok(Pulled::Hungry));
}

#[test]
fn of_a_bomb_only_what_is_pulled_is_decoded() {
    let coded = gzip(&vec![0; 32 << 20]);
    assert!(coded.len() < 64 * 1024);
    let mut decoder = Decoder::new(Coding::Gzip);
    decoder.push(coded.into());
    for _ in 0..10 {
        assert_eq!(decoder.pull(), Ok(Pulled::Bytes(vec![0; OUTPUT_BYTES_MAX].into())));
    }
}

#[test]
fn a_coding_is_found_by_its_name_and_only_one_is_undone() {
    let of = |values: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        coding(&headers).map_err(|unsupported| unsupported.to_string())
    };
    for none in [&[][..], &["identity"], &[""], &["identity, Identity"]] {
        assert_eq!(of(none), Ok(None), "{none:?}");
    }
    for gzip in [&["gzip"][..], &["X-GZip"], &["identity, gzip"], &["identity", " GZIP "]] {
        assert_eq!(of(gzip), Ok(Some(Coding::Gzip)), "{gzip:?}");
    }
    assert_eq!(of(&["deflate"]), Ok(Some(Coding::Zlib)));
    let told = |name: &str| Err(format!("the answer is encoded as `{name}`, which was not asked for"));
    assert_eq!(of(&["br"]), told("br"));
    assert_eq!(of(&["gzip, zstd"]), told("zstd"));
    assert_eq!(of(&["gzip, gzip"]), told("gzip, gzip"));
    assert_eq!(of(&["gzip", "deflate"]), told("deflate"));
    assert_eq!(
        of(&["a-name-that-is-much-too-long-for-a-line-of-the-log"]),
        told("a-name-that-is-much-too-long-for")
    );
}
