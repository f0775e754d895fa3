//! The framing of replies (RFC 9112 §6.3), which the HTTP client reads less strictly: it takes the end of a
//! connection for the end of every body, and a reply without a length for one without a body.

use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_rt::net::{ActixStream, Ready};
use httparse::{ParserConfig, Response, Status};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest head of a reply, in bytes.
const LONGEST_HEAD: usize = 32 * 1024;

/// The most header fields that the HTTP client reads.
const MOST_FIELDS: usize = 96;

/// How much is read at once while a head is incomplete.
const STEP: usize = 4 * 1024;

/// The plain text of a connection to an authorization server, on which requests do not overlap. It
///
/// - reports the end of the connection before the end of a reply as an error;
/// - marks a reply without a length as HTTP/1.0, so that the HTTP client reads it up to the end of the
///   connection, and does not use the connection again;
/// - leaves out interim replies (RFC 9110 §15.2), which the HTTP client takes for final ones, so that the
///   final one would be the reply to the next request;
/// - refuses a reply that switches protocols, whose body the HTTP client would not read.
pub(super) struct FramedReplies<Io> {
    io: Io,
    state: State,
    /// The bytes of a head, and what was read with them.
    buffer: Vec<u8>,
    /// The part of the buffer that was passed on.
    passed_on: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The head of a reply is awaited.
    Head,
    /// The HTTP client knows where the body ends; the end of the connection comes too early.
    Delimited,
    /// The body ends with the connection.
    UntilClose,
}

/// What the head of a reply says of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Head {
    Incomplete,
    /// An interim reply of this length.
    Interim(usize),
    Final(State),
}

impl<Io> FramedReplies<Io> {
    pub(super) fn new(io: Io) -> Self {
        Self {
            io,
            state: State::Head,
            buffer: Vec::new(),
            passed_on: 0,
        }
    }

    /// Passes on what is in the buffer. Nothing of an incomplete head is.
    fn pass_on(&mut self, target: &mut ReadBuf<'_>) -> bool {
        let rest = &self.buffer[self.passed_on..];
        if self.state == State::Head || rest.is_empty() {
            return false;
        }
        let length = rest.len().min(target.remaining());
        target.put_slice(&rest[..length]);
        self.passed_on += length;
        if self.passed_on == self.buffer.len() {
            self.buffer = Vec::new();
            self.passed_on = 0;
        }
        true
    }

    /// Takes the heads in the buffer, up to that of the final reply.
    fn take_head(&mut self) -> io::Result<()> {
        loop {
            match read_head(&self.buffer)? {
                Head::Incomplete if self.buffer.len() >= LONGEST_HEAD => {
                    return Err(invalid("the head of the reply is too long"));
                }
                Head::Incomplete => return Ok(()),
                Head::Interim(length) => drop(self.buffer.drain(..length)),
                Head::Final(state) => {
                    if state == State::UntilClose {
                        // "HTTP/1.1" becomes "HTTP/1.0".
                        self.buffer[7] = b'0';
                    }
                    self.state = state;
                    return Ok(());
                }
            }
        }
    }

    /// A request begins: its reply is awaited. Fails if the reply before it is not read to its end.
    fn begin(&mut self) -> io::Result<()> {
        if self.state == State::Head {
            return Ok(());
        }
        if !self.buffer.is_empty() {
            return Err(invalid("more was sent than one reply"));
        }
        self.state = State::Head;
        Ok(())
    }
}

/// Reads the status line and the header fields.
fn read_head(bytes: &[u8]) -> io::Result<Head> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut head = Response::new(&mut fields);
    let mut parser = ParserConfig::default();
    // As the HTTP client does.
    parser.allow_spaces_after_header_name_in_responses(true);
    let length = match parser.parse_response(&mut head, bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(Head::Incomplete),
        Err(fault) => {
            return Err(invalid(format!(
                "the head of the reply is invalid: {fault}"
            )));
        }
    };
    let is = |name: &'static str| {
        let fields = head.headers.iter();
        fields.filter(move |field| field.name.eq_ignore_ascii_case(name))
    };
    let mut is_chunked = false;
    for coding in is("transfer-encoding") {
        let coding = coding.value.trim_ascii();
        if coding.eq_ignore_ascii_case(b"chunked") && head.version == Some(1) {
            is_chunked = true;
        } else if !coding.eq_ignore_ascii_case(b"identity") {
            return Err(invalid("a transfer coding that is not supported"));
        }
    }
    let has_length = is("content-length").next().is_some();
    match head.code.unwrap_or_default() {
        101 => Err(invalid("the reply switches protocols")),
        100..200 => Ok(Head::Interim(length)),
        // Without a body, whatever its fields say (RFC 9112 §6.3 rule 1).
        204 | 304 if is_chunked || has_length => Err(invalid("a body where none may be")),
        204 | 304 => Ok(Head::Final(State::Delimited)),
        _ if is("upgrade")
            .any(|field| field.value.trim_ascii().eq_ignore_ascii_case(b"websocket")) =>
        {
            Err(invalid("the reply switches protocols"))
        }
        _ if has_length || is_chunked => Ok(Head::Final(State::Delimited)),
        _ => Ok(Head::Final(State::UntilClose)),
    }
}

/// The server sent something that is not a reply.
fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

fn closed(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, why)
}

impl<Io: AsyncRead + Unpin> AsyncRead for FramedReplies<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while !this.pass_on(target) {
            if this.state == State::Head {
                let mut step = [0; STEP];
                let mut read = ReadBuf::new(&mut step);
                ready!(Pin::new(&mut this.io).poll_read(context, &mut read))?;
                if read.filled().is_empty() {
                    return Poll::Ready(Err(closed("the connection ended before a reply")));
                }
                this.buffer.extend_from_slice(read.filled());
                this.take_head()?;
                continue;
            }
            let before = target.filled().len();
            ready!(Pin::new(&mut this.io).poll_read(context, target))?;
            let is_at_end = target.filled().len() == before && target.remaining() > 0;
            if is_at_end && this.state == State::Delimited {
                return Poll::Ready(Err(closed("the reply ended before its end")));
            }
            break;
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for FramedReplies<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.begin()?;
        Pin::new(&mut this.io).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

impl<Io: ActixStream> ActixStream for FramedReplies<Io> {
    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.io.poll_read_ready(context)
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        self.io.poll_write_ready(context)
    }
}

impl<Io> fmt::Debug for FramedReplies<Io> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FramedReplies({:?})", self.state)
    }
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
