//! The configuration from the outside: layers, errors, reload, and what is shown of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nearcache::config::{Changes, Config, Origin, Sources};
use nearcache::settings::{AdminCommands, LogFormat, LogLevel, Secret};
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
    assert!(file_error("[[namespace]]\nname = 'x'\n").contains("n.toml:1: unknown option 'namespace'"));
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
