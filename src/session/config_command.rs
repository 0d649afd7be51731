//! CONFIG without an upstream: what tools look for, under Redis's names. Only `maxmemory` can be set; the
//! rest is in the configuration file.

use super::core::Core;
use super::dispatch::Flow;
use crate::command::Command;
use crate::resp::Args;
use crate::stats::Served;
use crate::store::glob_match;

const POLICIES: &[&str] = &[
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
];

/// What is always so.
const FIXED: &[(&str, &str)] = &[
    ("activerehashing", "yes"),
    ("appendfsync", "everysec"),
    ("appendonly", "no"),
    ("client-query-buffer-limit", "1073741824"),
    ("cluster-enabled", "no"),
    ("hash-max-listpack-entries", "512"),
    ("hash-max-listpack-value", "64"),
    ("hash-max-ziplist-entries", "512"),
    ("hash-max-ziplist-value", "64"),
    ("hll-sparse-max-bytes", "3000"),
    ("hz", "10"),
    ("latency-monitor-threshold", "0"),
    ("list-compress-depth", "0"),
    ("list-max-listpack-size", "-2"),
    ("list-max-ziplist-size", "-2"),
    ("maxmemory-samples", "5"),
    ("notify-keyspace-events", ""),
    ("proto-max-bulk-len", "536870912"),
    ("save", ""),
    ("set-max-intset-entries", "512"),
    ("slowlog-log-slower-than", "-1"),
    ("slowlog-max-len", "128"),
    ("zset-max-listpack-entries", "128"),
    ("zset-max-listpack-value", "64"),
    ("zset-max-ziplist-entries", "128"),
    ("zset-max-ziplist-value", "64"),
];

impl Core {
    /// Executes a subcommand of CONFIG.
    pub(super) fn config_command(&mut self, command: &Command, args: Args<'_>) -> Flow {
        match command.name {
            "config|get" => self.config_get(command.id, args),
            "config|set" => self.config_set(command, args),
            "config|rewrite" => self.error(command.id, b"ERR The server is running without a config file"),
            _ => self.error(command.id, b"ERR syntax error"),
        }
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let server = &self.settings.server;
        let seconds = |duration: Option<std::time::Duration>| duration.map_or(0, |d| d.as_secs()).to_string();
        let databases = self.shared.memory.as_ref().map_or(1, |engine| engine.config().databases);
        let port = self.shared.tcp_port.load(std::sync::atomic::Ordering::Relaxed);
        let mut all = vec![
            ("databases", databases.to_string()),
            ("maxclients", server.max_clients.to_string()),
            ("maxmemory", self.max_memory().to_string()),
            ("maxmemory-policy", self.eviction_policy().to_owned()),
            ("port", port.to_string()),
            ("tcp-keepalive", seconds(server.tcp_keepalive)),
            ("timeout", seconds(server.idle_timeout)),
        ];
        all.extend(FIXED.iter().map(|(name, value)| (*name, value.to_string())));
        all
    }

    fn config_get(&mut self, id: u16, args: Args<'_>) -> Flow {
        let patterns: Vec<Vec<u8>> = args.skip(2).iter().map(<[u8]>::to_ascii_lowercase).collect();
        let wanted = |name: &str| patterns.iter().any(|pattern| glob_match(pattern, name.as_bytes()));
        let found: Vec<_> = self.parameters().into_iter().filter(|(name, _)| wanted(name)).collect();
        self.answer(id, Served::Local, |writer| {
            writer.map(found.len());
            for (name, value) in &found {
                writer.bulk(name.as_bytes());
                writer.bulk(value.as_bytes());
            }
        });
        Flow::Next
    }

    /// All or nothing, as in Redis. Setting what is so already succeeds.
    fn config_set(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let id = command.id;
        if args.len() % 2 == 1 {
            return self.error(id, b"ERR syntax error");
        }
        let known = self.parameters();
        let mut limit = None;
        let mut seen = Vec::new();
        for i in (2..args.len()).step_by(2) {
            let name = args[i].to_ascii_lowercase();
            let value = String::from_utf8_lossy(&args[i + 1]).into_owned();
            let Some((name, now)) = known.iter().find(|(known, _)| known.as_bytes() == name) else {
                let given = String::from_utf8_lossy(&args[i]);
                let text = format!("ERR Unknown option or number of arguments for CONFIG SET - '{given}'");
                self.answer(id, Served::Local, |writer| writer.error(&text));
                return Flow::Next;
            };
            let problem = match *name {
                _ if seen.contains(name) => Some("duplicate parameter".to_owned()),
                "maxmemory" => {
                    limit = memory_size(&value);
                    limit.is_none().then(|| "argument must be a memory value".to_owned())
                }
                "maxmemory-policy" if !POLICIES.contains(&value.to_ascii_lowercase().as_str()) => {
                    Some(format!("argument(s) must be one of the following: {}", POLICIES.join(", ")))
                }
                _ if value.eq_ignore_ascii_case(now) => None,
                _ => Some("can't set immutable config".to_owned()),
            };
            if let Some(problem) = problem {
                let text =
                    format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {problem}");
                self.answer(id, Served::Local, |writer| writer.error(&text));
                return Flow::Next;
            }
            seen.push(name);
        }
        if let (Some(limit), Some(engine)) = (limit, &self.shared.memory) {
            engine.set_max_memory(limit);
        }
        self.error_free(command)
    }
}

/// `100mb`, as Redis reads sizes.
fn memory_size(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<usize>().ok()?.checked_mul(unit)
}
