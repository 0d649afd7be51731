//! From what was written to what is meant: units are numbers already, here texts become addresses, empty
//! becomes none, and options are checked against each other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{ConfigError, Origin};
use super::layers::{Origins, namespace_option};
use super::raw::{Raw, RawCache, RawNamespace, RawServer, RawUpstream};
use super::url::UpstreamUrl;
use crate::net::{ClientTlsFiles, ListenAddr, ServerTlsFiles};
use crate::settings::{
    CacheSettings, LogSettings, MemorySettings, NamespaceSettings, Secret, ServerSettings, Settings,
    UpstreamSettings,
};

/// Less is no cache: a few entries with their overhead fill it.
const MIN_MEMORY: usize = 64 * 1024;
/// Below this, small requests would go by bulk connections.
const MIN_BULK: usize = 16 * 1024;
/// One read buffer each for a handful of clients.
const MIN_BUFFERS: usize = 1024 * 1024;
/// More often is load without use: a round trip alone may take as long.
const MIN_PING: Duration = Duration::from_millis(10);
/// Four PINGs go out in this time: see `MIN_PING`.
const MIN_STALENESS: Duration = Duration::from_millis(10);
/// The frequency sketch counts to 15.
const MAX_ADMIT_AFTER: u8 = 15;
/// Every read is compared with the patterns in turn, so there must be few.
const MAX_NAMESPACES: usize = 256;
/// Names are shown in statistics.
const MAX_NAME: usize = 64;
/// More than any machine has; a bound for typing errors.
const MAX_THREADS: usize = 1024;

/// Makes errors that say where the option in question was set.
struct Check<'o>(&'o Origins);

impl Check<'_> {
    fn invalid(&self, option: &str, reason: impl Into<String>) -> ConfigError {
        self.invalid_as(option, option, reason)
    }

    /// For an option whose place is kept under another name.
    fn invalid_as(&self, place: &str, option: &str, reason: impl Into<String>) -> ConfigError {
        let origin = self.0.get(place).cloned().unwrap_or(Origin::Default);
        ConfigError::Invalid { origin, option: option.into(), reason: reason.into() }
    }

    fn that(&self, holds: bool, option: &str, reason: &str) -> Result<(), ConfigError> {
        if holds { Ok(()) } else { Err(self.invalid(option, reason)) }
    }

    fn at_least(&self, value: usize, least: usize, option: &str) -> Result<(), ConfigError> {
        if value >= least { Ok(()) } else { Err(self.invalid(option, format!("must be at least {least}"))) }
    }

    fn some_time(&self, value: Duration, option: &str) -> Result<(), ConfigError> {
        self.that(!value.is_zero(), option, "must be more than 0")
    }
}

pub(super) fn resolve(raw: &Raw, origins: &Origins) -> Result<Settings, ConfigError> {
    let check = Check(origins);
    let settings = Settings {
        server: server(&raw.server, &check)?,
        upstream: upstream(&raw.upstream, &check)?,
        cache: cache(&raw.cache, &raw.namespace, &check)?,
        memory: MemorySettings { eviction: raw.memory.eviction },
        log: LogSettings { level: raw.log.level, format: raw.log.format },
    };
    if let Some(upstream) = &settings.upstream {
        let own = settings.server.listen.iter().any(|listen| listen.address == upstream.address);
        check.that(!own, "upstream.url", "is an address that this proxy itself listens on")?;
    }
    Ok(settings)
}

fn server(raw: &RawServer, check: &Check<'_>) -> Result<ServerSettings, ConfigError> {
    let listen = raw.listen.iter().map(|text| text.parse::<ListenAddr>()).collect::<Result<Vec<_>, _>>();
    let listen = listen.map_err(|error| check.invalid("server.listen", error.to_string()))?;
    check.that(!listen.is_empty(), "server.listen", "needs at least one address")?;
    check.at_least(raw.max_clients, 1, "server.max_clients")?;
    check.at_least(raw.max_in_flight, 1, "server.max_in_flight")?;
    check.at_least(raw.client_output_limit, MIN_BUFFERS, "server.client_output_limit")?;
    check.at_least(raw.client_buffers, MIN_BUFFERS, "server.client_buffers")?;
    check.that(raw.worker_threads <= MAX_THREADS, "server.worker_threads", "must be at most 1024")?;
    Ok(ServerSettings {
        tls: server_tls(raw, listen.iter().any(|addr| addr.tls), check)?,
        listen,
        unix_mode: raw.unix_mode,
        password: secret(&raw.password),
        max_clients: raw.max_clients,
        idle_timeout: unless_zero(raw.idle_timeout),
        tcp_keepalive: unless_zero(raw.tcp_keepalive),
        admin_commands: raw.admin_commands,
        shutdown_grace: raw.shutdown_grace,
        max_in_flight: raw.max_in_flight,
        client_output_limit: raw.client_output_limit,
        client_buffers: raw.client_buffers,
        worker_threads: match raw.worker_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        },
    })
}

fn server_tls(
    raw: &RawServer,
    wanted: bool,
    check: &Check<'_>,
) -> Result<Option<ServerTlsFiles>, ConfigError> {
    let tls = &raw.tls;
    let files = [
        ("server.tls.cert", &tls.cert),
        ("server.tls.key", &tls.key),
        ("server.tls.client_ca", &tls.client_ca),
    ];
    for (option, path) in files {
        let set = !path.as_os_str().is_empty();
        check.that(wanted || !set, option, "is set, but no address in server.listen begins with tls://")?;
        let needed = wanted && option != "server.tls.client_ca";
        check.that(set || !needed, option, "is needed for the tls:// address in server.listen")?;
    }
    Ok(wanted.then(|| ServerTlsFiles {
        cert: tls.cert.clone(),
        key: tls.key.clone(),
        client_ca: path(&tls.client_ca),
    }))
}

fn upstream(raw: &RawUpstream, check: &Check<'_>) -> Result<Option<UpstreamSettings>, ConfigError> {
    check.some_time(raw.connect_timeout, "upstream.connect_timeout")?;
    check.some_time(raw.reply_timeout, "upstream.reply_timeout")?;
    check.some_time(raw.reconnect_min, "upstream.reconnect_min")?;
    check.that(
        raw.reconnect_min <= raw.reconnect_max,
        "upstream.reconnect_max",
        "must not be less than upstream.reconnect_min",
    )?;
    check.at_least(raw.bulk_threshold, MIN_BULK, "upstream.bulk_threshold")?;
    check.that(raw.ping_every >= MIN_PING, "upstream.ping_every", "must be at least 10ms")?;
    check.at_least(raw.bulk_connections, 1, "upstream.bulk_connections")?;
    let passthrough_commands = passthrough(&raw.passthrough_commands, check)?;
    if raw.url.is_empty() {
        return Ok(None);
    }
    let url: UpstreamUrl = raw.url.parse().map_err(|reason: String| check.invalid("upstream.url", reason))?;
    let password = secret(&raw.password).or(url.password.map(Secret::new));
    let user = text(&raw.user).or(url.user);
    check.that(user.is_none() || password.is_some(), "upstream.password", "is needed for the user given")?;
    Ok(Some(UpstreamSettings {
        address: url.address,
        tls: upstream_tls(raw, url.tls, check)?,
        user,
        password,
        db: if raw.db == 0 { url.db.unwrap_or(0) } else { raw.db },
        connect_timeout: raw.connect_timeout,
        reply_timeout: raw.reply_timeout,
        ping_every: raw.ping_every,
        down_after: raw.down_after,
        reconnect_min: raw.reconnect_min,
        reconnect_max: raw.reconnect_max,
        tcp_keepalive: unless_zero(raw.tcp_keepalive),
        bulk_threshold: raw.bulk_threshold,
        passthrough_commands,
        blocking_connections: raw.blocking_connections,
        transaction_connections: raw.transaction_connections,
        bulk_connections: raw.bulk_connections,
    }))
}

fn upstream_tls(
    raw: &RawUpstream,
    wanted: bool,
    check: &Check<'_>,
) -> Result<Option<ClientTlsFiles>, ConfigError> {
    let tls = &raw.tls;
    let set = [
        ("upstream.tls.ca", !tls.ca.as_os_str().is_empty()),
        ("upstream.tls.cert", !tls.cert.as_os_str().is_empty()),
        ("upstream.tls.key", !tls.key.as_os_str().is_empty()),
        ("upstream.tls.server_name", !tls.server_name.is_empty()),
        ("upstream.tls.insecure_skip_verify", tls.insecure_skip_verify),
    ];
    for (option, set) in set {
        check.that(wanted || !set, option, "is set, but upstream.url does not begin with rediss://")?;
    }
    if !wanted {
        return Ok(None);
    }
    let identity = match (path(&tls.cert), path(&tls.key)) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) => return Err(check.invalid("upstream.tls.key", "is needed with upstream.tls.cert")),
        (None, Some(_)) => return Err(check.invalid("upstream.tls.cert", "is needed with upstream.tls.key")),
    };
    Ok(Some(ClientTlsFiles {
        ca: path(&tls.ca),
        identity,
        server_name: text(&tls.server_name),
        insecure_skip_verify: tls.insecure_skip_verify,
    }))
}

fn passthrough(names: &[String], check: &Check<'_>) -> Result<Vec<String>, ConfigError> {
    let option = "upstream.passthrough_commands";
    let plain = |name: &String| !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '|');
    match names.iter().find(|name| !plain(name)) {
        Some(name) => Err(check.invalid(option, format!("'{name}' is not the name of a command"))),
        None => Ok(names.iter().map(|name| name.to_ascii_lowercase()).collect()),
    }
}

fn cache(
    raw: &RawCache,
    namespaces: &[RawNamespace],
    check: &Check<'_>,
) -> Result<CacheSettings, ConfigError> {
    check.at_least(raw.max_memory, MIN_MEMORY, "cache.max_memory")?;
    check.at_least(raw.max_entry, 1, "cache.max_entry")?;
    check.some_time(raw.max_age, "cache.max_age")?;
    check.that(raw.max_staleness >= MIN_STALENESS, "cache.max_staleness", "must be at least 10ms")?;
    let admissible = (1..=MAX_ADMIT_AFTER).contains(&raw.admit_after);
    check.that(admissible, "cache.admit_after", "must be between 1 and 15")?;
    check.that((0.0..=1.0).contains(&raw.verify), "cache.verify", "must be between 0.0 and 1.0")?;
    Ok(CacheSettings {
        enabled: raw.enabled,
        mode: raw.mode,
        max_memory: raw.max_memory,
        max_entry: raw.max_entry,
        max_age: raw.max_age,
        negative_max_age: raw.negative_max_age,
        max_staleness: raw.max_staleness,
        admission: raw.admission,
        admit_after: raw.admit_after,
        verify: raw.verify,
        ttl_mode_max_age: raw.ttl_mode_max_age,
        hash_max_age: raw.hash_max_age,
        keep_warm: unless_zero(raw.keep_warm),
        namespaces: namespaces_of(namespaces, check)?,
    })
}

fn namespaces_of(raw: &[RawNamespace], check: &Check<'_>) -> Result<Vec<NamespaceSettings>, ConfigError> {
    check.that(raw.len() <= MAX_NAMESPACES, "namespace", "there may be 256 of them at most")?;
    let mut settings: Vec<NamespaceSettings> = Vec::with_capacity(raw.len());
    for (i, namespace) in raw.iter().enumerate() {
        let that = |holds: bool, name: &str, reason: &str| {
            // The place of the table itself where the option is missing from it.
            let place = [namespace_option(Some(i), name), namespace_option(Some(i), "")];
            let place = place.iter().find(|place| check.0.contains_key(*place)).map_or("", String::as_str);
            let error = || check.invalid_as(place, &namespace_option(None, name), reason);
            if holds { Ok(()) } else { Err(error()) }
        };
        let RawNamespace { name, pattern, .. } = namespace;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let named = (1..=MAX_NAME).contains(&name.len()) && name.chars().all(plain);
        that(named, "name", "must be 1 to 64 letters, digits, '_', '-' and '.'")?;
        let unique = settings.iter().all(|other| other.name != *name);
        that(unique, "name", &format!("'{name}' is the name of another namespace, too"))?;
        that(!pattern.is_empty(), "match", "must be a pattern of keys, such as \"session:*\"")?;
        that(namespace.max_age != Some(Duration::ZERO), "max_age", "must be more than 0")?;
        that(namespace.max_entry != Some(0), "max_entry", "must be at least 1")?;
        settings.push(NamespaceSettings {
            name: name.clone(),
            pattern: pattern.clone(),
            cache: namespace.cache,
            max_age: namespace.max_age,
            max_entry: namespace.max_entry,
            negative_max_age: namespace.negative_max_age,
        });
    }
    Ok(settings)
}

fn unless_zero(duration: Duration) -> Option<Duration> {
    (!duration.is_zero()).then_some(duration)
}

fn secret(text: &str) -> Option<Secret> {
    (!text.is_empty()).then(|| Secret::new(text))
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.into())
}

fn path(path: &Path) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then(|| path.into())
}
