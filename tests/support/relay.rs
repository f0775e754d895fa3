//! A way to PostgreSQL that swallows what it is given, as a firewall does that drops packets.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use secrecy::{ExposeSecret, SecretString};

/// Passes bytes on between TCP connections and a server's Unix socket, until it swallows them.
pub(crate) struct Relay {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// Whether the bytes of connections that are open are swallowed.
    swallows: AtomicBool,
    /// So many bytes of the server's are passed on before a new connection swallows.
    passes_on: AtomicUsize,
}

impl Relay {
    /// One that leads to the server of this URL, which names a directory.
    pub(crate) fn to(url: &SecretString) -> Self {
        let (_, rest) = url.expose_secret().split_once('@').unwrap();
        let (directory, _) = rest.split_once(':').unwrap();
        let socket = PathBuf::from(directory.replace("%2F", "/")).join(".s.PGSQL.5432");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(State {
                swallows: AtomicBool::new(false),
                passes_on: AtomicUsize::new(usize::MAX),
            }),
        };
        let state = Arc::clone(&relay.state);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Ok(server) = UnixStream::connect(&socket) else {
                    continue;
                };
                let (back, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (forth, forth_state) = (client, Arc::clone(&state));
                thread::spawn(move || pass(forth, to_server, &forth_state, usize::MAX));
                let (state, most) = (Arc::clone(&state), state.passes_on.load(Ordering::SeqCst));
                thread::spawn(move || pass(server, back, &state, most));
            }
        });
        relay
    }

    /// The URL of the same database by way of the relay.
    pub(crate) fn url(&self, url: &SecretString) -> SecretString {
        let (_, database) = url.expose_secret().rsplit_once('/').unwrap();
        format!("postgresql://epicme@{}/{database}", self.address).into()
    }

    /// From now on everything is swallowed, or nothing more.
    pub(crate) fn swallows(&self, yes: bool) {
        self.state.swallows.store(yes, Ordering::SeqCst);
    }

    /// From now on, of each new connection so many bytes of the server's are passed on, and the rest is swallowed.
    pub(crate) fn passes_on(&self, most: usize) {
        self.state.passes_on.store(most, Ordering::SeqCst);
    }
}

/// Passes bytes on until one end closes. The connection stays open when bytes are swallowed.
fn pass(mut from: impl Read, mut to: impl Write, state: &State, most: usize) {
    let mut buffer = [0; 4_096];
    let mut passed = 0_usize;
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        passed = passed.saturating_add(read);
        if state.swallows.load(Ordering::SeqCst) || passed > most {
            continue;
        }
        if to.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}
