//! A client that hides nothing: bytes out, the exact bytes of one reply in, pushes kept apart.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use super::PATIENCE;
use super::reply::{Reply, Scanner, decode, encode};

/// The most that is written in one go while nobody reads: less than any socket buffer holds.
const WRITE_ALONE: usize = 16 * 1024;

/// One connection.
pub struct RawClient {
    stream: TcpStream,
    buf: Vec<u8>,
    start: usize,
    scanner: Scanner,
    pushes: VecDeque<Vec<u8>>,
    writer: Option<JoinHandle<io::Result<()>>>,
}

impl RawClient {
    /// Connects; a reply that takes longer than `PATIENCE` is an error.
    pub fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(RawClient {
            stream,
            buf: Vec::new(),
            start: 0,
            scanner: Scanner::default(),
            pushes: VecDeque::new(),
            writer: None,
        })
    }

    /// Connects and speaks RESP3 from here on.
    pub fn connect_resp3(addr: SocketAddr) -> io::Result<Self> {
        let mut client = Self::connect(addr)?;
        let reply = client.call(&["HELLO", "3"])?;
        if reply.is_error() {
            return Err(io::Error::other(format!("HELLO 3 answered {reply:?}")));
        }
        Ok(client)
    }

    /// How long a reply may take.
    pub fn set_patience(&mut self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).unwrap();
    }

    /// Writes all of `bytes`. Much of it is written beside the reading that follows, as pipelining clients
    /// do: a server may stop reading from a client that does not read.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.finish_writing()?;
        if bytes.len() <= WRITE_ALONE {
            return self.stream.write_all(bytes);
        }
        let (mut stream, bytes) = (self.stream.try_clone()?, bytes.to_vec());
        self.writer = Some(std::thread::spawn(move || stream.write_all(&bytes)));
        Ok(())
    }

    fn finish_writing(&mut self) -> io::Result<()> {
        match self.writer.take() {
            Some(writer) => writer.join().expect("the writer does not panic"),
            None => Ok(()),
        }
    }

    /// The exact bytes of the next reply; pushes before it are put aside.
    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let frame = self.read_frame()?;
            if frame[0] == b'>' {
                self.pushes.push_back(frame);
            } else {
                return Ok(frame);
            }
        }
    }

    /// The exact bytes of the next frame, which may be a push.
    pub fn read_frame(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let ready = &self.buf[self.start..];
            if let Some(len) = self.scanner.end(ready).map_err(io::Error::other)? {
                let frame = ready[..len].to_vec();
                self.start += len;
                if self.start == self.buf.len() {
                    self.buf.clear();
                    self.start = 0;
                }
                return Ok(frame);
            }
            let mut chunk = [0; 64 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => self.buf.extend_from_slice(&chunk[..n]),
                // A signal for the test's process, from a child of another test for one.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next push: one put aside, or the next frame, which must then be one.
    pub fn read_push(&mut self) -> io::Result<Reply> {
        let frame = match self.pushes.pop_front() {
            Some(frame) => frame,
            None => self.read_frame()?,
        };
        if frame[0] != b'>' {
            return Err(io::Error::other(format!("{} instead of a push", frame.escape_ascii())));
        }
        parse(&frame)
    }

    /// Pushes that came before replies that were read.
    pub fn pushes(&mut self) -> Vec<Vec<u8>> {
        self.pushes.drain(..).collect()
    }

    /// One command and its reply.
    pub fn call(&mut self, args: &[impl AsRef<[u8]>]) -> io::Result<Reply> {
        parse(&self.call_raw(args)?)
    }

    /// One command and the exact bytes of its reply.
    pub fn call_raw(&mut self, args: &[impl AsRef<[u8]>]) -> io::Result<Vec<u8>> {
        self.send(&encode(args))?;
        self.read()
    }

    /// Bytes as they are, and as many replies as asked for.
    pub fn exchange(&mut self, bytes: &[u8], replies: usize) -> io::Result<Vec<Vec<u8>>> {
        self.send(bytes)?;
        (0..replies).map(|_| self.read()).collect()
    }

    /// All bytes until the peer closes.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = self.buf.split_off(self.start);
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    /// Says that nothing more will be sent; replies may still come.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        self.finish_writing()?;
        self.stream.shutdown(Shutdown::Write)
    }
}

fn parse(frame: &[u8]) -> io::Result<Reply> {
    match decode(frame).map_err(io::Error::other)? {
        Some((reply, _)) => Ok(reply),
        None => Err(io::Error::other("the scanner and the decoder disagree")),
    }
}
