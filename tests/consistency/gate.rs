//! A link that can be stopped between two frames, to force an order of events.
//!
//! Requests and replies of the lane (the connection that asks for tracking) pass one by one as they are let
//! through; all other connections pass freely.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use crate::support::reply::{Reply, decode};
use crate::support::until;

/// Towards Redis.
pub const UP: usize = 0;
/// Towards the proxy.
pub const DOWN: usize = 1;

/// What may pass in one direction.
#[derive(Clone, Default)]
enum Pass {
    #[default]
    All,
    Nothing,
    /// Everything up to the first frame with this text, and then nothing more.
    Through(String),
}

#[derive(Default)]
struct State {
    pass: [Pass; 2],
    connections: Vec<Connection>,
    closed: bool,
}

struct Connection {
    lane: bool,
    over: bool,
    /// Frames on their way, by direction.
    held: [VecDeque<(Vec<u8>, String)>; 2],
    ends: [TcpStream; 2],
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// A forwarder to one target. Everything ends when it is dropped.
pub struct Gate {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl Gate {
    /// Starts to forward to `target`.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let accepting = shared.clone();
        thread::spawn(move || accept(&listener, target, &accepting));
        Gate { addr, shared }
    }

    /// Where to connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Nothing more passes this way on the lane.
    pub fn hold(&self, way: usize) {
        self.set(way, Pass::Nothing);
    }

    /// Frames pass this way up to the first one with this text (words between spaces), and then no more.
    pub fn pass_through(&self, way: usize, text: &str) {
        self.set(way, Pass::Through(text.to_owned()));
    }

    /// Everything passes again.
    pub fn open(&self) {
        self.set(UP, Pass::All);
        self.set(DOWN, Pass::All);
    }

    fn set(&self, way: usize, pass: Pass) {
        self.lock().pass[way] = pass;
        self.shared.changed.notify_all();
    }

    /// Waits until a frame with this text waits to pass.
    pub fn await_held(&self, way: usize, text: &str) {
        until(&format!("{text:?} arrives at the gate"), || self.holds(way, text).then_some(()));
    }

    /// Whether a frame with this text waits to pass.
    pub fn holds(&self, way: usize, text: &str) -> bool {
        let state = self.lock();
        let mut lanes = state.connections.iter().filter(|connection| connection.lane && !connection.over);
        lanes.any(|lane| lane.held[way].iter().any(|(_, frame)| frame == text))
    }

    /// Closes the lane's connection; what waits to pass is lost.
    pub fn cut(&self) {
        for connection in &mut self.lock().connections {
            if connection.lane {
                connection.close();
            }
        }
        self.shared.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let mut state = self.lock();
        state.closed = true;
        state.connections.iter_mut().for_each(Connection::close);
        drop(state);
        self.shared.changed.notify_all();
        let _ = TcpStream::connect(self.addr); // wakes the acceptor, which sees `closed`
    }
}

impl Connection {
    fn close(&mut self) {
        self.over = true;
        for end in &self.ends {
            let _ = end.shutdown(Shutdown::Both); // it may be gone already
        }
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        let Ok(client) = client else { return };
        if shared.state.lock().unwrap().closed {
            return;
        }
        let Ok(server) = TcpStream::connect(target) else { continue };
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        let clone = |stream: &TcpStream| stream.try_clone().unwrap();
        let ways = [(UP, clone(&client), clone(&server)), (DOWN, clone(&server), clone(&client))];
        let connection =
            Connection { lane: false, over: false, held: Default::default(), ends: [client, server] };
        let mut state = shared.state.lock().unwrap();
        let number = state.connections.len();
        state.connections.push(connection);
        drop(state);
        for (way, from, to) in ways {
            let (reading, writing) = (shared.clone(), shared.clone());
            thread::spawn(move || take_in(from, number, way, &reading));
            thread::spawn(move || let_out(to, number, way, &writing));
        }
    }
}

/// Cuts what arrives into frames.
fn take_in(mut from: TcpStream, number: usize, way: usize, shared: &Shared) {
    let mut buf = Vec::new();
    let mut chunk = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut chunk) {
        buf.extend_from_slice(&chunk[..n]);
        let mut at = 0;
        while let Some((frame, len)) = decode(&buf[at..]).expect("both sides speak the protocol") {
            let text = words(&frame);
            let mut state = shared.state.lock().unwrap();
            let connection = &mut state.connections[number];
            connection.lane |= way == UP && text.starts_with("CLIENT TRACKING ON");
            connection.held[way].push_back((buf[at..at + len].to_vec(), text));
            drop(state);
            shared.changed.notify_all();
            at += len;
        }
        buf.drain(..at);
    }
    shared.state.lock().unwrap().connections[number].close();
    shared.changed.notify_all();
}

/// Writes what may pass.
fn let_out(mut to: TcpStream, number: usize, way: usize, shared: &Shared) {
    let mut state = shared.state.lock().unwrap();
    loop {
        let passes = !state.connections[number].lane || !matches!(state.pass[way], Pass::Nothing);
        let frame = if passes { state.connections[number].held[way].pop_front() } else { None };
        let Some((bytes, text)) = frame else {
            if state.connections[number].over {
                return;
            }
            state = shared.changed.wait(state).unwrap();
            continue;
        };
        let last = matches!(&state.pass[way], Pass::Through(last) if text == *last);
        if last && state.connections[number].lane {
            state.pass[way] = Pass::Nothing;
        }
        drop(state);
        let written = to.write_all(&bytes);
        state = shared.state.lock().unwrap();
        if written.is_err() {
            state.connections[number].close();
        }
    }
}

fn words(frame: &Reply) -> String {
    match frame {
        Reply::Many(_, Some(items)) => items.iter().map(words).collect::<Vec<_>>().join(" "),
        null if null.is_null() => "nil".into(),
        other => String::from_utf8_lossy(other.text().unwrap_or_default()).into_owned(),
    }
}
