//! How the configuration changes while the program runs: SIGHUP reads it again, NEARCACHE CONFIG SET changes
//! single options. Both put what can change in force in the same way.

use std::sync::Arc;
use std::sync::atomic::Ordering::Release;

use parking_lot::Mutex;
use tracing::{error, info, warn};

use super::{Server, target};
use crate::config::{Config, ConfigError};
use crate::near::{Policy, Tuning};
use crate::session::{Options, Shared};
use crate::settings::Settings;

/// The configuration in force. Locked while it changes: one change at a time.
pub(super) struct Live(Mutex<Config>);

impl Live {
    /// What the program was started with.
    pub fn new(config: Config) -> Arc<Self> {
        Arc::new(Live(Mutex::new(config)))
    }
}

impl Server {
    /// Reads the configuration again under the same flags. What needs a restart is named in the log
    /// and stays as it is; a configuration with an error changes nothing.
    pub fn reload(&mut self) {
        let mut live = self.live.0.lock();
        let (config, changes) = match live.reload() {
            Ok(reloaded) => reloaded,
            Err(error) => return error!(%error, "configuration not reloaded"),
        };
        if let (Some(tls), Some(files)) = (&self.tls, &config.settings.server.tls)
            && let Err(error) = tls.reload(files)
        {
            error!(%error, "certificate not reloaded; the old one stays in use");
        }
        if !changes.need_restart.is_empty() {
            warn!(options = changes.need_restart.join(", "), "these changes need a restart");
        }
        info!(options = changes.applied.join(", "), "configuration reloaded");
        put_in_force(&self.shared, &live.settings, &config.settings);
        *live = config;
    }
}

impl Options for Live {
    fn all(&self) -> Vec<(String, String)> {
        self.0.lock().values()
    }

    fn set(&self, shared: &Shared, changes: &[(String, String)]) -> Result<(), String> {
        let mut live = self.0.lock();
        let config = live.with(changes).map_err(|error| refusal(&error))?;
        let applied = live.changes_to(&config).applied;
        info!(options = applied.join(", "), "configuration changed by a client");
        put_in_force(shared, &live.settings, &config.settings);
        *live = config;
        Ok(())
    }
}

/// An error in the words of CONFIG SET.
fn refusal(error: &ConfigError) -> String {
    match error {
        ConfigError::Unknown { option, nearest, .. } => format!(
            "ERR Unknown option or number of arguments for NEARCACHE CONFIG SET - '{option}'; the nearest \
             known one is '{nearest}'"
        ),
        ConfigError::Invalid { option, reason, .. } => {
            format!("ERR NEARCACHE CONFIG SET failed (possibly related to argument '{option}') - {reason}")
        }
        other => format!("ERR NEARCACHE CONFIG SET failed - {other}"),
    }
}

/// Tells everybody who keeps something that was made from the settings.
fn put_in_force(shared: &Shared, old: &Settings, new: &Settings) {
    if let (Some(upstream), Some(settings)) = (&shared.upstream, &new.upstream) {
        match target(settings, new) {
            Ok(target) => upstream.node.target.store(Arc::new(target)),
            Err(error) => error!(%error, "upstream TLS not reloaded"),
        }
    }
    if let Some(memory) = &shared.memory
        && old.cache.max_memory != new.cache.max_memory
    {
        memory.set_max_memory(new.cache.max_memory);
    }
    // In this order: a session that sees the new settings finds the new policy.
    let policy = Policy::from(&new.cache).succeeding(&shared.policy.load());
    shared.policy.store(Arc::new(policy));
    shared.settings.store(Arc::new(new.clone()));
    shared.version.fetch_add(1, Release);
    if let Some(upstream) = &shared.upstream {
        let l1 = upstream.node.lane.l1();
        l1.configure(&Tuning::from(&new.cache));
        if old.cache.enabled && !new.cache.enabled {
            l1.clear();
        }
    }
}
