//! W3C Trace Context: the trace that a request belongs to. Malformed fields are ignored (§3.2.2), so that a
//! fault of the tracing system does not fail requests.

use std::{fmt, sync::Arc};

use actix_web::http::header::{HeaderMap, HeaderName};
use derive_more::Display;

use crate::request_id::RequestId;

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The longest `traceparent` that is read; later versions may be longer than 55 characters.
const LONGEST_PARENT: usize = 128;

/// The longest `tracestate` that is propagated: the minimum that is required (§3.3.1.5).
const LONGEST_STATE: usize = 512;

/// The most list members of a `tracestate` (§3.3.1.1).
const MOST_MEMBERS: usize = 32;

/// The defined flags, which are the only ones to propagate: sampled, and random (Level 2 §3.2.2.5).
const KNOWN_FLAGS: u8 = 0b11;

/// `trace-id` (§3.2.2.3).
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
#[display("{_0:032x}")]
pub struct TraceId(u128);

/// `parent-id`: the id of a span (§3.2.2.4).
#[derive(Clone, Copy, Debug, Display, PartialEq, Eq)]
#[display("{_0:016x}")]
pub struct SpanId(u64);

/// `traceparent`: a trace and the calling span (§3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    span: SpanId,
    flags: u8,
}

/// `tracestate`, propagated unchanged (§3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceState(Arc<str>);

/// A request, and the trace that its client names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The id of the request, never chosen by a client.
    pub request_id: RequestId,
    /// The trace and the calling span.
    pub parent: Option<TraceParent>,
}

/// The context that is propagated to other servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The request and its trace.
    pub trace: Trace,
    /// `tracestate`; `None` without a trace.
    pub state: Option<TraceState>,
}

impl From<Trace> for TraceContext {
    fn from(trace: Trace) -> Self {
        Self { trace, state: None }
    }
}

impl Trace {
    /// A request with a new id, in the trace that its headers name.
    ///
    /// # Panics
    /// If the operating system gives no random bytes.
    #[must_use]
    pub fn begin(headers: &HeaderMap) -> Self {
        Self {
            request_id: RequestId::random(),
            parent: TraceParent::from_headers(headers),
        }
    }

    /// The id of the trace, if the request belongs to one.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        self.parent.map(|parent| parent.trace)
    }

    /// The id of the trace, or of a new one that contains only this request.
    #[must_use]
    pub fn trace_id_or_own(&self) -> TraceId {
        self.trace_id()
            .unwrap_or_else(|| TraceId(self.request_id.whole()))
    }

    /// The ids of the trace and of the span of the request, if the request belongs to a trace.
    #[must_use]
    pub fn names(&self) -> Option<(TraceId, SpanId)> {
        Some((self.trace_id()?, self.span_id()))
    }

    /// The id of the span of the request.
    #[must_use]
    pub fn span_id(&self) -> SpanId {
        SpanId(self.request_id.half())
    }
}

impl SpanId {
    /// A new random id.
    ///
    /// # Panics
    /// If the operating system gives no random bytes.
    #[must_use]
    pub fn random() -> Self {
        Self(RequestId::random().half())
    }
}

impl TraceParent {
    /// The `traceparent` of a request; several fields are invalid (§3.2).
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut fields = headers.get_all(&TRACEPARENT);
        match (fields.next(), fields.next()) {
            (Some(field), None) => Self::parse(field.to_str().ok()?),
            _ => None,
        }
    }

    /// Reads a `traceparent`; `None` if it is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if !(55..=LONGEST_PARENT).contains(&bytes.len())
            || [2, 35, 52].iter().any(|dash| bytes[*dash] != b'-')
        {
            return None;
        }
        match (hex(&bytes[..2])?, bytes.get(55)) {
            (0xff, _) | (0, Some(_)) => return None,
            // Later versions may add parts after a dash (§3.2.4).
            (_, None | Some(b'-')) => {}
            (_, Some(_)) => return None,
        }
        let trace = hex(&bytes[3..35])?;
        let span = u64::try_from(hex(&bytes[36..52])?).ok()?;
        let flags = u8::try_from(hex(&bytes[53..55])?).ok()?;
        (trace != 0 && span != 0).then_some(Self {
            trace: TraceId(trace),
            span: SpanId(span),
            flags: flags & KNOWN_FLAGS,
        })
    }

    /// The calling span.
    #[must_use]
    pub fn span_id(&self) -> SpanId {
        self.span
    }

    /// The flag `sampled`: whether the caller records the trace.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// The `traceparent` for a call by this span of the same trace.
    #[must_use]
    pub(crate) fn of_span(self, span: SpanId) -> Self {
        Self { span, ..self }
    }
}

/// The value of a `traceparent` field.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, flags } = self;
        write!(f, "00-{trace}-{span}-{flags:02x}")
    }
}

impl TraceState {
    /// Reads a `tracestate`; `None` if it is malformed or empty.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST_STATE {
            return None;
        }
        let mut keys: Vec<&str> = Vec::new();
        for member in text.split(',') {
            let member = member.trim_matches([' ', '\t']);
            if member.is_empty() {
                continue;
            }
            let (key, value) = member.split_once('=')?;
            if !is_key(key) || !is_value(value) || keys.contains(&key) {
                return None;
            }
            keys.push(key);
        }
        (1..=MOST_MEMBERS)
            .contains(&keys.len())
            .then(|| Self(text.trim_matches([' ', '\t']).into()))
    }

    /// The value as received.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lower-case hexadecimal digits, at most 32 of them (§3.2.2: upper case is invalid).
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// §3.3.1.3.1, as Level 2 has it: one that begins with a digit is a tenant's.
fn is_key(key: &str) -> bool {
    let begins =
        key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    begins
        && key.len() <= 256
        && key.matches('@').count() <= 1
        && key.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte)
        })
}

/// §3.3.1.3.2.
fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len())
        && !value.ends_with(' ')
        && value
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_parent_is_read_and_said_again() {
        let parent = TraceParent::parse(PARENT).unwrap();
        assert_eq!(parent.to_string(), PARENT);
        assert!(parent.is_sampled());
        let trace = Trace {
            request_id: RequestId::random(),
            parent: Some(parent),
        };
        let id = trace.trace_id().unwrap();
        assert_eq!(id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let child = parent.of_span(trace.span_id()).to_string();
        assert_eq!(&child[..36], &PARENT[..36]);
        assert!(trace.request_id.to_string().ends_with(&child[36..52]));
        assert_eq!(TraceParent::parse(&child).unwrap().to_string(), child);
    }

    #[test]
    fn what_is_against_the_grammar_is_no_parent() {
        for (from, to) in [
            ("00-", "ff-"),
            ("00-", "0-"),
            ("4bf9", "4BF9"),
            ("-01", "-0g"),
            ("-01", "-01-"),
            ("-01", "-01-x"),
            ("-01", "-1"),
            ("-01", ""),
            ("-00f0", "_00f0"),
            ("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            ("00f067aa0ba902b7", &"0".repeat(16)),
        ] {
            let wrong = PARENT.replacen(from, to, 1);
            assert_ne!(wrong, PARENT);
            assert_eq!(TraceParent::parse(&wrong), None, "{wrong}");
        }
        assert_eq!(TraceParent::parse(&format!(" {PARENT}")), None);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_this_one_goes() {
        let later = PARENT.replacen("00-", "cc-", 1);
        for more in ["", "-", "-what the future will be like"] {
            let parent = TraceParent::parse(&format!("{later}{more}"));
            assert_eq!(parent.unwrap().to_string(), PARENT);
        }
        assert_eq!(TraceParent::parse(&format!("{later}.x")), None);
        let long = "x".repeat(LONGEST_PARENT);
        assert_eq!(TraceParent::parse(&format!("{later}-{long}")), None);
    }

    #[test]
    fn undefined_flags_are_not_propagated() {
        let parent = PARENT.replacen("-01", "-fe", 1);
        let parent = TraceParent::parse(&parent).unwrap();
        assert!(!parent.is_sampled());
        assert!(parent.to_string().ends_with("-02"));
    }

    #[test]
    fn a_state_is_passed_on_as_it_is_or_not_at_all() {
        let long = "x".repeat(256);
        for good in [
            "rojo=00f067aa0ba902b7",
            "rojo=1,congo=2",
            "rojo=1 , ,congo=a b",
            "fw529a3039@dt=FfAAAA",
            "1=x",
            &format!("a={long}"),
        ] {
            assert_eq!(TraceState::parse(good).unwrap().as_str(), good);
        }
        let many: Vec<_> = (0..33).map(|n| format!("k{n}=1")).collect();
        for bad in [
            "",
            " ,",
            "rojo",
            "rojo=",
            "=1",
            "Rojo=1",
            "rojo=1,rojo=2",
            "rojo=1=2",
            "rojo=\u{e9}",
            "rojo=a\tb",
            "a@b@c=1",
            &format!("a={long}x"),
            &format!("a={long},b={long}"),
            &many.join(","),
        ] {
            assert_eq!(TraceState::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_read_as_anything_but_what_it_says(text in "\\PC{0,150}") {
            if let Some(parent) = TraceParent::parse(&text) {
                prop_assert_eq!(&parent.to_string()[3..53], &text[3..53]);
            }
            let _ = TraceState::parse(&text);
        }

        #[test]
        fn every_parent_that_is_said_is_read_again(
            trace in 1u128.., span in 1u64.., flags in 0u8..4,
        ) {
            let parent = TraceParent { trace: TraceId(trace), span: SpanId(span), flags };
            prop_assert_eq!(TraceParent::parse(&parent.to_string()), Some(parent));
        }

        #[test]
        fn one_wrong_character_makes_it_none(place in 0usize..55, wrong in "[^0-9a-f-]") {
            let mut text: Vec<char> = PARENT.chars().collect();
            text[place] = wrong.chars().next().unwrap();
            let text: String = text.into_iter().collect();
            prop_assert_eq!(TraceParent::parse(&text), None);
        }

        #[test]
        fn nothing_that_is_passed_on_ends_its_header(text in "[ -~\t\r\n,=a-z]{0,100}") {
            if let Some(state) = TraceState::parse(&text) {
                prop_assert!(state.as_str().bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')));
            }
        }
    }
}
