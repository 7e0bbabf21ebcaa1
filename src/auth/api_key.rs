//! Callers' API keys: kept as SHA-256 digests, never as keys.
//!
//! A key carries 256 random bits, so a fast digest is enough: there is no dictionary to try.

use std::fmt;
use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

use crate::secret::{ExposeSecret, SecretString};

/// What every key starts with: scanners for leaked secrets find it, and people know whose key it is.
pub const PREFIX: &str = "egret_";

/// The SHA-256 of a caller's key.
///
/// Callers are found by looking their digest up. How long that takes tells of the digest only, and who could
/// choose a digest's leading bits at will could not go on from there to a key: SHA-256 is one-way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// A digest from its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest of a key as the caller sends it.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// A digest from 64 hex digits of either case; none where it is anything else.
    pub fn parse_hex(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (nibble(pair[0])? << 4) | nibble(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// The 64 hex digits in lower case, as a policy's `apiKeySha256` has them.
    pub fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            hex.push(char::from(HEX[usize::from(byte >> 4)]));
            hex.push(char::from(HEX[usize::from(byte & 15)]));
            hex
        })
    }
}

impl Hash for KeyDigest {
    /// Eight of its bytes are as good as all: they are random already.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl fmt::Debug for KeyDigest {
    /// Eight hex digits: enough to tell keys apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{:02x}{:02x}{:02x}{:02x}..", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// A new caller's key. `Debug` does not print it.
#[derive(Debug)]
pub struct CallerKey(SecretString);

/// The operating system gave no random bits; without them a key would be one that can be guessed.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bits for a key")]
pub struct NoRandomBits(#[source] getrandom::Error);

impl CallerKey {
    /// A key of 256 bits from the operating system: `egret_` and 43 letters and digits.
    ///
    /// # Errors
    /// Where the operating system's source of random bits fails.
    pub fn generate() -> Result<Self, NoRandomBits> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(NoRandomBits)?;
        Ok(Self::from_bits(bits))
    }

    fn from_bits(bits: [u8; 32]) -> Self {
        let mut key = String::with_capacity(PREFIX.len() + DIGITS);
        key.push_str(PREFIX);
        key.extend(base62(bits).map(char::from));
        Self(SecretString::from(key))
    }

    /// The key itself: to be shown once, to the person who asked for it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What the policy holds of it.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.expose())
    }
}

/// 43 digits of base 62 hold 256 bits: 62^43 is a little more than 2^256.
const DIGITS: usize = 43;

/// A number of 256 bits in base 62, most significant digit first, zeros in front.
///
/// Letters and digits only, unlike base64: a double click takes the whole key, and no shell minds it.
fn base62(mut number: [u8; 32]) -> [u8; DIGITS] {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = [0; DIGITS];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut number {
            let part = (remainder << 8) | u32::from(*byte);
            // A remainder is below 62, so the quotient of (62 * 256 - 1) / 62 fits a byte.
            *byte = (part / 62) as u8;
            remainder = part % 62;
        }
        *digit = ALPHABET[remainder as usize];
    }
    digits
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_digest_is_the_published_sha_256() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(KeyDigest::of("abc").hex(), abc);
        assert_eq!(KeyDigest::parse_hex(abc), Some(KeyDigest::of("abc")));
        assert_eq!(KeyDigest::parse_hex(&abc.to_uppercase()), Some(KeyDigest::of("abc")));
    }

    #[test]
    fn what_is_not_64_hex_digits_is_no_digest() {
        let abc = KeyDigest::of("abc").hex();
        for text in
            ["", "egret_abc", &abc[1..], &format!("{abc}0"), &abc.replace('b', "g"), &abc.replace('b', "+")]
        {
            assert_eq!(KeyDigest::parse_hex(text), None, "{text}");
        }
        assert_eq!(KeyDigest::parse_hex(&"ü".repeat(32)), None);
    }

    #[test]
    fn generated_keys_differ_and_have_one_form() {
        let keys: HashSet<String> =
            (0..100).map(|_| CallerKey::generate().unwrap().expose().to_owned()).collect();
        assert_eq!(keys.len(), 100);
        for key in keys {
            let digits = key.strip_prefix("egret_").unwrap();
            assert_eq!(digits.len(), 43);
            assert!(digits.bytes().all(|b| b.is_ascii_alphanumeric()));
        }
    }

    #[test]
    fn base_62_writes_the_smallest_and_the_largest_number() {
        assert_eq!(CallerKey::from_bits([0; 32]).expose(), format!("egret_{}", "0".repeat(43)));
        let mut sixty_three = [0; 32];
        sixty_three[31] = 63;
        assert_eq!(CallerKey::from_bits(sixty_three).expose(), format!("egret_{}11", "0".repeat(41)));
        assert!(base62([255; 32])[0] > b'0', "43 digits are needed and enough");
    }

    #[test]
    fn debug_prints_no_key_and_no_whole_digest() {
        let key = CallerKey::generate().unwrap();
        assert!(!format!("{key:?}").contains(key.expose()));
        assert!(!format!("{:?}", key.digest()).contains(&key.digest().hex()[..9]));
    }

    proptest! {
        #[test]
        fn hex_reads_back(bytes: [u8; 32]) {
            let digest = KeyDigest::from_bytes(bytes);
            prop_assert_eq!(KeyDigest::parse_hex(&digest.hex()), Some(digest));
        }

        #[test]
        fn no_two_numbers_share_their_digits(a: [u8; 32], flip in 0..256_usize) {
            let mut b = a;
            b[flip / 8] ^= 1 << (flip % 8);
            prop_assert_ne!(base62(a), base62(b));
            // Base 62 in ASCII order: digits compare as their numbers do.
            prop_assert_eq!(base62(a) < base62(b), a < b);
        }
    }
}
