//! Names of things, as distinct types: a model's name is never taken for a tenant's.

use std::fmt;
use std::sync::Arc;

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name as written, shared and not copied.
            pub fn shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }

            /// Where it is in memory: of no other name for as long as one of its clones lives.
            pub fn address(&self) -> usize {
                Arc::as_ptr(&self.0).addr()
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(Arc::from(name))
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                Self(Arc::from(name))
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name_type! {
    /// Who pays and who is limited.
    TenantId
}
name_type! {
    /// An endpoint with a dialect and keys.
    ProviderId
}
name_type! {
    /// A model at a provider, by its key in the policy (not by the provider's name for it).
    ModelId
}
name_type! {
    /// A name that callers may ask for.
    RouteId
}
name_type! {
    /// A named set of limits.
    PlanId
}
name_type! {
    /// The key of one limit in its tenant's or plan's map.
    LimitKey
}
name_type! {
    /// A person or job behind a call, as the caller's credential names it.
    UserId
}
name_type! {
    /// An application behind a call.
    AppId
}
name_type! {
    /// The name of a caller's key.
    KeyName
}

/// The id of one call: 128 random bits as 32 hex digits.
///
/// It is what `x-request-id` carries; a caller's own id is kept beside it in the access log.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// An id from 128 random bits.
    pub fn new(bits: u128) -> Self {
        Self(bits)
    }

    /// The bits themselves.
    pub fn bits(self) -> u128 {
        self.0
    }

    /// The 32 hex digits, without an allocation.
    pub fn hex(self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let bytes = self.0.to_be_bytes();
        std::array::from_fn(|i| {
            let byte = bytes[i / 2];
            DIGITS[usize::from(if i % 2 == 0 { byte >> 4 } else { byte & 15 })]
        })
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_prints_as_its_hex() {
        let id = RequestId::new(0x0123_4567_89ab_cdef_0011_2233_4455_66ff);
        assert_eq!(id.to_string().as_bytes(), id.hex());
        assert_eq!(id.to_string(), "0123456789abcdef00112233445566ff");
    }
}
