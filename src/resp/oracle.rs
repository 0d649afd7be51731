//! The oracle of this module's tests: a real redis-server, spoken to over its unix socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Proto, ReplyScanner, Scan};

/// Long enough for a loaded machine; a reply that never comes fails the test rather than hangs it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A redis-server of this test's own; it ends with the value.
pub(super) struct Redis {
    child: Child,
    dir: tempfile::TempDir,
}

impl Redis {
    /// Starts one with these options, and waits until it says that it is ready.
    pub(super) fn start(options: &[&str]) -> Redis {
        let dir = tempfile::tempdir().expect("a directory for redis-server");
        let mut child = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", "redis.sock", "--save", ""])
            .args(options)
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests compare with redis-server, which must be installed");
        let log = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut lines = log.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("ready to accept connections")), "redis-server did not start");
        std::thread::spawn(move || lines.count()); // the pipe must not fill
        Redis { child, dir }
    }

    /// A new connection.
    pub(super) fn connect(&self, proto: Proto) -> Connection {
        let stream = UnixStream::connect(self.dir.path().join("redis.sock")).expect("redis-server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout above zero");
        let mut connection = Connection { stream, received: Vec::new() };
        if proto == Proto::Resp3 {
            assert!(connection.command("HELLO 3").starts_with(b"%"));
        }
        connection
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One client's connection.
pub(super) struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Connection {
    /// The reply to an inline command, pushes counted as replies.
    pub(super) fn command(&mut self, line: &str) -> Vec<u8> {
        self.send(line.as_bytes());
        self.send(b"\r\n");
        self.reply()
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes); // a client that is refused cannot send all; its replies tell
    }

    pub(super) fn reply(&mut self) -> Vec<u8> {
        let (mut scanner, mut scanned) = (ReplyScanner::frames(), 0);
        loop {
            match scanner.feed(&self.received[scanned..]).expect("Redis sends RESP") {
                Scan::Done(n) => {
                    let rest = self.received.split_off(scanned + n);
                    return std::mem::replace(&mut self.received, rest);
                }
                Scan::More(n) | Scan::Push(n) => scanned += n,
            }
            let mut chunk = [0; 65536];
            let n = self.stream.read(&mut chunk).expect("redis-server answers");
            assert!(n > 0, "redis-server hung up");
            self.received.extend_from_slice(&chunk[..n]);
        }
    }

    /// Everything that redis-server sends until it has read everything, or hangs up before.
    pub(super) fn until_closed(mut self) -> Vec<u8> {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let _ = self.stream.read_to_end(&mut self.received); // a reset comes after the last byte
        self.received
    }
}
