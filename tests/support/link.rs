//! A TCP link that can be made as bad as real ones: slow, in slivers, cut in mid-reply, or half-open.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use super::until;

/// What happens to bytes on their way; one of these per direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Wait so long before each piece is passed on.
    pub delay: Duration,
    /// The largest piece; 0 passes on what was read.
    pub slice: usize,
    /// Take bytes in and pass none on; the connection stays open.
    pub hold: bool,
    /// Reset the connection after so many more bytes.
    pub cut_after: Option<usize>,
}

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the one that connected.
    Up,
    /// From the one connected to.
    Down,
}

/// Sees each piece on its way and may change it.
pub type Tamper = Box<dyn FnMut(Direction, &mut Vec<u8>) + Send>;

struct State {
    up: Weather,
    down: Weather,
    refuse: bool,
    closed: bool,
    connections: Vec<(TcpStream, TcpStream)>,
    accepted: usize,
}

/// A forwarder to one target. Everything ends when it is dropped.
pub struct Link {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Link {
    /// Starts to forward to `target`.
    pub fn to(target: SocketAddr) -> Self {
        Self::tampering(target, || Box::new(|_, _| {}))
    }

    /// Starts to forward to `target`; `tamper` makes each connection's changer.
    pub fn tampering(target: SocketAddr, tamper: impl Fn() -> Tamper + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            up: Weather::default(),
            down: Weather::default(),
            refuse: false,
            closed: false,
            connections: Vec::new(),
            accepted: 0,
        }));
        let shared = state.clone();
        thread::spawn(move || accept(&listener, target, &shared, tamper));
        Link { addr, state }
    }

    /// Where to connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes what happens to bytes that go up and down, at once and for all connections.
    pub fn set(&self, up: Weather, down: Weather) {
        let mut state = self.lock();
        (state.up, state.down) = (up, down);
    }

    /// Passes nothing on in either direction, and tells nobody.
    pub fn half_open(&self) {
        let held = Weather { hold: true, ..Weather::default() };
        self.set(held, held);
    }

    /// Good weather again; bytes that were held are passed on.
    pub fn clear(&self) {
        self.set(Weather::default(), Weather::default());
    }

    /// Closes every connection there is.
    pub fn cut(&self) {
        let connections = std::mem::take(&mut self.lock().connections);
        for (client, server) in connections {
            close(&client, &server);
        }
    }

    /// New connections are closed at once, or accepted again.
    pub fn refuse(&self, refuse: bool) {
        self.lock().refuse = refuse;
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> usize {
        self.lock().accepted
    }

    /// Waits until so many connections have been accepted.
    pub fn await_accepted(&self, count: usize) {
        until("the link has been used", || (self.accepted() >= count).then_some(()));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.lock().closed = true;
        self.cut();
        let _ = TcpStream::connect(self.addr); // wakes the acceptor, which sees `closed`
    }
}

fn accept(
    listener: &TcpListener,
    target: SocketAddr,
    state: &Arc<Mutex<State>>,
    tamper: impl Fn() -> Tamper,
) {
    for client in listener.incoming() {
        let Ok(client) = client else { return };
        let mut locked = state.lock().unwrap();
        if locked.closed {
            return;
        }
        if locked.refuse {
            continue;
        }
        let Ok(server) = TcpStream::connect(target) else { continue };
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
        }
        locked.accepted += 1;
        let copies = [&client, &server, &client, &server].map(|s| s.try_clone().unwrap());
        let [a, b, c, d] = copies;
        locked.connections.push((client, server));
        drop(locked);
        let tamper = Arc::new(Mutex::new(tamper()));
        let (up, down) = ((state.clone(), tamper.clone()), (state.clone(), tamper));
        thread::spawn(move || pump(a, b, Direction::Up, &up.0, &up.1));
        thread::spawn(move || pump(d, c, Direction::Down, &down.0, &down.1));
    }
}

fn pump(
    mut from: TcpStream,
    mut to: TcpStream,
    direction: Direction,
    state: &Mutex<State>,
    tamper: &Mutex<Tamper>,
) {
    let mut chunk = [0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut chunk) {
        let mut bytes = chunk[..n].to_vec();
        (tamper.lock().unwrap())(direction, &mut bytes);
        if pass_on(&bytes, &mut to, direction, state).is_none() {
            close(&from, &to);
            return;
        }
    }
    let _ = to.shutdown(Shutdown::Write); // an end is passed on like bytes; the other way may still run
}

/// Writes bytes as the weather allows; `None` when the connection is over.
fn pass_on(mut bytes: &[u8], to: &mut TcpStream, direction: Direction, state: &Mutex<State>) -> Option<()> {
    while !bytes.is_empty() {
        let mut state = state.lock().unwrap();
        if state.closed {
            return None;
        }
        let weather = match direction {
            Direction::Up => &mut state.up,
            Direction::Down => &mut state.down,
        };
        if weather.hold {
            drop(state);
            thread::sleep(Duration::from_millis(1));
            continue;
        }
        let mut n = if weather.slice == 0 { bytes.len() } else { weather.slice.min(bytes.len()) };
        if let Some(left) = &mut weather.cut_after {
            n = n.min(*left);
            *left -= n;
            if n == 0 {
                return None;
            }
        }
        let delay = weather.delay;
        drop(state);
        thread::sleep(delay);
        to.write_all(&bytes[..n]).ok()?;
        bytes = &bytes[n..];
    }
    Some(())
}

fn close(one: &TcpStream, other: &TcpStream) {
    for stream in [one, other] {
        let _ = stream.shutdown(Shutdown::Both); // it may be gone already, which is what is wanted
    }
}
