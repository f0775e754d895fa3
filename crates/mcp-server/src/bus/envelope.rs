//! How messages are written into one text, and read again: as JSON, and encrypted if the server has sealing keys, so
//! that nobody who can listen on the bus reads them, and nobody who can send on it makes them up.

use std::collections::HashMap;

use chrono::DateTime;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::message::Message;
use mcp_protocol::{
    random,
    request_state::{Binding, Sealer},
};

/// What a text begins with. It names the format and whether the text is encrypted.
const PLAIN: &str = "p1.";
const SEALED: &str = "s1.";

/// What encryption adds to a text, in bytes, before Base64: the version of sealed states, the id of the key, nonce,
/// end and tag, and a few in reserve.
const SEAL: usize = 64;

/// JSON around the messages, in bytes.
const FRAME: usize = 80;

/// The number of processes whose latest text is remembered. Processes that have ended are among them.
const MOST_SENDERS: usize = 1_024;

/// Writes and reads texts.
pub(crate) struct Envelopes {
    sealer: Option<Sealer>,
    binding: Binding,
    /// A random number that names this process.
    own: u64,
    /// The highest number of a text of each process.
    latest: Mutex<HashMap<u64, u64>>,
}

#[derive(Serialize, Deserialize)]
struct Text {
    /// The process that sends it.
    from: u64,
    /// The number of the text: each has a higher one than that before.
    number: u64,
    messages: Vec<Message>,
}

/// What a text is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// This process sent it, under this number.
    Own(u64),
    /// Another process sent these.
    Messages(Vec<Message>),
    /// It came before: a bus may repeat a text of which it does not know whether it was sent.
    Repeated,
    /// It is none of a process with the same keys.
    Unreadable,
}

impl Envelopes {
    /// Encrypted, if there are keys.
    ///
    /// # Panics
    /// If the operating system provides no random bytes.
    pub(crate) fn new(sealer: Option<Sealer>) -> Self {
        Self {
            sealer,
            // No state of a client can be passed off as a text, nor a text as a state.
            binding: Binding::new(&[], None, "bus", "", None),
            own: u64::from_be_bytes(random::bytes()),
            latest: Mutex::default(),
        }
    }

    /// How many bytes of messages fit into a text of `longest` bytes.
    pub(super) fn room(&self, longest: usize) -> usize {
        let written = longest.saturating_sub(PLAIN.len());
        let json = if self.sealer.is_some() {
            (written / 4 * 3).saturating_sub(SEAL)
        } else {
            written
        };
        json.saturating_sub(FRAME)
    }

    /// The text of these messages.
    pub(super) fn write(&self, number: u64, messages: Vec<Message>) -> String {
        let text = Text {
            from: self.own,
            number,
            messages,
        };
        let json = serde_json::to_string(&text).expect("messages can be written as JSON");
        match &self.sealer {
            None => format!("{PLAIN}{json}"),
            // It does not expire: the clocks of processes may differ, and its number says whether it is new.
            Some(sealer) => {
                let sealed = sealer.seal(&self.binding, &json, DateTime::UNIX_EPOCH);
                format!("{SEALED}{sealed}")
            }
        }
    }

    /// Reads a text.
    pub(super) fn open(&self, text: &str) -> Opened {
        let text = match &self.sealer {
            None => text.strip_prefix(PLAIN).map(str::to_owned),
            Some(sealer) => text.strip_prefix(SEALED).and_then(|sealed| {
                let opened = sealer.open(&self.binding, sealed, DateTime::UNIX_EPOCH);
                opened.ok().map(|opened| opened.payload)
            }),
        };
        let text = text.and_then(|json| serde_json::from_str::<Text>(&json).ok());
        let Some(text) = text else {
            return Opened::Unreadable;
        };
        if text.from == self.own {
            return Opened::Own(text.number);
        }
        let mut latest = self.latest.lock();
        if latest.len() >= MOST_SENDERS && !latest.contains_key(&text.from) {
            latest.clear();
        }
        let before = latest.insert(text.from, text.number);
        if before.is_some_and(|before| text.number <= before) {
            latest.insert(text.from, before.unwrap_or_default());
            return Opened::Repeated;
        }
        Opened::Messages(text.messages)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::features::change::Change;
    use resource_server::principal::UserId;

    fn sealed(key: u8) -> Envelopes {
        Envelopes::new(Some(Sealer::new(&[key; 32], None)))
    }

    fn messages() -> Vec<Message> {
        vec![
            Message::RevocationsChanged,
            Message::LookAgain(None),
            Message::Changes(
                UserId::derive("i", "s"),
                vec![
                    Change::ListChanged,
                    Change::updated("files://reports/\u{7}\"ä"),
                ],
            ),
        ]
    }

    #[test]
    fn a_text_is_read_by_the_processes_that_have_the_same_keys() {
        for (from, to, is_read) in [
            (Envelopes::new(None), Envelopes::new(None), true),
            (sealed(1), sealed(1), true),
            (
                sealed(1),
                Envelopes::new(Some(Sealer::new(&[2; 32], Some(&[1; 32])))),
                true,
            ),
            (sealed(1), sealed(2), false),
            (sealed(1), Envelopes::new(None), false),
            // Otherwise anybody who can send on the bus could forge a text.
            (Envelopes::new(None), sealed(1), false),
        ] {
            let opened = to.open(&from.write(1, messages()));
            let expected = if is_read {
                Opened::Messages(messages())
            } else {
                Opened::Unreadable
            };
            assert_eq!(opened, expected);
        }
    }

    #[test]
    fn a_process_knows_its_own_texts_and_those_that_came_before() {
        for key in [None, Some(1)] {
            let process = || key.map_or_else(|| Envelopes::new(None), sealed);
            let (here, there) = (process(), process());
            let texts = [1, 2, 3].map(|number| there.write(number, Vec::new()));
            assert_eq!(there.open(&texts[1]), Opened::Own(2));
            let new = Opened::Messages(Vec::new());
            assert_eq!(here.open(&texts[0]), new);
            assert_eq!(here.open(&texts[2]), new);
            assert_eq!(here.open(&texts[2]), Opened::Repeated);
            assert_eq!(here.open(&texts[1]), Opened::Repeated);
            assert_eq!(here.open(&process().write(1, Vec::new())), new);
        }
    }

    proptest! {
        #[test]
        fn no_text_is_longer_than_it_may_be(longest in 400usize..9_000, is_sealed: bool) {
            let envelopes = if is_sealed { sealed(1) } else { Envelopes::new(None) };
            let room = envelopes.room(longest);
            let name = "x".repeat(room - r#"{"l":""}"#.len() - 20);
            let message = Message::Session(super::super::message::SessionMessage { id: name, what: String::new() });
            let length = serde_json::to_string(&message).unwrap().len();
            prop_assert!(length <= room);
            let text = envelopes.write(u64::MAX, vec![message]);
            prop_assert!(text.len() <= longest, "{} of {longest}", text.len());
        }

        #[test]
        fn no_text_of_a_stranger_is_more_than_unreadable(text in "(p1\\.|s1\\.)?\\PC*", is_sealed: bool) {
            let envelopes = if is_sealed { sealed(1) } else { Envelopes::new(None) };
            prop_assert_eq!(envelopes.open(&text), Opened::Unreadable);
        }
    }
}
