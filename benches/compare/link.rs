//! A network between Redis and whoever asks it: a forwarder that delivers everything a fixed time later.
//!
//! The one idea: the delay is the same for all, so what came first is due first, and one queue serves all
//! connections. One thread reads and stamps, one sleeps and delivers: a plain thread, since it sleeps to
//! within some 50 µs where the timers of an async runtime count milliseconds.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// The delay, each way.
pub const DELAY: Duration = Duration::from_micros(500);

/// Chunks under way: above this nothing more is read.
const UNDER_WAY: usize = 64 * 1024;

/// Bytes under way, whose they are, and when they arrive.
struct Chunk {
    due: Instant,
    to: Arc<TcpStream>,
    bytes: Vec<u8>,
}

/// Starts a forwarder to this port; the port where it listens. It lasts as long as the process.
pub fn start(to: u16) -> io::Result<u16> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let (send, receive) = sync_channel(UNDER_WAY);
    thread::spawn(move || deliver(receive));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || runtime.block_on(accept(listener, to, send)));
    Ok(port)
}

async fn accept(listener: std::net::TcpListener, to: u16, send: SyncSender<Chunk>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let server = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await?;
        let (client, server) = (client.into_std()?, server.into_std()?);
        for (from, to) in [(client.try_clone()?, server.try_clone()?), (server, client)] {
            to.set_nodelay(true)?;
            tokio::spawn(carry(tokio::net::TcpStream::from_std(from)?, Arc::new(to), send.clone()));
        }
    }
}

/// Reads one direction of one connection.
async fn carry(mut from: tokio::net::TcpStream, to: Arc<TcpStream>, send: SyncSender<Chunk>) {
    let mut buf = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buf).await {
        let chunk = Chunk { due: Instant::now() + DELAY, to: Arc::clone(&to), bytes: buf[..n].to_vec() };
        if send.send(chunk).is_err() {
            return;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both); // the peer may be gone already
}

fn deliver(receive: Receiver<Chunk>) {
    for Chunk { due, to, bytes } in receive {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let mut left = bytes.as_slice();
        while !left.is_empty() {
            match (&*to).write(left) {
                Ok(n) => left = &left[n..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(DELAY / 10),
                Err(_) => break, // closed; the reading side notices
            }
        }
    }
}
