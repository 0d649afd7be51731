//! The configuration from the outside: layers, errors, reload, and what is shown of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nearcache::config::{Changes, Config, Origin, Sources};
use nearcache::settings::{
    AdminCommands, Admission, CacheMode, LogFormat, LogLevel, NamespaceSettings, Secret,
};
use tempfile::TempDir;

/// A file, variables and flags for one test.
struct Case {
    dir: TempDir,
    sources: Sources,
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

impl Case {
    fn new(file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]) -> Case {
        let case = Case {
            dir: tempfile::tempdir().expect("a directory"),
            sources: Sources { file: None, env: pairs(env), flags: pairs(flags) },
        };
        case.write(file);
        Case { sources: Sources { file: Some(case.path()), ..case.sources }, ..case }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("n.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).expect("the file is written");
    }

    fn load(&self) -> Config {
        Config::load(self.sources.clone()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The error's text, without the directory.
    fn error(&self) -> String {
        let error = Config::load(self.sources.clone()).expect_err("must be refused").to_string();
        error.replace(&format!("{}/", self.dir.path().display()), "")
    }
}

fn file_error(text: &str) -> String {
    Case::new(text, &[], &[]).error()
}

fn flag_error(option: &str, value: &str) -> String {
    let sources = Sources { flags: pairs(&[(option, value)]), ..Sources::default() };
    Config::load(sources).expect_err("must be refused").to_string()
}

#[test]
fn nothing_given_is_memory_only_on_the_loopback() {
    let settings = Config::load(Sources::default()).expect("defaults are valid").settings;
    assert_eq!(settings.server.listen.len(), 1);
    assert_eq!(settings.server.listen[0].to_string(), "127.0.0.1:6380");
    assert_eq!(settings.upstream, None);
    assert_eq!(settings.cache.max_memory, 256 << 20);
    assert_eq!(settings.server.idle_timeout, None);
    assert!(settings.server.worker_threads >= 1);
}

#[test]
fn the_documented_file_changes_nothing() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/nearcache.toml");
    let sources = Sources { file: Some(file.into()), ..Sources::default() };
    let documented = Config::load(sources).expect("valid");
    let defaults = Config::load(Sources::default()).expect("valid");
    assert_eq!(documented.settings, defaults.settings);
    assert_eq!(defaults.changes_to(&documented), Changes::default());
    assert!(documented.options().iter().all(|(_, _, origin)| matches!(origin, Origin::File(..))));
}

#[test]
fn each_layer_overrides_the_one_before() {
    let file = "[server]\nidle_timeout = '1m'\nmax_clients = 2\nmax_in_flight = 3\n";
    let env =
        [("NEARCACHE_SERVER__MAX_CLIENTS", "3"), ("NEARCACHE_SERVER__MAX_IN_FLIGHT", "4"), ("OTHER", "x")];
    let server = Case::new(file, &env, &[("server.max_in_flight", "5")]).load().settings.server;
    assert_eq!(server.idle_timeout, Some(Duration::from_secs(60)));
    assert_eq!(server.max_clients, 3);
    assert_eq!(server.max_in_flight, 5);
    assert_eq!(server.shutdown_grace, Duration::from_secs(10));
}

#[test]
fn texts_are_read_by_the_type_of_their_option() {
    let env = [
        ("NEARCACHE_LISTEN", "127.0.0.1:1, unix:/run/n.sock"),
        ("NEARCACHE_SERVER__UNIX_MODE", "770"),
        ("NEARCACHE_SERVER__PASSWORD", "12345"),
        ("NEARCACHE_SERVER__ADMIN_COMMANDS", "allow"),
        ("NEARCACHE_UPSTREAM", "rediss://h"),
        ("NEARCACHE_UPSTREAM__TLS__INSECURE_SKIP_VERIFY", "true"),
        ("NEARCACHE_UPSTREAM__PING_EVERY", "1s"),
        ("NEARCACHE_MAX_MEMORY", "1048576"),
        ("NEARCACHE_LOG__LEVEL", "DEBUG"),
    ];
    let settings = Case::new("", &env, &[]).load().settings;
    let listen: Vec<_> = settings.server.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:1", "unix:/run/n.sock"]);
    assert_eq!(settings.server.unix_mode, Some(0o770));
    assert_eq!(settings.server.password, Some(Secret::new("12345")));
    assert_eq!(settings.server.admin_commands, AdminCommands::Allow);
    let upstream = settings.upstream.expect("given");
    assert!(upstream.tls.expect("rediss").insecure_skip_verify);
    assert_eq!(upstream.ping_every, Duration::from_secs(1));
    assert_eq!(settings.cache.max_memory, 1 << 20);
    assert_eq!(settings.log.level, LogLevel::Debug);
}

#[test]
fn redis_url_is_the_upstream_if_nobody_names_one() {
    let upstream = |file: &str, env: &[(&str, &str)], flags: &[(&str, &str)]| {
        Case::new(file, env, flags).load().settings.upstream.map(|upstream| upstream.address.to_string())
    };
    let url = ("REDIS_URL", "redis://env:1");
    assert_eq!(upstream("", &[url], &[]).as_deref(), Some("env:1"));
    assert_eq!(upstream("[upstream]\nurl = ''", &[url], &[]).as_deref(), Some("env:1"));
    assert_eq!(upstream("[upstream]\nurl = 'redis://file'", &[url], &[]).as_deref(), Some("file:6379"));
    assert_eq!(upstream("", &[url, ("NEARCACHE_UPSTREAM", "redis://own")], &[]).as_deref(), Some("own:6379"));
    assert_eq!(upstream("", &[url], &[("upstream.url", "redis://flag")]).as_deref(), Some("flag:6379"));
    assert_eq!(upstream("", &[url], &[("upstream.url", "")]), None);
    assert_eq!(upstream("", &[("REDIS_URL", "")], &[]), None);
}

#[test]
fn login_and_database_come_from_the_url_or_the_options() {
    let upstream =
        |flags: &[(&str, &str)]| Case::new("", &[], flags).load().settings.upstream.expect("given");
    let from_url = upstream(&[("upstream.url", "rediss://u:p@h/2")]);
    assert_eq!(from_url.user.as_deref(), Some("u"));
    assert_eq!(from_url.password, Some(Secret::new("p")));
    assert_eq!(from_url.db, 2);
    assert!(from_url.tls.is_some());
    let options = [
        ("upstream.url", "redis://u:p@h/2"),
        ("upstream.user", "v"),
        ("upstream.password", "q"),
        ("upstream.db", "3"),
    ];
    let from_options = upstream(&options);
    assert_eq!(from_options.user.as_deref(), Some("v"));
    assert_eq!(from_options.password, Some(Secret::new("q")));
    assert_eq!(from_options.db, 3);
    assert!(from_options.tls.is_none());
}

#[test]
fn unknown_options_name_the_nearest() {
    assert_eq!(
        file_error("[server]\nmax_clients = 1\nidle_timeoutt = '1m'\n"),
        "n.toml:3: unknown option 'server.idle_timeoutt'; the nearest known one is 'server.idle_timeout'"
    );
    assert_eq!(
        file_error("\n[cahce]\nmax_memory = '1gb'\n"),
        "n.toml:3: unknown option 'cahce.max_memory'; the nearest known one is 'cache.max_memory'"
    );
    assert_eq!(
        file_error("max_memory = '1gb'\n"),
        "n.toml:1: unknown option 'max_memory'; the nearest known one is 'cache.max_memory'"
    );
    assert_eq!(
        file_error("[server.tls]\ncret = 'x'\n"),
        "n.toml:2: unknown option 'server.tls.cret'; the nearest known one is 'server.tls.cert'"
    );
    assert_eq!(
        Case::new("", &[("NEARCACHE_CACHE__MAXMEMORY", "1gb")], &[]).error(),
        "environment variable NEARCACHE_CACHE__MAXMEMORY: unknown option 'cache.maxmemory'; \
         the nearest known one is 'cache.max_memory'"
    );
    assert_eq!(
        flag_error("server.listn", "x"),
        "command line: unknown option 'server.listn'; the nearest known one is 'server.listen'"
    );
    // A section by itself: nothing in it could be in force.
    assert!(file_error("[failover]\n").contains("n.toml:1: unknown option 'failover'"));
    assert_eq!(
        file_error("[cache]\nmax_agee = '1m'\n"),
        "n.toml:2: unknown option 'cache.max_agee'; the nearest known one is 'cache.max_age'"
    );
    assert_eq!(
        file_error("[[namespace]]\nname = 'x'\n\n[[namespace]]\nmax_agee = '1m'\n"),
        "n.toml:5: unknown option 'namespace.max_agee'; the nearest known one is 'namespace.max_age'"
    );
    assert_eq!(
        file_error("[[namespaces]]\nname = 'x'\n"),
        "n.toml:1: unknown option 'namespaces'; the nearest known one is 'namespace'"
    );
}

#[test]
fn wrong_values_name_place_option_and_remedy() {
    let cases = [
        ("[server]\nidle_timeout = 300\n", "n.toml:2: server.idle_timeout: '300' lacks a unit; write 300s"),
        ("[cache]\nmax_memory = 'lots'\n", "n.toml:2: cache.max_memory: 'lots' is not a size"),
        ("[log]\nformat = 'xml'\n", "n.toml:2: log.format: 'xml' is none of text, json"),
        ("[server]\nmax_clients = -1\n", "n.toml:2: server.max_clients: "),
        ("[server]\nlisten = '127.0.0.1:1'\n", "n.toml:2: server.listen: "),
        ("[server]\nlisten = [1]\n", "n.toml:2: server.listen: "),
        ("[server]\n\nlisten = ['h']\n", "n.toml:3: server.listen: 'h' has no port"),
        ("[server]\nlisten = []\n", "n.toml:2: server.listen: needs at least one address"),
        ("cache = 5\n", "n.toml:1: cache: "),
        ("[cache]\nmax_memory = \n", "n.toml:2: "),
        ("[upstream]\ndb = 1\ndb = 1\n", "n.toml:3: "),
        ("[upstream]\nurl = 'http://h'\n", "n.toml:2: upstream.url: unknown scheme"),
        ("[cache]\nmode = 'on'\n", "n.toml:2: cache.mode: 'on' is none of serve, observe"),
        ("[cache]\nadmission = 'lru'\n", "n.toml:2: cache.admission: 'lru' is none of frequency, always"),
        ("[cache]\nverify = 1.5\n", "n.toml:2: cache.verify: must be between 0.0 and 1.0"),
        ("[cache]\nverify = nan\n", "n.toml:2: cache.verify: must be between 0.0 and 1.0"),
        ("[cache]\nadmit_after = 16\n", "n.toml:2: cache.admit_after: must be between 1 and 15"),
        ("[cache]\nadmit_after = 300\n", "n.toml:2: cache.admit_after: "),
        ("[cache]\nmax_age = '0s'\n", "n.toml:2: cache.max_age: must be more than 0"),
        ("[cache]\nmax_entry = 0\n", "n.toml:2: cache.max_entry: must be at least 1"),
        ("[cache]\nmax_staleness = '9ms'\n", "n.toml:2: cache.max_staleness: must be at least 10ms"),
        ("[upstream]\nreconnect_min = '9s'\n", "default: upstream.reconnect_max: must not be less"),
    ];
    for (text, expected) in cases {
        let error = file_error(text);
        assert!(error.starts_with(expected), "{text:?} gave {error:?}");
    }
    assert_eq!(
        flag_error("upstream.tls.insecure_skip_verify", "yes"),
        "command line: upstream.tls.insecure_skip_verify: 'yes' is neither true nor false"
    );
    assert_eq!(
        flag_error("server.max_clients", "x"),
        "command line: server.max_clients: 'x' is not a whole number"
    );
    assert_eq!(flag_error("cache", "x"), "command line: cache: is a section, not an option");
    assert_eq!(
        flag_error("upstream.reply_timeout", "0s"),
        "command line: upstream.reply_timeout: must be more than 0"
    );
    assert_eq!(
        flag_error("upstream.ping_every", "9ms"),
        "command line: upstream.ping_every: must be at least 10ms"
    );
    assert_eq!(
        flag_error("cache.max_memory", "1kb"),
        "command line: cache.max_memory: must be at least 65536"
    );
}

#[test]
fn the_cache_is_configured_by_every_layer() {
    let defaults = Config::load(Sources::default()).expect("valid").settings.cache;
    assert!(defaults.enabled);
    assert_eq!((defaults.mode, defaults.admission), (CacheMode::Serve, Admission::Frequency));
    assert_eq!(defaults.max_age, Duration::from_secs(300));
    assert_eq!(defaults.keep_warm, Some(Duration::from_secs(60)));
    assert_eq!(defaults.namespaces, []);

    let env = [
        ("NEARCACHE_CACHE__ENABLED", "false"),
        ("NEARCACHE_CACHE__MODE", "observe"),
        ("NEARCACHE_CACHE__MAX_AGE", "30s"),
        ("NEARCACHE_CACHE__MAX_ENTRY", "64kb"),
        ("NEARCACHE_CACHE__VERIFY", "0.25"),
        ("NEARCACHE_CACHE__KEEP_WARM", "0s"),
    ];
    let flags = [("cache.max_age", "1m"), ("cache.admission", "always"), ("cache.admit_after", "1")];
    let cache =
        Case::new("[cache]\nverify = 1\nttl_mode_max_age = '2s'\n", &env, &flags).load().settings.cache;
    assert!(!cache.enabled);
    assert_eq!((cache.mode, cache.admission, cache.admit_after), (CacheMode::Observe, Admission::Always, 1));
    assert_eq!((cache.max_age, cache.max_entry), (Duration::from_secs(60), 64 << 10));
    assert_eq!((cache.verify, cache.keep_warm), (0.25, None));
    assert_eq!(cache.ttl_mode_max_age, Duration::from_secs(2));
    assert_eq!(Case::new("[cache]\nverify = 1\n", &[], &[]).load().settings.cache.verify, 1.0);
    assert_eq!(flag_error("cache.verify", "x"), "command line: cache.verify: 'x' is not a number");
}

#[test]
fn an_idle_lane_is_asked_as_often_as_hits_need_it() {
    let heartbeat = |flags: &[(&str, &str)]| Case::new("", &[], flags).load().settings.heartbeat();
    let url = ("upstream.url", "redis://h");
    assert_eq!(heartbeat(&[]), None);
    assert_eq!(heartbeat(&[url]), Some(Duration::from_millis(250)));
    let short = ("cache.max_staleness", "100ms");
    assert_eq!(heartbeat(&[url, short]), Some(Duration::from_millis(25)));
    assert_eq!(heartbeat(&[url, short, ("cache.enabled", "false")]), Some(Duration::from_millis(250)));
    assert_eq!(heartbeat(&[url, ("upstream.ping_every", "10ms")]), Some(Duration::from_millis(10)));
}

const NAMESPACES: &str = "[[namespace]]\nname = 'sessions'\nmatch = 'session:*'\nmax_age = '30s'\nmax_entry = 10\n\
                          negative_max_age = '0s'\n\n[[namespace]]\nmatch = '*'\ncache = false\nname = 'rest'\n";

#[test]
fn namespaces_keep_their_order_and_what_they_leave_open() {
    let config = Case::new(NAMESPACES, &[], &[]).load();
    let sessions = NamespaceSettings {
        name: "sessions".into(),
        pattern: "session:*".into(),
        cache: None,
        max_age: Some(Duration::from_secs(30)),
        max_entry: Some(10),
        negative_max_age: Some(Duration::ZERO),
    };
    let rest = NamespaceSettings {
        name: "rest".into(),
        pattern: "*".into(),
        cache: Some(false),
        max_age: None,
        max_entry: None,
        negative_max_age: None,
    };
    assert_eq!(config.settings.cache.namespaces, [sessions, rest]);
    let shown = config.describe();
    assert!(shown.contains("[[namespace]]\n"), "{shown}");
    assert!(shown.contains("n.toml:10\n"), "{shown}");
    assert_eq!(Case::new(&shown, &[], &[]).load().settings.cache, config.settings.cache);
}

#[test]
fn wrong_namespaces_name_place_and_remedy() {
    let cases = [
        ("[[namespace]]\n", "n.toml:1: namespace.name: must be 1 to 64"),
        ("[[namespace]]\nname = ''\n", "n.toml:2: namespace.name: must be 1 to 64"),
        ("[[namespace]]\nname = 'a b'\nmatch = '*'\n", "n.toml:2: namespace.name: must be 1 to 64"),
        ("[[namespace]]\nname = 'a'\n", "n.toml:1: namespace.match: must be a pattern"),
        (
            "[[namespace]]\nname = 'a'\nmatch = '1'\n[[namespace]]\nmatch = '2'\nname = 'a'\n",
            "n.toml:6: namespace.name: 'a' is the name of another namespace",
        ),
        ("[[namespace]]\nname = 'a'\nmatch = '1'\nmax_age = '0s'\n", "n.toml:4: namespace.max_age: must be"),
        ("[[namespace]]\nname = 'a'\nmatch = '1'\nmax_age = 5\n", "n.toml:4: namespace.max_age: '5' lacks"),
        ("[[namespace]]\nname = 'a'\nmatch = '1'\nmax_entry = 0\n", "n.toml:4: namespace.max_entry: must be"),
        ("[[namespace]]\nname = 'a'\nmatch = '1'\ncache = 'no'\n", "n.toml:4: namespace.cache: "),
        ("[namespace]\nname = 'a'\n", "n.toml:1: namespace: "),
        ("namespace = [1]\n", "n.toml:1: namespace: "),
    ];
    for (text, expected) in cases {
        let error = file_error(text);
        assert!(error.starts_with(expected), "{text:?} gave {error:?}");
    }
    let many = |n: usize| -> String {
        (0..n).map(|i| format!("[[namespace]]\nname = 'n{i}'\nmatch = 'n{i}:*'\n")).collect()
    };
    assert_eq!(Case::new(&many(256), &[], &[]).load().settings.cache.namespaces.len(), 256);
    assert!(file_error(&many(257)).contains("namespace: there may be 256 of them at most"));
    let only_file = "namespace.max_age: can be written in the file only, as [[namespace]]";
    assert_eq!(flag_error("namespace.max_age", "1m"), format!("command line: {only_file}"));
    assert_eq!(
        Case::new("", &[("NEARCACHE_NAMESPACE__MAX_AGE", "1m")], &[]).error(),
        format!("environment variable NEARCACHE_NAMESPACE__MAX_AGE: {only_file}")
    );
}

#[test]
fn all_of_the_cache_is_reloaded() {
    let case = Case::new(NAMESPACES, &[], &[]);
    let config = case.load();
    assert_eq!(config.reload().expect("unchanged").1, Changes::default());
    case.write("[cache]\nmode = 'observe'\nmax_age = '1m'\nverify = 0.5\nadmission = 'always'\n[log]\nlevel = 'warn'\n");
    let (reloaded, changes) = config.reload().expect("valid");
    assert_eq!(
        changes.applied,
        ["namespace", "cache.admission", "cache.max_age", "cache.mode", "cache.verify"]
    );
    assert_eq!(changes.need_restart, ["log.level"]);
    assert_eq!(reloaded.settings.cache.namespaces, []);
    assert_eq!(reloaded.settings.cache.mode, CacheMode::Observe);
    case.write(NAMESPACES);
    let (again, changes) = reloaded.reload().expect("valid");
    assert!(changes.applied.contains(&"namespace".to_string()), "{changes:?}");
    assert_eq!(again.settings.cache, config.settings.cache);
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    let refused = |flags: &[(&str, &str)], expected: &str| {
        let error = Case::new("", &[], flags).error();
        assert!(error.contains(expected), "{flags:?} gave {error:?}");
    };
    refused(&[("server.listen", "tls://127.0.0.1:1")], "server.tls.cert: is needed");
    refused(&[("server.tls.cert", "c.pem")], "server.tls.cert: is set, but no address");
    refused(&[("upstream.url", "redis://h"), ("upstream.tls.ca", "c.pem")], "upstream.tls.ca: is set, but");
    refused(&[("upstream.url", "rediss://h"), ("upstream.tls.cert", "c")], "upstream.tls.key: is needed");
    refused(&[("upstream.url", "redis://h"), ("upstream.user", "u")], "upstream.password: is needed");
    refused(
        &[("upstream.url", "redis://127.0.0.1:6380")],
        "upstream.url: is an address that this proxy itself",
    );
}

#[test]
fn a_file_that_is_missing_is_an_error() {
    let sources = Sources { file: Some("/nonexistent/n.toml".into()), ..Sources::default() };
    let error = Config::load(sources).expect_err("no file").to_string();
    assert!(error.starts_with("cannot read /nonexistent/n.toml: "), "{error}");
}

#[test]
fn a_reload_applies_what_it_can_and_names_the_rest() {
    let case = Case::new(
        "[server]\npassword = 'a'\nidle_timeout = '1m'\n",
        &[("NEARCACHE_LOG__FORMAT", "json")],
        &[("server.max_in_flight", "7")],
    );
    let config = case.load();
    let same = config.reload().expect("unchanged").1;
    assert_eq!(same, Changes::default());

    case.write(
        "[server]\npassword = 'b'\nlisten = ['127.0.0.1:7']\nidle_timeout = '60s'\nmax_in_flight = 8\n\
         [cache]\nmax_memory = '2mb'\n[log]\nlevel = 'debug'\nformat = 'text'\n\
         [upstream]\npassword = 'c'\nbulk_connections = 3\n",
    );
    let (reloaded, changes) = config.reload().expect("valid");
    let need_restart = ["log.level", "server.listen", "upstream.bulk_connections"];
    assert_eq!(changes.applied, ["cache.max_memory", "server.password", "upstream.password"]);
    assert_eq!(changes.need_restart, need_restart);
    assert_eq!(reloaded.settings.server.password, Some(Secret::new("b")));
    assert_eq!(reloaded.settings.cache.max_memory, 2 << 20);
    assert_eq!(reloaded.settings.server.listen, config.settings.server.listen);
    assert_eq!(reloaded.settings.log.level, LogLevel::Info);
    // Flags and environment still count more than the file.
    assert_eq!(reloaded.settings.server.max_in_flight, 7);
    assert_eq!(reloaded.settings.log.format, LogFormat::Json);
    // What could not be applied is still pending, and said again.
    let (_, again) = reloaded.reload().expect("valid");
    assert_eq!(again, Changes { applied: vec![], need_restart: need_restart.map(String::from).into() });

    case.write("[cache]\nmax_memory = 'x'\n");
    assert!(config.reload().is_err());
}

#[test]
fn what_is_shown_hides_passwords_and_can_be_read_back() {
    let flags = [
        ("server.password", "topsecret1"),
        ("upstream.password", "topsecret2"),
        ("upstream.url", "redis://u:topsecret3@h/1"),
        ("upstream.passthrough_commands", "json.get,json.set"),
        ("server.idle_timeout", "90s"),
    ];
    let config = Case::new("[cache]\n\nmax_memory = '1gb'\n", &[], &flags).load();
    let shown = config.describe();
    assert!(!shown.contains("topsecret"), "{shown}");
    assert!(!format!("{config:?}").contains("topsecret"));
    assert!(shown.contains("idle_timeout = \"90s\"  # command line\n"), "{shown}");
    assert!(shown.contains("url = \"redis://u:hidden@h:6379/1\""), "{shown}");
    assert!(shown.contains("n.toml:3\n"), "{shown}");

    let again = Case::new(&shown, &[], &[]).load();
    assert_eq!(again.settings.cache, config.settings.cache);
    assert_eq!(again.settings.server.idle_timeout, Some(Duration::from_secs(90)));
    assert_eq!(
        again.settings.upstream.map(|u| u.passthrough_commands),
        Some(vec!["json.get".into(), "json.set".into()])
    );
}
