//! Bytes as they are, for what no well-behaved client sends.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use super::TestApp;

/// A connection.
pub(crate) struct Wire(TcpStream);

impl TestApp {
    pub(crate) fn wire(&self) -> Wire {
        let stream = TcpStream::connect(self.address).unwrap();
        // So that a broken promise fails instead of hanging.
        let patience = Some(Duration::from_secs(20));
        stream.set_read_timeout(patience).unwrap();
        stream.set_write_timeout(patience).unwrap();
        Wire(stream)
    }

    /// What comes back when these bytes are sent. They should ask for `Connection: close`.
    pub(crate) fn exchange(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut wire = self.wire();
        wire.send(bytes);
        wire.read()
    }
}

impl Wire {
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    /// Everything up to the end of the connection.
    pub(crate) fn read(&mut self) -> String {
        let mut answer = Vec::new();
        let mut buffer = [0; 4_096];
        loop {
            match self.0.read(&mut buffer) {
                // A reset after the answer is an end like any other.
                Ok(0) => break,
                Ok(length) => answer.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("no end of the answer: {}", String::from_utf8_lossy(&answer))
                }
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The first bytes of the answer.
    pub(crate) fn read_some(&mut self) -> String {
        let mut buffer = [0; 4_096];
        let length = self.0.read(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Whether the other side ends the connection although more and more is sent: far more than
    /// any buffer on the way holds, for far longer than a connection lingers.
    pub(crate) fn ends_while_sending(&mut self, chunk: &str) -> bool {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(8) {
            if self.0.write_all(chunk.as_bytes()).is_err() {
                return true;
            }
        }
        false
    }

    /// Whether the other side ends the connection while a byte is sent now and then.
    pub(crate) fn ends_while_trickling(&mut self) -> bool {
        let began = Instant::now();
        self.0
            .set_read_timeout(Some(Duration::from_millis(10)))
            .unwrap();
        while began.elapsed() < Duration::from_secs(20) {
            // The answer to what was sent so far is the end.
            let has_answer = self.0.peek(&mut [0]).is_ok();
            if has_answer || self.0.write_all(b" ").is_err() {
                self.0
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                return true;
            }
        }
        false
    }

    pub(crate) fn cut(self) {
        self.0.shutdown(Shutdown::Both).unwrap();
    }
}

/// Header lines of a modern `tools/list`, but for `Host`, token and length.
pub(crate) fn header_lines(token: &str) -> String {
    format!(
        "authorization: Bearer {token}\r\n\
         content-type: application/json\r\n\
         accept: application/json, text/event-stream\r\n\
         connection: close\r\n"
    )
}
