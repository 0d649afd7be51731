//! SIGHUP: the configuration is read again, and what can change while running changes.

use std::sync::Arc;

use tracing::{error, info, warn};

use super::{Server, target};
use crate::near::{Policy, Tuning};

impl Server {
    /// Reads the configuration again under the same flags. What needs a restart is named in the log
    /// and stays as it is; a configuration with an error changes nothing.
    pub fn reload(&mut self) {
        let (config, changes) = match self.config.reload() {
            Ok(reloaded) => reloaded,
            Err(error) => return error!(%error, "configuration not reloaded"),
        };
        if let (Some(tls), Some(files)) = (&self.tls, &config.settings.server.tls)
            && let Err(error) = tls.reload(files)
        {
            error!(%error, "certificate not reloaded; the old one stays in use");
        }
        if let (Some(upstream), Some(settings)) = (&self.shared.upstream, &config.settings.upstream) {
            match target(settings, &config.settings) {
                Ok(target) => upstream.node.target.store(Arc::new(target)),
                Err(error) => error!(%error, "upstream TLS not reloaded"),
            }
        }
        if let Some(memory) = &self.shared.memory
            && self.config.settings.cache.max_memory != config.settings.cache.max_memory
        {
            memory.set_max_memory(config.settings.cache.max_memory);
        }
        if !changes.need_restart.is_empty() {
            warn!(options = changes.need_restart.join(", "), "these changes need a restart");
        }
        info!(options = changes.applied.join(", "), "configuration reloaded");
        // In this order: a session that sees the new settings finds the new policy.
        let policy = Policy::from(&config.settings.cache).succeeding(&self.shared.policy.load());
        self.shared.policy.store(Arc::new(policy));
        self.shared.settings.store(Arc::new(config.settings.clone()));
        if let Some(upstream) = &self.shared.upstream {
            let l1 = upstream.node.lane.l1();
            l1.configure(&Tuning::from(&config.settings.cache));
            if self.config.settings.cache.enabled && !config.settings.cache.enabled {
                l1.clear();
            }
        }
        self.config = config;
    }
}
