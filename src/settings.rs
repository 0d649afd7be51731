//! What each module is told: plain data with every default filled in, checked and parsed already.
//!
//! `config` produces it, everybody else only reads it. A reload makes a new [`Settings`] and swaps it in
//! whole; who needs a consistent view (a batch of requests) takes one snapshot.

use std::fmt;
use std::time::Duration;

use crate::net::{Address, ClientTlsFiles, ConnectOptions, ListenAddr, ServerTlsFiles};

/// Everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// For the accept loop and the sessions.
    pub server: ServerSettings,
    /// For lanes and pinned connections; none: memory only.
    pub upstream: Option<UpstreamSettings>,
    /// For the near cache, and the room of the memory engine.
    pub cache: CacheSettings,
    /// For the memory engine.
    pub memory: MemorySettings,
    /// For the log.
    pub log: LogSettings,
}

/// `[server]`: towards the clients.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSettings {
    /// At least one address.
    pub listen: Vec<ListenAddr>,
    /// Mode of unix sockets; none: what the umask leaves.
    pub unix_mode: Option<u32>,
    /// Present if any address is `tls://`.
    pub tls: Option<ServerTlsFiles>,
    /// What clients must AUTH with; none: no AUTH asked.
    pub password: Option<Secret>,
    /// Connected clients at once.
    pub max_clients: usize,
    /// A client that is silent so long is disconnected; none: never.
    pub idle_timeout: Option<Duration>,
    /// TCP keepalive towards clients; none: off.
    pub tcp_keepalive: Option<Duration>,
    /// Whether SHUTDOWN, REPLICAOF, DEBUG and their like are forwarded.
    pub admin_commands: AdminCommands,
    /// How long a drain may take.
    pub shutdown_grace: Duration,
    /// Requests of one client that may await the upstream; at the limit it is not read from.
    pub max_in_flight: usize,
    /// Bytes of replies that one client may leave unread before it is disconnected.
    pub client_output_limit: usize,
    /// Bytes that the buffers of all clients may hold together.
    pub client_buffers: usize,
    /// Threads of the runtime, at least 1.
    pub worker_threads: usize,
}

/// What happens to the commands that administer the upstream itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminCommands {
    /// An error that names the option.
    Deny,
    /// Forwarded, all but SYNC, PSYNC and REPLCONF.
    Allow,
}

/// `[upstream]`: towards Redis.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamSettings {
    /// Where it is.
    pub address: Address,
    /// Present if it speaks TLS.
    pub tls: Option<ClientTlsFiles>,
    /// ACL user; none: the default user.
    pub user: Option<String>,
    /// Its password; none: no AUTH is sent.
    pub password: Option<Secret>,
    /// The database in which every client begins: its "db 0" is this one.
    pub db: u32,
    /// Bound of one attempt to connect, handshake included.
    pub connect_timeout: Duration,
    /// The longest silence of a lane that owes replies, before it is given up.
    pub reply_timeout: Duration,
    /// How often an idle lane is asked for a sign of life.
    pub ping_every: Duration,
    /// How long the upstream may be away before it counts as down.
    pub down_after: Duration,
    /// First pause between attempts to connect; doubled (and jittered) up to `reconnect_max`.
    pub reconnect_min: Duration,
    /// Longest pause between attempts to connect.
    pub reconnect_max: Duration,
    /// TCP keepalive towards the upstream; none: off.
    pub tcp_keepalive: Option<Duration>,
    /// Requests and replies above this many bytes go by a connection of their own.
    pub bulk_threshold: usize,
    /// Names (lower case) of commands unknown to us that may go on the lane all the same.
    pub passthrough_commands: Vec<String>,
    /// Connections held by blocking commands at once.
    pub blocking_connections: usize,
    /// Connections held by WATCH at once.
    pub transaction_connections: usize,
    /// Connections for what is above `bulk_threshold`.
    pub bulk_connections: usize,
}

/// `[cache]` and `[[namespace]]`: the near cache.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheSettings {
    /// Whether anything is cached.
    pub enabled: bool,
    /// Whether hits are served.
    pub mode: CacheMode,
    /// Bytes for everything that grows with data: the near cache, or the memory engine.
    pub max_memory: usize,
    /// Larger replies are not cached.
    pub max_entry: usize,
    /// No entry gets older, whatever Redis announces or not.
    pub max_age: Duration,
    /// The same for "there is no such key"; zero: not cached.
    pub negative_max_age: Duration,
    /// A hit is never older than this, not even behind a half-open connection.
    pub max_staleness: Duration,
    /// Who decides what is worth an entry.
    pub admission: Admission,
    /// With [`Admission::Frequency`]: accesses before a key is worth a tracked fetch, 1 to 15.
    pub admit_after: u8,
    /// Share (0.0 to 1.0) of hits that are compared with the upstream.
    pub verify: f64,
    /// How long entries live where the upstream cannot track; zero: nothing is cached there.
    pub ttl_mode_max_age: Duration,
    /// Cap for hashes whose fields may expire one by one.
    pub hash_max_age: Duration,
    /// How often hot keys are reported upstream (TOUCH) where it evicts by LRU or LFU; none: never.
    pub keep_warm: Option<Duration>,
    /// Exceptions by key, the first match wins.
    pub namespaces: Vec<NamespaceSettings>,
}

/// Whether hits are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMode {
    /// They are.
    Serve,
    /// They are counted, and the upstream answers.
    Observe,
}

/// Who decides what is worth an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// A frequency sketch: a full cache keeps what is asked for more often.
    Frequency,
    /// Everything fetched is kept, the least recently used goes.
    Always,
}

/// `[[namespace]]`: what holds for some keys instead of `[cache]`; none: the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceSettings {
    /// Unique; letters, digits, `_`, `-` and `.`.
    pub name: String,
    /// Glob over whole keys, as in Redis's KEYS.
    pub pattern: String,
    /// Whether these keys are cached.
    pub cache: Option<bool>,
    /// See [`CacheSettings::max_age`].
    pub max_age: Option<Duration>,
    /// See [`CacheSettings::max_entry`].
    pub max_entry: Option<usize>,
    /// See [`CacheSettings::negative_max_age`].
    pub negative_max_age: Option<Duration>,
}

/// `[memory]`: the memory engine.
#[derive(Clone, Debug, PartialEq)]
pub struct MemorySettings {
    /// What a full engine does.
    pub eviction: Eviction,
}

/// What a full engine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eviction {
    /// Drops the least recently used key.
    Lru,
    /// Answers writes with -OOM.
    NoEviction,
}

/// `[log]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// What is worth a line.
    pub level: LogLevel,
    /// What a line looks like.
    pub format: LogFormat,
}

/// What is worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// As log filters write it.
    pub fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// A password: it does not show itself in logs and `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a password.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The password itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

impl Settings {
    /// How often an idle lane is asked for a sign of life: `ping_every`, and at least four times in
    /// `max_staleness`, or the hits of a quiet lane would wait for a PING every time.
    pub fn heartbeat(&self) -> Option<Duration> {
        let upstream = self.upstream.as_ref()?;
        Some(match self.cache.enabled {
            true => upstream.ping_every.min(self.cache.max_staleness / 4),
            false => upstream.ping_every,
        })
    }
}

impl UpstreamSettings {
    /// How its connections are made. Bytes that stay unacknowledged as long as a reply may take mean
    /// that nobody is there any more.
    pub fn connect_options(&self) -> ConnectOptions {
        ConnectOptions {
            timeout: self.connect_timeout,
            keepalive: self.tcp_keepalive,
            user_timeout: Some(self.reply_timeout),
        }
    }
}
