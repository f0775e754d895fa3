//! Reads an event stream (HTML Living Standard, server-sent events) piece by piece.

use memchr::memchr2;

/// The data of events, out of a stream that comes in pieces of any size.
pub(crate) struct Events {
    /// What has come and is not yet a whole line.
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_return: bool,
    most: usize,
}

/// An event is larger than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl Events {
    /// `most` is how many bytes an event may have.
    pub(crate) fn up_to(most: usize) -> Self {
        Self {
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            after_return: false,
            most,
        }
    }

    /// Takes a piece of the stream, and gives the data of each event that ends in it. Comments, and events without data (which
    /// prime a client for resumption), are none.
    pub(crate) fn take(
        &mut self,
        mut piece: &[u8],
        mut event: impl FnMut(&[u8]),
    ) -> Result<(), TooLarge> {
        while !piece.is_empty() {
            if self.after_return {
                self.after_return = false;
                if let Some(rest) = piece.strip_prefix(b"\n") {
                    piece = rest;
                    continue;
                }
            }
            let Some(end) = memchr2(b'\n', b'\r', piece) else {
                self.grows_by(piece.len())?;
                self.line.extend_from_slice(piece);
                return Ok(());
            };
            self.after_return = piece[end] == b'\r';
            self.grows_by(end)?;
            self.line.extend_from_slice(&piece[..end]);
            piece = &piece[end + 1..];
            self.line_ends(&mut event);
        }
        Ok(())
    }

    fn grows_by(&self, bytes: usize) -> Result<(), TooLarge> {
        if self.line.len() + self.data.len() + bytes > self.most {
            return Err(TooLarge);
        }
        Ok(())
    }

    fn line_ends(&mut self, event: &mut impl FnMut(&[u8])) {
        if self.line.is_empty() {
            if self.has_data && !self.data.is_empty() {
                event(&self.data);
            }
            self.data.clear();
            self.has_data = false;
            return;
        }
        if let Some(data) = self.line.strip_prefix(b"data") {
            let value = match data {
                [] => Some(data),
                [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
                // Another field, whose name begins likewise.
                _ => None,
            };
            if let Some(value) = value {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut events = Events::up_to(1_000);
        let mut seen = Vec::new();
        for piece in pieces {
            events
                .take(piece, |data| {
                    seen.push(String::from_utf8(data.to_vec()).unwrap());
                })
                .unwrap();
        }
        seen
    }

    #[test]
    fn events_are_what_their_data_says() {
        let stream = b": hello\n\nid: 1\ndata:\n\nevent: message\ndata: {\"a\":1}\nid: 2\n\ndata:x\r\ndata: y\r\n\r\ndatabase: no\n\ndata: cut";
        assert_eq!(read(&[stream]), ["{\"a\":1}", "x\ny"]);
    }

    #[test]
    fn an_event_has_an_end() {
        let mut events = Events::up_to(10);
        assert_eq!(events.take(b"data: 12345678", |_| {}), Err(TooLarge));
        let mut events = Events::up_to(20);
        assert_eq!(events.take(b"data: 123456789\n", |_| {}), Ok(()));
        assert_eq!(events.take(b"data: 123456789\n", |_| {}), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_a_stream_is_cut(cuts in prop::collection::vec(0_usize..60, 0..6)) {
            let stream: &[u8] = b": c\r\n\r\ndata: one\r\ndata: two\r\n\r\ndata: three\n\n:\n\ndata: 4\r\r";
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.sort_unstable();
            cuts.push(stream.len());
            let mut begin = 0;
            let pieces: Vec<_> = cuts
                .into_iter()
                .map(|cut| &stream[std::mem::replace(&mut begin, cut)..cut])
                .collect();
            prop_assert_eq!(read(&pieces), ["one\ntwo", "three", "4"]);
        }
    }
}
