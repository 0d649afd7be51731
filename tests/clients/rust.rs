//! The Rust client libraries `redis` and `fred` against the server under test.
//!
//! Tests run in parallel against one keyspace, so every test uses keys of its own and none flushes.

// A failed step of a test is a failed test; the message is the step's own error.
#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

#[path = "rust/with_fred.rs"]
mod with_fred;
#[path = "rust/with_redis.rs"]
mod with_redis;

/// The server under test, for as long as this lives.
struct Subject {
    url: String,
    server: Option<Child>,
    started: Instant,
}

/// Where the server under test listens: NEARCACHE_TEST_URL, or else a redis-server of the test's own.
fn subject_url() -> (String, Option<Child>) {
    if let Ok(url) = std::env::var("NEARCACHE_TEST_URL") {
        return (url.trim_end_matches('/').to_owned(), None);
    }
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
    let server = Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed");
    (format!("redis://127.0.0.1:{port}"), Some(server))
}

impl Subject {
    async fn start() -> Self {
        let (url, server) = subject_url();
        let subject = Self { url, server, started: Instant::now() };
        let client = redis::Client::open(subject.url.as_str()).unwrap();
        if subject.server.is_some() {
            until("the server listens", || async { client.get_multiplexed_async_connection().await.ok() })
                .await;
        }
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let pong: String = redis::cmd("PING").query_async(&mut connection).await.unwrap();
        assert_eq!(pong, "PONG");
        subject
    }

    fn url(&self, query: &str) -> String {
        format!("{}/{query}", self.url)
    }

    /// A key that no other test, and no other run against the same server, uses.
    fn key(&self, name: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("{name}:{}:{:?}:{number}", std::process::id(), self.started.elapsed().as_nanos())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // It may have ended by itself; then there is nothing to do.
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

/// Polls until the step gives something, at most 10 seconds.
async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut step: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(found) = step().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// The test fails, rather than hangs, when the server under test stops answering.
async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("an answer within 20 s")
}
