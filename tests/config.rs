//! The configuration from the outside: layers, errors, reload, and what is shown of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nearcache::config::{Changes, Config, Origin, Sources};
use nearcache::settings::{AdminCommands, CacheMode, LogLevel, Secret};
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
    let file = "[cache]\nmax_age = '1m'\nmax_entry = '2mb'\nadmit_after = 3\n";
    let env = [("NEARCACHE_CACHE__MAX_ENTRY", "3mb"), ("NEARCACHE_CACHE__ADMIT_AFTER", "4"), ("OTHER", "x")];
    let cache = Case::new(file, &env, &[("cache.admit_after", "5")]).load().settings.cache;
    assert_eq!(cache.max_age, Duration::from_secs(60));
    assert_eq!(cache.max_entry, 3 << 20);
    assert_eq!(cache.admit_after, 5);
    assert_eq!(cache.max_staleness, Duration::from_secs(1));
}

#[test]
fn texts_are_read_by_the_type_of_their_option() {
    let env = [
        ("NEARCACHE_LISTEN", "127.0.0.1:1, unix:/run/n.sock"),
        ("NEARCACHE_SERVER__UNIX_MODE", "770"),
        ("NEARCACHE_SERVER__PASSWORD", "12345"),
        ("NEARCACHE_SERVER__ADMIN_COMMANDS", "allow"),
        ("NEARCACHE_CACHE__VERIFY", "0.5"),
        ("NEARCACHE_CACHE__KEEP_WARM", "false"),
        ("NEARCACHE_CACHE__MODE", "observe"),
        ("NEARCACHE_MAX_MEMORY", "1048576"),
        ("NEARCACHE_LOG__LEVEL", "DEBUG"),
    ];
    let settings = Case::new("", &env, &[]).load().settings;
    let listen: Vec<_> = settings.server.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:1", "unix:/run/n.sock"]);
    assert_eq!(settings.server.unix_mode, Some(0o770));
    assert_eq!(settings.server.password, Some(Secret::new("12345")));
    assert_eq!(settings.server.admin_commands, AdminCommands::Allow);
    assert_eq!(settings.cache.verify, 0.5);
    assert!(!settings.cache.keep_warm);
    assert_eq!(settings.cache.mode, CacheMode::Observe);
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
        file_error("[cache]\nenabled = true\nmax_agee = '1m'\n"),
        "n.toml:3: unknown option 'cache.max_agee'; the nearest known one is 'cache.max_age'"
    );
    assert_eq!(
        file_error("\n[cahce]\nmax_age = '1m'\n"),
        "n.toml:3: unknown option 'cahce.max_age'; the nearest known one is 'cache.max_age'"
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
        Case::new("", &[("NEARCACHE_CACHE__MAXAGE", "1m")], &[]).error(),
        "environment variable NEARCACHE_CACHE__MAXAGE: unknown option 'cache.maxage'; \
         the nearest known one is 'cache.max_age'"
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
        ("[cache]\nmax_age = 300\n", "n.toml:2: cache.max_age: '300' lacks a unit; write 300s"),
        ("[cache]\nmax_memory = 'lots'\n", "n.toml:2: cache.max_memory: 'lots' is not a size"),
        ("[cache]\nmode = 'server'\n", "n.toml:2: cache.mode: 'server' is none of serve, observe"),
        ("[server]\nmax_clients = -1\n", "n.toml:2: server.max_clients: "),
        ("[server]\nlisten = '127.0.0.1:1'\n", "n.toml:2: server.listen: "),
        ("[server]\nlisten = [1]\n", "n.toml:2: server.listen: "),
        ("[server]\n\nlisten = ['h']\n", "n.toml:3: server.listen: 'h' has no port"),
        ("[server]\nlisten = []\n", "n.toml:2: server.listen: needs at least one address"),
        ("cache = 5\n", "n.toml:1: cache: "),
        ("[cache]\nmax_age = \n", "n.toml:2: "),
        ("[cache]\nenabled = true\nenabled = true\n", "n.toml:3: "),
        ("[upstream]\nurl = 'http://h'\n", "n.toml:2: upstream.url: unknown scheme"),
        ("[upstream]\nreconnect_min = '9s'\n", "default: upstream.reconnect_max: must not be less"),
    ];
    for (text, expected) in cases {
        let error = file_error(text);
        assert!(error.starts_with(expected), "{text:?} gave {error:?}");
    }
    assert_eq!(
        flag_error("cache.keep_warm", "yes"),
        "command line: cache.keep_warm: 'yes' is neither true nor false"
    );
    assert_eq!(
        flag_error("server.max_clients", "x"),
        "command line: server.max_clients: 'x' is not a whole number"
    );
    assert_eq!(flag_error("cache", "x"), "command line: cache: is a section, not an option");
    assert_eq!(flag_error("cache.max_age", "0s"), "command line: cache.max_age: must be more than 0");
    assert_eq!(flag_error("cache.verify", "NaN"), "command line: cache.verify: must be between 0.0 and 1.0");
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
    let case =
        Case::new("[server]\npassword = 'a'\n[cache]\nmax_age = '1m'\n", &[], &[("log.level", "warn")]);
    let config = case.load();
    let same = config.reload().expect("unchanged").1;
    assert_eq!(same, Changes::default());

    case.write(
        "[server]\npassword = 'b'\nlisten = ['127.0.0.1:7']\n[cache]\nmax_age = '60s'\nmax_entry = '2mb'\n\
         [log]\nlevel = 'debug'\n[upstream]\npassword = 'c'\n",
    );
    let (reloaded, changes) = config.reload().expect("valid");
    assert_eq!(changes.applied, ["cache.max_entry", "server.password", "upstream.password"]);
    assert_eq!(changes.need_restart, ["server.listen"]);
    assert_eq!(reloaded.settings.server.password, Some(Secret::new("b")));
    assert_eq!(reloaded.settings.cache.max_entry, 2 << 20);
    assert_eq!(reloaded.settings.server.listen, config.settings.server.listen);
    // The flag still counts more than the file.
    assert_eq!(reloaded.settings.log.level, LogLevel::Warn);
    // What could not be applied is still pending, and said again.
    let (_, again) = reloaded.reload().expect("valid");
    assert_eq!(again, Changes { applied: vec![], need_restart: vec!["server.listen".into()] });

    case.write("[cache]\nmax_age = 'x'\n");
    assert!(config.reload().is_err());
}

#[test]
fn what_is_shown_hides_passwords_and_can_be_read_back() {
    let flags = [
        ("server.password", "topsecret1"),
        ("upstream.password", "topsecret2"),
        ("upstream.url", "redis://u:topsecret3@h/1"),
        ("upstream.passthrough_commands", "json.get,json.set"),
        ("cache.max_age", "90s"),
    ];
    let config = Case::new("[cache]\n\nverify = 0.25\n", &[], &flags).load();
    let shown = config.describe();
    assert!(!shown.contains("topsecret"), "{shown}");
    assert!(!format!("{config:?}").contains("topsecret"));
    assert!(shown.contains("max_age = \"90s\"  # command line\n"), "{shown}");
    assert!(shown.contains("url = \"redis://u:hidden@h:6379/1\""), "{shown}");
    assert!(shown.contains("n.toml:3\n"), "{shown}");

    let again = Case::new(&shown, &[], &[]).load();
    assert_eq!(again.settings.cache, config.settings.cache);
    assert_eq!(
        again.settings.upstream.map(|u| u.passthrough_commands),
        Some(vec!["json.get".into(), "json.set".into()])
    );
}
