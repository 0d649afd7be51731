//! The command line: flags become [`Sources`], and what cannot be run ends here with a message.

use std::io::Write;
use std::path::PathBuf;
use std::process::exit;

use clap::Parser;

use crate::config::{self, Config, Sources};
use crate::net::{ClientTls, ServerTls};

/// A caching proxy that speaks the Redis protocol.
///
/// Without an upstream it is an in-memory Redis for caching use. Precedence of options: flags, then
/// environment (NEARCACHE_SECTION__KEY), then the file, then built-in defaults. All options are explained
/// in conf/nearcache.toml.
#[derive(Parser, Debug)]
#[command(name = "nearcache", version)]
struct Flags {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address to listen on: HOST:PORT, tls://HOST:PORT or unix:/PATH; may be repeated
    #[arg(long, value_name = "ADDR")]
    listen: Vec<String>,
    /// The Redis to stand in front of.
    #[arg(
        long,
        value_name = "URL",
        help = "Redis to stand in front of: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], rediss://… or unix:///PATH"
    )]
    upstream: Option<String>,
    /// Memory for the keys held here, as 256mb or 4gb
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<String>,
    /// Set any option of the file, as server.idle_timeout=1m; may be repeated
    #[arg(long, value_name = "SECTION.KEY=VALUE", value_parser = parse_set)]
    set: Vec<(String, String)>,
    /// Check the configuration, print it (passwords hidden) and exit
    #[arg(long)]
    check: bool,
}

/// Reads flags, environment and file. Ends the process on `--help`, `--version`, `--check` and errors.
pub fn parse_or_exit() -> Config {
    let flags = Flags::parse();
    let check = flags.check;
    let config = match environment().and_then(|env| load(flags, env)) {
        Ok(config) => config,
        Err(message) => fail(&message),
    };
    if check {
        if let Err(message) = check_files(&config) {
            fail(&message);
        }
        // Not `print!`: it panics when the reader (`| head`) has seen enough.
        let shown = std::io::stdout().write_all(config.describe().as_bytes());
        exit(i32::from(shown.is_err()));
    }
    config
}

fn fail(message: &str) -> ! {
    eprintln!("nearcache: {message}");
    exit(1)
}

/// The environment as text. A variable that is not UTF-8 matters only if it is ours.
fn environment() -> Result<Vec<(String, String)>, String> {
    let mut env = Vec::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => env.push((name, value)),
            (Ok(name), Err(_)) if name.starts_with("NEARCACHE_") => {
                return Err(format!("{name} is not UTF-8"));
            }
            _ => {}
        }
    }
    Ok(env)
}

fn load(flags: Flags, env: Vec<(String, String)>) -> Result<Config, String> {
    let named = env.iter().find(|(name, value)| name == config::ENV_FILE && !value.is_empty());
    let file = flags.config.or_else(|| named.map(|(_, value)| value.into()));
    let mut options = Vec::new();
    if !flags.listen.is_empty() {
        options.push(("server.listen".into(), flags.listen.join(",")));
    }
    options.extend(flags.upstream.map(|url| ("upstream.url".into(), url)));
    options.extend(flags.max_memory.map(|size| ("cache.max_memory".into(), size)));
    options.extend(flags.set);
    Config::load(Sources { file, env, flags: options }).map_err(|error| error.to_string())
}

fn parse_set(text: &str) -> Result<(String, String), String> {
    let (option, value) = text.split_once('=').ok_or("write section.key=value")?;
    Ok((option.trim().into(), value.trim().into()))
}

/// What can be checked without opening a socket: that the TLS files are there and fit together.
fn check_files(config: &Config) -> Result<(), String> {
    if let Some(files) = &config.settings.server.tls {
        ServerTls::load(files).map_err(|error| error.to_string())?;
    }
    if let Some(files) = config.settings.upstream.as_ref().and_then(|upstream| upstream.tls.as_ref()) {
        ClientTls::load(files).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn load_line(line: &[&str], env: &[(&str, &str)]) -> Result<Config, String> {
        let args = std::iter::once("nearcache").chain(line.iter().copied());
        let flags = Flags::try_parse_from(args).map_err(|error| error.to_string())?;
        load(flags, env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    #[test]
    fn flags_are_well_formed() {
        Flags::command().debug_assert();
    }

    #[test]
    fn flags_set_options() {
        let line = [
            "--listen",
            "127.0.0.1:1",
            "--listen=unix:/run/n.sock",
            "--upstream",
            "redis://h",
            "--max-memory",
            "1gb",
            "--set",
            "server.idle_timeout = 1m",
        ];
        let settings = load_line(&line, &[("NEARCACHE_LISTEN", "127.0.0.1:9")]).expect("valid").settings;
        let listen: Vec<_> = settings.server.listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["127.0.0.1:1", "unix:/run/n.sock"]);
        assert_eq!(settings.upstream.map(|u| u.address.to_string()), Some("h:6379".into()));
        assert_eq!(settings.cache.max_memory, 1 << 30);
        assert_eq!(settings.server.idle_timeout, Some(std::time::Duration::from_secs(60)));
    }

    #[test]
    fn wrong_flags_are_errors() {
        assert!(
            load_line(&["--set", "server.idle_timeout"], &[])
                .expect_err("no value")
                .contains("section.key=value")
        );
        assert!(load_line(&["--lisen", "x"], &[]).is_err());
        let error = load_line(&["--listen", ":6380"], &[]).expect_err("no host");
        assert_eq!(
            error,
            "command line: server.listen: ':6380' names no interface; write 0.0.0.0:6380 for all of IPv4, \
             [::]:6380 for all of IPv6"
        );
    }
}
