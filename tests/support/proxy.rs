//! The proxy under test, in this process: started on a free port, stopped when dropped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use nearcache::config::{Config, Sources};
use nearcache::near::Rules;
use nearcache::net::Address;
use nearcache::server::Server;
use nearcache::session::Shared;
use tokio::sync::oneshot;

use super::client::RawClient;
use super::until;

/// A running proxy with a runtime of its own.
pub struct Proxy {
    addr: SocketAddr,
    addrs: Vec<String>,
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
        Self::with_rules(options, Rules::ALL)
    }

    /// The same with some rules of coherence turned off.
    pub fn with_rules(options: &[(&str, &str)], rules: Rules) -> Self {
        Self::run(None, options, rules)
    }

    /// A proxy in front of `upstream` with a configuration file.
    pub fn configured(file: &Path, upstream: SocketAddr) -> Self {
        Self::run(Some(file.to_owned()), &[("upstream.url", &format!("redis://{upstream}"))], Rules::ALL)
    }

    fn run(file: Option<PathBuf>, options: &[(&str, &str)], rules: Rules) -> Self {
        let mut flags = vec![("server.listen".to_owned(), "127.0.0.1:0".to_owned())];
        flags.extend(options.iter().map(|(option, value)| (option.to_string(), value.to_string())));
        let sources = Sources { file, flags, ..Sources::default() };
        let config = Config::load(sources).expect("the test's own options");
        let (started, ready) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let server = Server::start_with(config, rules).await.expect("a free port");
                let addr = server.addrs().iter().find_map(|bound| match &bound.address {
                    Address::Tcp { host, port } => format!("{host}:{port}").parse().ok(),
                    Address::Unix(_) => None,
                });
                let addrs = server.addrs().iter().map(ToString::to_string).collect::<Vec<_>>();
                started
                    .send((addr.expect("a TCP address"), addrs, Arc::clone(server.shared())))
                    .expect("the test waits");
                let _ = stopped.await;
                server.stop().await;
            });
        });
        let (addr, addrs, shared) = ready.recv().expect("the proxy starts");
        Proxy { addr, addrs, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// A proxy in front of `upstream` that is connected to it.
    pub fn behind(upstream: SocketAddr, options: &[(&str, &str)]) -> Self {
        let proxy = Self::start(upstream, options);
        proxy.await_upstream("up");
        proxy
    }

    /// Waits until INFO says so of the upstream.
    pub fn await_upstream(&self, status: &str) {
        until("the upstream's status is as expected", || {
            (self.info("upstream_status").as_deref() == Some(status)).then_some(())
        });
    }

    /// One field of INFO.
    pub fn info(&self, field: &str) -> Option<String> {
        let info = self.client().call(&["INFO", "everything"]).unwrap();
        let text = String::from_utf8_lossy(info.text()?).into_owned();
        text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned))
    }

    /// Bytes written to the upstream's lane so far.
    pub fn lane_bytes(&self) -> u64 {
        self.shared.stats.lane.output_bytes.get()
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Everything it listens on, as configured.
    pub fn addrs(&self) -> &[String] {
        &self.addrs
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
