//! The proxy under test, in this process: started on a free port, stopped when dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use nearcache::config::{Config, Sources};
use nearcache::net::Address;
use nearcache::server::Server;
use nearcache::session::Shared;
use tokio::sync::oneshot;

use super::client::RawClient;

/// A running proxy with a runtime of its own.
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy in front of `upstream`, with options as `--set` takes them.
    pub fn start(upstream: SocketAddr, options: &[(&str, &str)]) -> Self {
        let url = format!("redis://{upstream}");
        let mut all = vec![("upstream.url", url.as_str())];
        all.extend_from_slice(options);
        Self::with(&all)
    }

    /// A proxy with these options and no other but the port.
    pub fn with(options: &[(&str, &str)]) -> Self {
        let mut flags = vec![("server.listen".to_owned(), "127.0.0.1:0".to_owned())];
        flags.extend(options.iter().map(|(option, value)| (option.to_string(), value.to_string())));
        let config = Config::load(Sources { flags, ..Sources::default() }).expect("the test's own options");
        let (started, ready) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let server = Server::start(config).await.expect("a free port");
                let addr = server.addrs().iter().find_map(|bound| match &bound.address {
                    Address::Tcp { host, port } => format!("{host}:{port}").parse().ok(),
                    Address::Unix(_) => None,
                });
                started
                    .send((addr.expect("a TCP address"), Arc::clone(server.shared())))
                    .expect("the test waits");
                let _ = stopped.await;
                server.stop().await;
            });
        });
        let (addr, shared) = ready.recv().expect("the proxy starts");
        Proxy { addr, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// A new client.
    pub fn client(&self) -> RawClient {
        RawClient::connect(self.addr).unwrap()
    }

    /// What its sessions share: counters, clients, the lane.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
