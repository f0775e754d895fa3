//! What can be wrong with an answer.

use std::{borrow::Cow, time::Duration};

/// How much of what a server said is kept of an error.
const MOST_DETAIL: usize = 300;

/// The kind of an error. Each is counted apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// No connection.
    Connect,
    /// The connection ended before the answer did.
    Closed,
    Timeout,
    TooLarge,
    /// An HTTP status that is no success.
    Status(u16),
    /// No JSON-RPC response where there should be one.
    Malformed,
    /// The answer to another request.
    WrongId,
    /// An error of JSON-RPC with a status of success.
    Rpc(i64),
    /// A result that says `isError`.
    Tool,
    /// A stream that the server ended while the test went on.
    StreamEnded,
    /// A subscription that was not honoured, or a message that a subscriber should not get.
    BadStream,
    /// Data of another user.
    ForeignData,
    /// Not what was asked for, such as another entry, or one with another title.
    WrongData,
    /// Something that was written and is not there.
    Lost,
    /// Something that was written once and is there twice.
    Doubled,
    /// A change that a subscriber was not told of.
    MissingNotification,
    /// A notification without a change.
    ExtraNotification,
}

impl Kind {
    /// Its name in reports and in `--allow`.
    pub(crate) fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Connect => "connect",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::TooLarge => "too-large",
            Self::Status(status) => return Cow::Owned(status.to_string()),
            Self::Malformed => "malformed",
            Self::WrongId => "wrong-id",
            Self::Rpc(code) => return Cow::Owned(format!("rpc{code}")),
            Self::Tool => "tool-error",
            Self::StreamEnded => "stream-ended",
            Self::BadStream => "bad-stream",
            Self::ForeignData => "foreign-data",
            Self::WrongData => "wrong-data",
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::MissingNotification => "missing-notification",
            Self::ExtraNotification => "extra-notification",
        })
    }

    /// Whether it can be allowed: a server may be busy, but it may not be wrong.
    pub(crate) fn can_be_allowed(&self) -> bool {
        match self {
            Self::Connect
            | Self::Closed
            | Self::Timeout
            | Self::TooLarge
            | Self::Status(_)
            | Self::Rpc(_)
            | Self::Tool
            | Self::StreamEnded => true,
            Self::Malformed
            | Self::WrongId
            | Self::BadStream
            | Self::ForeignData
            | Self::WrongData
            | Self::Lost
            | Self::Doubled
            | Self::MissingNotification
            | Self::ExtraNotification => false,
        }
    }

    /// Whether the request may have been carried out all the same.
    pub(crate) fn leaves_open(&self) -> bool {
        match self {
            // A server that sheds load says so before it begins.
            Self::Status(status) => !matches!(status, 400..=499 | 503),
            Self::Connect | Self::Rpc(-32_602 | -32_601) => false,
            _ => true,
        }
    }

    /// The kind of that name, if it can be allowed.
    pub(crate) fn is_allowable(name: &str) -> bool {
        let plain = [
            Self::Connect,
            Self::Closed,
            Self::Timeout,
            Self::TooLarge,
            Self::Tool,
            Self::StreamEnded,
        ];
        let is_code = |text: &str| text.strip_prefix('-').is_some_and(is_number);
        plain.iter().any(|kind| kind.name() == name)
            || (name.len() == 3 && is_number(name))
            || name.strip_prefix("rpc").is_some_and(is_code)
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Something that went wrong once.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// For people; never a token.
    pub(crate) detail: String,
    /// When the server wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((cut, _)) = detail.char_indices().nth(MOST_DETAIL) {
            detail.truncate(cut);
            detail.push('…');
        }
        Self {
            kind,
            detail,
            retry_after: None,
        }
    }

    /// What the server sent, which may be anything, as a person can read it.
    pub(crate) fn said(kind: Kind, body: &[u8]) -> Self {
        let begin = &body[..body.len().min(MOST_DETAIL * 4)];
        let text = String::from_utf8_lossy(begin);
        Self::new(kind, text.replace(char::is_control, " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_may_be_is_busy_and_not_wrong() {
        for name in ["503", "429", "timeout", "closed", "rpc-32603", "tool-error"] {
            assert!(Kind::is_allowable(name), "{name}");
        }
        for name in [
            "lost",
            "doubled",
            "foreign-data",
            "wrong-id",
            "5xx",
            "rpc",
            "rpc32603",
            "",
            "50",
        ] {
            assert!(!Kind::is_allowable(name), "{name}");
        }
    }

    #[test]
    fn a_write_that_was_shed_was_not_done_and_one_that_was_cut_off_may_have_been() {
        assert!(!Kind::Status(503).leaves_open());
        assert!(!Kind::Status(429).leaves_open());
        assert!(Kind::Status(500).leaves_open());
        assert!(Kind::Timeout.leaves_open());
        assert!(Kind::Closed.leaves_open());
        assert!(!Kind::Connect.leaves_open());
    }

    #[test]
    fn a_detail_is_short_and_has_no_control_characters() {
        let failure = Failure::said(
            Kind::Malformed,
            &[b"\x1b[31m".to_vec(), vec![b'x'; 9_999]].concat(),
        );
        assert!(failure.detail.chars().count() <= MOST_DETAIL + 1);
        assert!(!failure.detail.contains('\x1b'));
    }
}
