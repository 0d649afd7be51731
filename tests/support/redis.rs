//! A real redis-server of its own for a test: the oracle, and the upstream.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::client::RawClient;
use super::until;

/// Two tests may be handed the same free port; then one of the two servers does not start.
const START_ATTEMPTS: usize = 10;

/// A running redis-server in a directory of its own. Killed when dropped.
pub struct RedisServer {
    child: Child,
    port: u16,
    dir: TempDir,
    args: Vec<String>,
}

impl RedisServer {
    /// Starts a server without persistence and with DEBUG, and waits until it answers. `args` are further
    /// command line arguments, such as `["--maxmemory", "10mb"]`.
    pub fn start(args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let dir = TempDir::new().unwrap();
        for _ in 0..START_ATTEMPTS {
            let port = free_port();
            if let Some(child) = spawn(port, dir.path(), &args) {
                return RedisServer { child, port, dir, args };
            }
        }
        panic!("no redis-server in {START_ATTEMPTS} attempts: is it installed?");
    }

    /// Asks for this password from now on.
    pub fn require_password(&self, password: &str) {
        let reply = self.client().call(&["CONFIG", "SET", "requirepass", password]).unwrap();
        assert!(!reply.is_error(), "{reply:?}");
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Where it listens, as a file.
    pub fn unix_socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    /// A new RESP2 connection.
    pub fn client(&self) -> RawClient {
        RawClient::connect(self.addr()).unwrap()
    }

    /// Stops the process where it stands: connections stay open and nothing answers.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Ends the process without warning (SIGKILL).
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts a killed server again on the same port, and waits until it answers.
    pub fn start_again(&mut self) {
        let (port, args) = (self.port, self.args.clone());
        let dir = self.dir.path().to_owned();
        self.child = until("redis-server is back on its port", || spawn(port, &dir, &args));
    }

    /// Kills it and starts it again, empty, on the same port.
    pub fn restart(&mut self) {
        self.kill();
        self.start_again();
    }

    /// Kills it and starts it again, empty, on the same port, with other arguments.
    pub fn restart_with(&mut self, args: &[&str]) {
        self.args = args.iter().map(|&arg| arg.to_owned()).collect();
        self.restart();
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(status.success(), "kill -s {name} {pid}");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill(); // fails only when a test has killed it already
        let _ = self.child.wait();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Starts the process; `None` when it ended instead of answering (its port was taken).
fn spawn(port: u16, dir: &Path, args: &[String]) -> Option<Child> {
    let mut child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--enable-debug-command", "yes", "--slowlog-log-slower-than", "-1"])
        .arg("--dir")
        .arg(dir)
        .arg("--unixsocket")
        .arg(dir.join("redis.sock"))
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("redis-server is installed");
    let pid = child.id();
    let answers = until("redis-server answers or ends", || match child.try_wait().unwrap() {
        Some(_) => Some(false),
        None => is_ours(port, pid).then_some(true),
    });
    answers.then_some(child)
}

/// True when the server on that port is the process that was started, and not another test's.
fn is_ours(port: u16, pid: u32) -> bool {
    let Ok(mut client) = RawClient::connect((Ipv4Addr::LOCALHOST, port).into()) else { return false };
    let Ok(info) = client.call(&["INFO", "server"]) else { return false };
    let line = format!("process_id:{pid}\r\n");
    info.text().is_some_and(|text| text.windows(line.len()).any(|part| part == line.as_bytes()))
}
