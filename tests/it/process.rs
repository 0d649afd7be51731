//! The program as a process: its options, its signals, its end.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::client::RawClient;
use crate::support::redis::RedisServer;
use crate::support::reply::encode;
use crate::support::until;

const BINARY: &str = env!("CARGO_BIN_EXE_nearcache");

/// What to measure: the release build if there is one that is not older than the sources, else that of
/// the tests.
pub fn fastest() -> PathBuf {
    let built = |path: &Path| path.metadata().and_then(|data| data.modified()).ok();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut newest = built(&root.join("Cargo.lock"));
    let mut dirs = vec![root.join("src")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            newest = newest.max(built(&path));
            dirs.extend(path.is_dir().then_some(path));
        }
    }
    let release = Path::new(BINARY).ancestors().nth(2).unwrap().join("release/nearcache");
    if built(&release) > newest { release } else { BINARY.into() }
}

/// A running nearcache; killed when dropped.
pub struct Process {
    child: Child,
    addr: SocketAddr,
}

impl Process {
    /// Starts the build of the tests.
    pub fn start(limits: &str, args: &[&str]) -> Self {
        Self::start_binary(Path::new(BINARY), limits, args)
    }

    /// Starts a build through a shell that may hold `limits`, and waits until it says where it listens.
    pub fn start_binary(binary: &Path, limits: &str, args: &[&str]) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", &format!("{limits} exec \"$0\" \"$@\"")])
            .arg(binary)
            .args(["--listen", "127.0.0.1:0"])
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let addr = log.find_map(|line| {
            let addr = line.split_once("listening address=").and_then(|(_, addr)| addr.trim().parse().ok());
            said.push(line);
            addr
        });
        // What else it says is read and dropped, so that it never waits for a reader.
        std::thread::spawn(move || log.for_each(drop));
        Process { child, addr: addr.unwrap_or_else(|| panic!("it does not listen: {said:?}")) }
    }

    pub fn client(&self) -> RawClient {
        RawClient::connect(self.addr).unwrap()
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most that it ever was.
    pub fn peak(&self) -> usize {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // fails only when a test has ended it already
        let _ = self.child.wait();
    }
}

fn run(args: &[&str]) -> Output {
    Command::new(BINARY).args(args).output().unwrap()
}

fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_configuration_can_be_checked_and_mistakes_are_named() {
    let fine =
        run(&["--check", "--upstream", "redis://:secret@localhost:1", "--set", "cache.max_memory=64mb"]);
    assert!(fine.status.success(), "{}", shown(&fine.stderr));
    assert!(!shown(&fine.stdout).contains("secret"), "{}", shown(&fine.stdout));
    for (args, named) in [
        (&["--set", "cache.max_memroy=1mb"][..], "cache.max_memory"),
        (&["--set", "cache.max_memory=soon"], "soon"),
        (&["--upstream", "http://x"], "unknown scheme"),
        (&["--nosuch"], "--nosuch"),
        (&["--config", "/nosuch/file.toml"], "/nosuch/file.toml"),
        (&["--listen", "nonsense"], "nonsense"),
    ] {
        let wrong = run(&[&["--check"], args].concat());
        assert!(!wrong.status.success(), "{args:?}");
        assert!(shown(&wrong.stderr).contains(named), "{args:?}: {}", shown(&wrong.stderr));
    }
}

#[test]
fn a_port_in_use_ends_it_with_an_error() {
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let output = run(&["--listen", &taken.local_addr().unwrap().to_string()]);
    assert!(!output.status.success());
    assert!([output.stdout, output.stderr].iter().any(|text| shown(text).contains("cannot listen")));
}

#[test]
fn sigterm_finishes_what_is_in_flight() {
    let redis = RedisServer::start(&[]);
    let mut process = Process::start("", &["--upstream", &format!("redis://{}", redis.addr())]);
    let (mut client, mut idle) = (process.client(), process.client());
    until("the upstream is there", || {
        (client.call_raw(&["SET", "k", "v"]).unwrap() == b"+OK\r\n").then_some(())
    });
    idle.call(&["PING"]).unwrap();
    redis.pause();
    let mut request = encode(&["SET", "k", "w"]);
    request.extend(encode(&["GET", "k"]));
    client.send(&request).unwrap();
    until("they are taken in", || {
        let list = shown(idle.call(&["CLIENT", "LIST"]).unwrap().text().unwrap());
        list.lines().any(|line| line.contains("cmd=get ")).then_some(())
    });
    process.signal("TERM");
    until("nobody new is let in", || RawClient::connect(process.addr).err());
    redis.resume();
    assert_eq!(client.read().unwrap(), b"+OK\r\n");
    assert_eq!(client.read().unwrap(), b"$1\r\nw\r\n");
    assert_eq!(client.read_to_end().unwrap(), b"");
    assert_eq!(idle.read_to_end().unwrap(), b"");
    assert!(process.child.wait().unwrap().success());
}

#[test]
fn sigterm_ends_a_client_that_waits_for_ever() {
    let redis = RedisServer::start(&[]);
    let mut process = Process::start("", &["--upstream", &format!("redis://{}", redis.addr())]);
    let (mut blocked, mut stuck) = (process.client(), process.client());
    blocked.send(&encode(&["BLPOP", "l", "0"])).unwrap();
    stuck.send(b"*2\r\n$3\r\nGET\r\n$10\r\nhal").unwrap();
    until("it is blocked", || {
        let info = redis.client().call(&["INFO", "clients"]).unwrap();
        shown(info.text()?).contains("blocked_clients:1\r\n").then_some(())
    });
    process.signal("TERM");
    assert_eq!(blocked.read_to_end().unwrap(), b"");
    assert_eq!(stuck.read_to_end().unwrap(), b"");
    assert!(process.child.wait().unwrap().success());
}

/// What NEARCACHE CONFIG SET has changed holds until the file is read again.
#[test]
fn sighup_undoes_what_was_set_by_command() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("nearcache.toml");
    std::fs::write(&file, "[cache]\nmax_age = \"1m\"\n").unwrap();
    let process = Process::start("", &["--config", &file.display().to_string()]);
    let mut client = process.client();
    let mut max_age = || {
        let reply = client.call(&["NEARCACHE", "CONFIG", "GET", "cache.max_age"]).unwrap();
        shown(reply.items()[1].text().unwrap())
    };
    assert_eq!(max_age(), "1m");
    let set = process.client().call_raw(&["NEARCACHE", "CONFIG", "SET", "cache.max_age", "2m"]).unwrap();
    assert_eq!(set, b"+OK\r\n");
    assert_eq!(max_age(), "2m");
    process.signal("HUP");
    until("the file counts again", || (max_age() == "1m").then_some(()));
}

#[test]
fn sighup_takes_over_what_can_change() {
    let redis = RedisServer::start(&[]);
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("nearcache.toml");
    let write =
        |password: &str| std::fs::write(&file, format!("[server]\npassword = \"{password}\"\n")).unwrap();
    write("first");
    let config = file.display().to_string();
    let process =
        Process::start("", &["--config", &config, "--upstream", &format!("redis://{}", redis.addr())]);
    let mut old = process.client();
    assert_eq!(old.call_raw(&["AUTH", "first"]).unwrap(), b"+OK\r\n");
    write("second");
    process.signal("HUP");
    until("the new password is asked for", || {
        (process.client().call_raw(&["AUTH", "second"]).unwrap() == b"+OK\r\n").then_some(())
    });
    assert!(process.client().call_raw(&["AUTH", "first"]).unwrap().starts_with(b"-WRONGPASS"));
    // As in Redis, who is in stays in.
    assert_eq!(old.call_raw(&["PING"]).unwrap(), b"+PONG\r\n");
    // A file with a mistake changes nothing.
    std::fs::write(&file, "[server]\npasswrod = \"third\"\n").unwrap();
    process.signal("HUP");
    std::fs::write(&file, "[server]\npassword = \"fourth\"\n").unwrap();
    process.signal("HUP");
    until("the good file is read", || {
        (process.client().call_raw(&["AUTH", "fourth"]).unwrap() == b"+OK\r\n").then_some(())
    });
}
