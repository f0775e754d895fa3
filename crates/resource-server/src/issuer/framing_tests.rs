use std::collections::VecDeque;

use futures_util::future::poll_fn;
use proptest::prelude::*;

use super::*;

/// A connection on which these pieces arrive, and then its end.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let pieces = &mut self.get_mut().0;
        if let Some(mut piece) = pieces.pop_front() {
            let rest = piece.split_off(piece.len().min(target.remaining()));
            target.put_slice(&piece);
            if !rest.is_empty() {
                pieces.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What a reader gets until the end, at most `step` bytes at a time, and the kind of the error, if there is one.
fn read(pieces: &[&[u8]], step: usize) -> (Vec<u8>, Option<io::ErrorKind>) {
    let pieces = pieces.iter().filter(|piece| !piece.is_empty());
    let mut replies = FramedReplies::new(Pieces(pieces.map(|piece| piece.to_vec()).collect()));
    let mut all = Vec::new();
    loop {
        let mut buffer = vec![0; step];
        let mut target = ReadBuf::new(&mut buffer);
        let read = poll_fn(|context| Pin::new(&mut replies).poll_read(context, &mut target));
        match futures_util::FutureExt::now_or_never(read).unwrap() {
            Ok(()) if target.filled().is_empty() => return (all, None),
            Ok(()) => all.extend_from_slice(target.filled()),
            Err(error) => return (all, Some(error.kind())),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_reply_without_a_length_is_marked_and_ends_with_the_connection() {
    for fields in [
        "",
        "transfer-encoding: identity\r\n",
        "connection: keep-alive\r\n",
    ] {
        let reply = format!("HTTP/1.1 200 OK\r\n{fields}\r\n{{}}");
        let (all, error) = read(&[reply.as_bytes()], 100);
        assert_eq!(text(&all), reply.replace("HTTP/1.1", "HTTP/1.0"));
        assert_eq!(error, None);
    }
}

#[test]
fn the_end_of_the_connection_is_too_early_for_a_reply_with_a_length() {
    for reply in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{}",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2\r\n{}\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
    ] {
        let (all, error) = read(&[reply.as_bytes()], 100);
        assert_eq!(text(&all), reply);
        assert_eq!(error, Some(io::ErrorKind::UnexpectedEof), "{reply}");
    }
}

#[test]
fn interim_replies_are_left_out() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let (all, _) = read(&[interim.as_bytes(), last.as_bytes()], 100);
    assert_eq!(text(&all), last);
}

#[test]
fn what_is_not_the_head_of_a_reply_is_told_from_a_connection_that_ends() {
    let long = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(LONGEST_HEAD));
    for (reply, kind) in [
        ("", io::ErrorKind::UnexpectedEof),
        ("HTTP/1.1 200 OK\r\nx", io::ErrorKind::UnexpectedEof),
        (
            "HTTP/1.1 100 Continue\r\n\r\n",
            io::ErrorKind::UnexpectedEof,
        ),
        ("{\"active\":true}\r\n\r\n", io::ErrorKind::InvalidData),
        (
            "HTTP/1.1 101 Switch\r\nupgrade: websocket\r\n\r\n",
            io::ErrorKind::InvalidData,
        ),
        (
            "HTTP/1.1 200 OK\r\nupgrade: WebSocket\r\ncontent-length: 2\r\n\r\n{}",
            io::ErrorKind::InvalidData,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            io::ErrorKind::InvalidData,
        ),
        (
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            io::ErrorKind::InvalidData,
        ),
        (
            "HTTP/1.1 204 No\r\ncontent-length: 2\r\n\r\n{}",
            io::ErrorKind::InvalidData,
        ),
        (&long, io::ErrorKind::InvalidData),
    ] {
        let (all, error) = read(&[reply.as_bytes()], 100);
        assert_eq!((all.len(), error), (0, Some(kind)), "{reply:.40}");
    }
}

#[test]
fn a_connection_with_more_than_one_reply_is_not_used_again() {
    let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n".to_vec();
    let whole = reply.len() - 17;
    let mut replies = FramedReplies::new(Pieces([reply].into()));
    let write = |replies: &mut FramedReplies<_>| {
        let write = poll_fn(|context| Pin::new(&mut *replies).poll_write(context, b"POST"));
        futures_util::FutureExt::now_or_never(write).unwrap()
    };
    assert!(write(&mut replies).is_ok());
    let mut buffer = vec![0; whole];
    let mut target = ReadBuf::new(&mut buffer);
    let read = poll_fn(|context| Pin::new(&mut replies).poll_read(context, &mut target));
    futures_util::FutureExt::now_or_never(read)
        .unwrap()
        .unwrap();
    assert_eq!(
        write(&mut replies).unwrap_err().kind(),
        io::ErrorKind::InvalidData
    );
}

proptest! {
    #[test]
    fn pieces_of_any_size_are_the_same_reply(cuts in prop::collection::vec(0usize..130, 0..8), step in 1usize..50) {
        let reply: &[u8] = b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nserver: a\r\n\r\n{\"active\":false}";
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(reply.len())).collect();
        cuts.extend([0, reply.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|ends| &reply[ends[0]..ends[1]]).collect();
        let (all, error) = read(&pieces, step);
        prop_assert_eq!(text(&all), "HTTP/1.0 200 OK\r\nserver: a\r\n\r\n{\"active\":false}");
        prop_assert_eq!(error, None);
    }

    #[test]
    fn any_bytes_are_passed_on_or_refused(bytes: Vec<u8>, is_reply: bool, step in 1usize..50) {
        let start: &[u8] = if is_reply { b"HTTP/1.1 200 OK\r\n" } else { b"" };
        let (all, _) = read(&[start, &bytes], step);
        prop_assert!(all.len() <= start.len() + bytes.len());
    }
}
