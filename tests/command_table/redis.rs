//! A redis-server to compare with, and its replies as values.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use nearcache::resp::{Cursor, Kind, frame_len};

/// A redis-server on a socket of its own, killed at the end.
pub struct Redis {
    process: Child,
    dir: tempfile::TempDir,
}

impl Redis {
    pub fn start() -> Redis {
        let dir = tempfile::tempdir().expect("a directory for the socket");
        let mut process = Command::new("redis-server")
            .args([
                "--port",
                "0",
                "--save",
                "",
                "--unixsocket",
                "redis.sock",
                "--dir",
                ".",
                "--daemonize",
                "no",
            ])
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is installed");
        let log = BufReader::new(process.stdout.take().expect("its output is piped"));
        let ready =
            log.lines().map_while(Result::ok).any(|line| line.contains("ready to accept connections"));
        assert!(ready, "redis-server ended before it was ready");
        Redis { process, dir }
    }

    pub fn connect(&self) -> Connection {
        let stream = UnixStream::connect(self.dir.path().join("redis.sock")).expect("redis-server listens");
        Connection { stream, buf: Vec::new() }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub struct Connection {
    stream: UnixStream,
    buf: Vec<u8>,
}

impl Connection {
    /// Sends a command, and gives the bytes of its reply.
    pub fn raw(&mut self, args: &[&[u8]]) -> Vec<u8> {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            request.extend_from_slice(arg);
            request.extend_from_slice(b"\r\n");
        }
        self.stream.write_all(&request).expect("redis-server reads");
        loop {
            if let Some(len) = frame_len(&self.buf).expect("a valid reply") {
                return self.buf.drain(..len).collect();
            }
            let mut chunk = [0; 65536];
            let n = self.stream.read(&mut chunk).expect("redis-server answers");
            assert!(n > 0, "redis-server hung up after {}", String::from_utf8_lossy(&request));
            self.buf.extend_from_slice(&chunk[..n]);
        }
    }

    pub fn call(&mut self, args: &[&[u8]]) -> Value {
        let reply = self.raw(args);
        Value::read(&mut Cursor::new(&reply))
    }

    /// Sends a command written in words.
    pub fn say(&mut self, line: &str) -> Value {
        self.call(&words(line))
    }
}

/// `""` is an empty argument.
pub fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(|word| if word == "\"\"" { b"".as_slice() } else { word.as_bytes() }).collect()
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Error(String),
    Int(i64),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    Null,
}

impl Value {
    pub fn read(cursor: &mut Cursor) -> Value {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match cursor.read().expect("a complete reply") {
            Kind::Simple(bytes) | Kind::Bulk(bytes) => Value::Text(text(bytes)),
            Kind::Error(bytes) => Value::Error(text(bytes)),
            Kind::Int(n) => Value::Int(n),
            Kind::Array(n) | Kind::Set(n) => Value::List((0..n).map(|_| Value::read(cursor)).collect()),
            Kind::Map(n) => {
                let pairs = (0..n).map(|_| (Value::read(cursor).text().to_owned(), Value::read(cursor)));
                Value::Map(pairs.collect())
            }
            kind if kind.is_null() => Value::Null,
            kind => panic!("no command here answers with {kind:?}"),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Value::Text(text) => text,
            other => panic!("a string was expected: {other:?}"),
        }
    }

    pub fn int(&self) -> i64 {
        match self {
            Value::Int(n) => *n,
            other => panic!("an integer was expected: {other:?}"),
        }
    }

    pub fn list(&self) -> &[Value] {
        match self {
            Value::List(list) => list,
            other => panic!("an array was expected: {other:?}"),
        }
    }

    pub fn texts(&self) -> Vec<&str> {
        self.list().iter().map(Value::text).collect()
    }

    pub fn at(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Map(map) => map.get(key),
            other => panic!("a map was expected: {other:?}"),
        }
    }
}
