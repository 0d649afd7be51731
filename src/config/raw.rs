//! The options as they are written, with their defaults: one field each. Nothing outside `config` sees
//! these types; conf/nearcache.toml is their manual, and a test keeps the two equal.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::units::{choice, duration, mode, optional_duration, optional_size, size};
use crate::settings::{AdminCommands, Admission, CacheMode, Eviction, LogFormat, LogLevel};

const KB: usize = 1024;
const MB: usize = 1024 * KB;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Raw {
    pub server: RawServer,
    pub upstream: RawUpstream,
    pub cache: RawCache,
    pub namespace: Vec<RawNamespace>,
    pub memory: RawMemory,
    pub log: RawLog,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawServer {
    pub listen: Vec<String>,
    #[serde(with = "mode")]
    pub unix_mode: Option<u32>,
    pub password: String,
    pub max_clients: usize,
    #[serde(with = "duration")]
    pub idle_timeout: Duration,
    #[serde(with = "duration")]
    pub tcp_keepalive: Duration,
    #[serde(with = "choice")]
    pub admin_commands: AdminCommands,
    #[serde(with = "duration")]
    pub shutdown_grace: Duration,
    pub max_in_flight: usize,
    #[serde(with = "size")]
    pub client_output_limit: usize,
    #[serde(with = "size")]
    pub client_buffers: usize,
    pub worker_threads: usize,
    pub tls: RawServerTls,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawServerTls {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub client_ca: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUpstream {
    pub url: String,
    pub user: String,
    pub password: String,
    pub db: u32,
    #[serde(with = "duration")]
    pub connect_timeout: Duration,
    #[serde(with = "duration")]
    pub reply_timeout: Duration,
    #[serde(with = "duration")]
    pub ping_every: Duration,
    #[serde(with = "duration")]
    pub down_after: Duration,
    #[serde(with = "duration")]
    pub reconnect_min: Duration,
    #[serde(with = "duration")]
    pub reconnect_max: Duration,
    #[serde(with = "duration")]
    pub tcp_keepalive: Duration,
    #[serde(with = "size")]
    pub bulk_threshold: usize,
    pub passthrough_commands: Vec<String>,
    pub blocking_connections: usize,
    pub transaction_connections: usize,
    pub bulk_connections: usize,
    pub tls: RawUpstreamTls,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUpstreamTls {
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
    pub server_name: String,
    pub insecure_skip_verify: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCache {
    pub enabled: bool,
    #[serde(with = "choice")]
    pub mode: CacheMode,
    #[serde(with = "size")]
    pub max_memory: usize,
    #[serde(with = "size")]
    pub max_entry: usize,
    #[serde(with = "duration")]
    pub max_age: Duration,
    #[serde(with = "duration")]
    pub negative_max_age: Duration,
    #[serde(with = "duration")]
    pub max_staleness: Duration,
    #[serde(with = "choice")]
    pub admission: Admission,
    pub admit_after: u8,
    pub verify: f64,
    #[serde(with = "duration")]
    pub ttl_mode_max_age: Duration,
    #[serde(with = "duration")]
    pub hash_max_age: Duration,
    #[serde(with = "duration")]
    pub keep_warm: Duration,
}

/// One `[[namespace]]`. What is not written is as in `[cache]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawNamespace {
    pub name: String,
    #[serde(rename = "match")]
    pub pattern: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<bool>,
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Duration>,
    #[serde(with = "optional_size", skip_serializing_if = "Option::is_none")]
    pub max_entry: Option<usize>,
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    pub negative_max_age: Option<Duration>,
}

impl RawNamespace {
    /// One in which everything is written: it names all options there are.
    pub fn complete() -> Self {
        RawNamespace {
            name: String::new(),
            pattern: String::new(),
            cache: Some(true),
            max_age: Some(Duration::ZERO),
            max_entry: Some(0),
            negative_max_age: Some(Duration::ZERO),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawMemory {
    #[serde(with = "choice")]
    pub eviction: Eviction,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLog {
    #[serde(with = "choice")]
    pub level: LogLevel,
    #[serde(with = "choice")]
    pub format: LogFormat,
}

impl Default for RawServer {
    fn default() -> Self {
        RawServer {
            listen: vec!["127.0.0.1:6380".into()],
            unix_mode: None,
            password: String::new(),
            max_clients: 10_000,
            idle_timeout: Duration::ZERO,
            tcp_keepalive: Duration::from_secs(300),
            admin_commands: AdminCommands::Deny,
            shutdown_grace: Duration::from_secs(10),
            max_in_flight: 1024,
            client_output_limit: 256 * MB,
            client_buffers: 1024 * MB,
            worker_threads: 0,
            tls: RawServerTls::default(),
        }
    }
}

impl Default for RawUpstream {
    fn default() -> Self {
        RawUpstream {
            url: String::new(),
            user: String::new(),
            password: String::new(),
            db: 0,
            connect_timeout: Duration::from_secs(2),
            reply_timeout: Duration::from_secs(30),
            ping_every: Duration::from_millis(250),
            down_after: Duration::from_secs(1),
            reconnect_min: Duration::from_millis(50),
            reconnect_max: Duration::from_secs(5),
            tcp_keepalive: Duration::from_secs(15),
            bulk_threshold: MB,
            passthrough_commands: Vec::new(),
            blocking_connections: 1000,
            transaction_connections: 200,
            bulk_connections: 16,
            tls: RawUpstreamTls::default(),
        }
    }
}

impl Default for RawCache {
    fn default() -> Self {
        RawCache {
            enabled: true,
            mode: CacheMode::Serve,
            max_memory: 256 * MB,
            max_entry: MB,
            max_age: Duration::from_secs(300),
            // Redis announces that a key begins to exist as it announces any change.
            negative_max_age: Duration::from_secs(300),
            max_staleness: Duration::from_secs(1),
            admission: Admission::Frequency,
            admit_after: 2,
            verify: 0.0,
            ttl_mode_max_age: Duration::ZERO,
            hash_max_age: Duration::from_secs(1),
            // Redis's lfu-decay-time: an idle key loses a count a minute.
            keep_warm: Duration::from_secs(60),
        }
    }
}

impl Default for RawMemory {
    fn default() -> Self {
        RawMemory { eviction: Eviction::Lru }
    }
}

impl Default for RawLog {
    fn default() -> Self {
        RawLog { level: LogLevel::Info, format: LogFormat::Text }
    }
}
