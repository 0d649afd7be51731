//! nearcache: a Redis-protocol caching proxy.
//!
//! The modules stand in reading order, which is also the order of the layers: a module uses only
//! modules named before it (a test in tests/ watches this).

// 0: mechanisms
pub mod resp;
pub mod clock;
pub mod timers;
pub mod prefetch;
pub mod stats;
pub mod net;
pub mod shutdown;
pub mod settings;
// 1: what a command is, where bytes are kept
pub mod command;
pub mod store;
// 2: who can answer without the network
pub mod near;
pub mod memory;
// 3: towards Redis
pub mod upstream;
// 4: towards the client; the data path
pub mod session;
// 5: the program
pub mod config;
pub mod server;
pub mod cli;

use std::process::ExitCode;

use config::Config;
use server::Server;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

/// Runs the proxy until SIGTERM or SIGINT.
pub fn run(config: Config) -> ExitCode {
    log(&config.settings.log);
    if let Err(error) = timers::start() {
        error!(%error, "cannot start the thread of the timers");
        return ExitCode::FAILURE;
    }
    let runtime = match config.settings.server.worker_threads {
        // One thread takes work from nobody.
        1 => Builder::new_current_thread().enable_io().build(),
        threads => Builder::new_multi_thread().worker_threads(threads).enable_io().build(),
    };
    match runtime {
        Ok(runtime) => runtime.block_on(serve(config)),
        Err(error) => {
            error!(%error, "cannot start the runtime");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> ExitCode {
    let (Ok(mut term), Ok(mut int), Ok(mut hup)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()))
    else {
        error!("cannot listen for signals");
        return ExitCode::FAILURE;
    };
    let mut server = match Server::start(config).await {
        Ok(server) => server,
        Err(error) => {
            error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => server.reload(),
        }
    }
    info!("draining");
    server.stop().await;
    info!("stopped");
    ExitCode::SUCCESS
}

/// Sends log lines to standard error, in colour if that is a terminal and `NO_COLOR` is not set.
/// `RUST_LOG` wins over the configured level.
fn log(settings: &settings::LogSettings) {
    use std::io::IsTerminal;

    use settings::LogFormat;
    use tracing_subscriber::EnvFilter;
    let level = settings.level.name();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colour =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    // Fails only if a test has set up a log of its own.
    let _ = match settings.format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.try_init(),
    };
}
