//! Buffered log lines on standard error. A line that may wait is written together with later ones, because
//! one system call for each took a twentieth of the time of a request (docs/PERFORMANCE_LOG.md). A line that must
//! not wait is written at once, after those that are buffered.

use std::{
    io::{self, Write},
    mem,
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};

/// How long a line waits at most.
const WAIT: Duration = Duration::from_millis(50);

/// The size at which the buffer is written, in bytes.
const FULL: usize = 64 * 1_024;

/// Buffers lines. Clones share the buffer.
pub(crate) struct Lines<W>(Arc<Shared<W>>);

struct Shared<W> {
    /// Locked while lines are taken and written, which keeps their order.
    out: Mutex<Out<W>>,
    waiting: Mutex<Waiting>,
    some_wait: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Whether the thread has been woken for the buffered lines.
    is_noticed: bool,
}

struct Out<W> {
    to: W,
    /// A buffer that is reused.
    written: Vec<u8>,
}

impl<W> Clone for Lines<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W: Write + Send + 'static> Lines<W> {
    /// Starts the thread that writes buffered lines.
    ///
    /// # Panics
    /// If the operating system cannot start a thread.
    pub(crate) fn start(out: W) -> Self {
        let lines = Self(Arc::new(Shared {
            out: Mutex::new(Out {
                to: out,
                written: Vec::new(),
            }),
            waiting: Mutex::default(),
            some_wait: Condvar::new(),
        }));
        let writer = lines.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.write_now_and_then())
            .expect("the operating system gives threads");
        lines
    }

    /// Adds a line. If it must not wait, it is written at once, after the buffered ones.
    ///
    /// # Errors
    /// Errors of writing.
    pub(crate) fn put(&self, line: &[u8], may_wait: bool) -> io::Result<()> {
        let mut waiting = self.0.waiting.lock();
        waiting.lines.extend_from_slice(line);
        if !may_wait || waiting.lines.len() >= FULL {
            drop(waiting);
            return self.write_waiting();
        }
        if !mem::replace(&mut waiting.is_noticed, true) {
            drop(waiting);
            self.0.some_wait.notify_one();
        }
        Ok(())
    }

    /// Writes the buffered lines.
    pub(crate) fn write_waiting(&self) -> io::Result<()> {
        let mut out = self.0.out.lock();
        let Out { to, written } = &mut *out;
        written.clear();
        mem::swap(written, &mut self.0.waiting.lock().lines);
        to.write_all(written)
    }

    fn write_now_and_then(&self) {
        let Shared {
            waiting, some_wait, ..
        } = &*self.0;
        loop {
            let mut noticed = waiting.lock();
            some_wait.wait_while(&mut noticed, |waiting| !waiting.is_noticed);
            // Waits for further lines. It is not woken earlier, even if all were written meanwhile, because a
            // wake-up costs more than an empty write.
            some_wait.wait_while_for(&mut noticed, |waiting| waiting.is_noticed, WAIT);
            noticed.is_noticed = false;
            drop(noticed);
            // An error cannot be reported anywhere.
            let _ = self.write_waiting();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    struct Sent(Sender<String>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (Lines<Sent>, Receiver<String>) {
        let (sender, written) = channel();
        (Lines::start(Sent(sender)), written)
    }

    #[test]
    fn a_line_that_may_wait_is_written_all_the_same() {
        let (lines, written) = lines();
        for line in ["a\n", "b\n"] {
            lines.put(line.as_bytes(), true).unwrap();
            assert_eq!(written.recv().unwrap(), line);
        }
    }

    #[test]
    fn a_line_that_may_not_wait_is_written_at_once_and_in_its_place() {
        let (lines, written) = lines();
        let mut all = String::new();
        for number in 0..1_000 {
            let line = format!("{number}\n");
            lines.put(line.as_bytes(), true).unwrap();
            all.push_str(&line);
        }
        lines.put(b"audit\n", false).unwrap();
        all.push_str("audit\n");
        let pieces: Vec<String> = written.try_iter().collect();
        assert_eq!(pieces.concat(), all);
        // A machine that is slower than 50 ms a line would fail this.
        assert!(pieces.len() < 500, "{} pieces", pieces.len());
    }

    #[test]
    fn what_waits_takes_a_bounded_room() {
        let (lines, written) = lines();
        let line = format!("{}\n", "x".repeat(999));
        for _ in 0..1_000 {
            lines.put(line.as_bytes(), true).unwrap();
        }
        lines.write_waiting().unwrap();
        let pieces: Vec<usize> = written.try_iter().map(|piece| piece.len()).collect();
        assert_eq!(pieces.iter().sum::<usize>(), 1_000_000);
        assert!(
            pieces.iter().all(|piece| *piece < FULL + 1_000),
            "{pieces:?}"
        );
    }
}
