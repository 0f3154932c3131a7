//! The W3C's `traceparent`: the text by which spans of several processes are one trace.
//!
//! A process that tells another one about work writes the text into the message, and so must know the number of its
//! own span before the span is sent anywhere. Numbers come as arguments; recording spans is left to `telemetry`.

use std::{fmt, str::FromStr};

/// A span of a trace, as it is named to others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Traceparent {
    trace: u128,
    span: u64,
    flags: u8,
}

/// Not what the W3C describes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no traceparent: expected 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, neither id all zero")]
pub struct TraceparentError;

impl Traceparent {
    /// The first span of a new trace, which is to be recorded.
    pub fn root(trace: u128, span: u64) -> Self {
        Self {
            trace: trace.max(1),
            span: span.max(1),
            flags: 1,
        }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn with_span(self, span: u64) -> Self {
        Self {
            span: span.max(1),
            ..self
        }
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl FromStr for Traceparent {
    type Err = TraceparentError;

    fn from_str(text: &str) -> Result<Self, TraceparentError> {
        let parts: Vec<&str> = text.split('-').collect();
        let digits = |part: &str| {
            part.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let [version, trace, span, flags] = parts[..] else {
            return Err(TraceparentError);
        };
        let lengths = [version, trace, span, flags].map(str::len);
        if lengths != [2, 32, 16, 2] || version == "ff" || !parts.iter().all(|part| digits(part)) {
            return Err(TraceparentError);
        }
        let found = Self {
            trace: u128::from_str_radix(trace, 16).map_err(|_| TraceparentError)?,
            span: u64::from_str_radix(span, 16).map_err(|_| TraceparentError)?,
            flags: u8::from_str_radix(flags, 16).map_err(|_| TraceparentError)?,
        };
        if found.trace == 0 || found.span == 0 {
            return Err(TraceparentError);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn another_span_stays_in_the_trace() {
        let named: Traceparent = TEXT.parse().unwrap();
        assert_eq!(named.to_string(), TEXT);
        assert_eq!(
            named.with_span(0xab).to_string(),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000ab-01"
        );
    }

    #[test]
    fn what_the_w3c_does_not_describe_is_none() {
        for text in [
            "",
            "rubbish",
            "00-4bf9-00f0-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert_eq!(text.parse::<Traceparent>(), Err(TraceparentError), "{text:?}");
        }
    }

    #[test]
    fn a_new_trace_has_no_number_that_is_zero() {
        let root = Traceparent::root(0, 0);
        assert_eq!(root.to_string().parse(), Ok(root));
    }
}
