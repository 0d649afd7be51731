//! INFO: what the session can see of the rest of the program, for the statistics to print.

use super::core::Core;
use super::dispatch::Flow;
use super::shared::Upstream;
use super::slots::Owed;
use crate::command::Command;
use crate::near::{Namespace, Phase};
use crate::resp::{Args, Shape};
use crate::stats::{ExtraSection, InfoContext, L1Info, MemoryInfo, Served};
use crate::upstream::{INFO_KEYSPACE, Retry, Status};

/// What is sent for `INFO upstream`, which is Redis's own, and for `INFO keyspace`: the keys are Redis's.
pub(super) fn asked_upstream(args: &Args<'_>) -> Option<&'static [u8]> {
    match args.get(1).filter(|_| args.len() == 2)?.to_ascii_lowercase().as_slice() {
        b"upstream" => Some(b"*1\r\n$4\r\nINFO\r\n"),
        b"keyspace" => Some(INFO_KEYSPACE),
        _ => None,
    }
}

impl Core {
    /// INFO, with sections or without.
    pub(super) fn info(&mut self, command: &Command, args: Args<'_>, _raw: &[u8]) -> Flow {
        if let (Some(raw), Some(_)) = (asked_upstream(&args), self.upstream()) {
            self.forward_as(command.id, raw, Owed::Lane(Shape::Plain), Served::Forwarded, Retry::Once);
            return Flow::Next;
        }
        let sections: Vec<&[u8]> = args.skip(1).iter().collect();
        let text = self.info_text(&sections);
        self.answer(command.id, Served::Local, |writer| writer.verbatim("txt", text.as_bytes()));
        Flow::Next
    }

    /// The text of these sections.
    pub(super) fn info_text(&self, sections: &[&[u8]]) -> String {
        let shared = &self.shared;
        let (status, mode, coherence) = match self.upstream() {
            None => ("none", "memory", "none"),
            Some(upstream) => match upstream.router.home().status().0 {
                Status::Up => ("up", "proxy", self.coherence(upstream)),
                Status::Suspect | Status::Down => ("down", "proxy", "none"),
            },
        };
        let keyspace = self.keyspace();
        let version = self.redis_version();
        let memory = allocator();
        let clients = [("client_buffers_bytes", shared.buffers.used().to_string())];
        let tracking = self.tracking_fields();
        let upstream = self.upstream_fields();
        let namespaces = self.namespace_fields();
        let namespaces: Vec<_> =
            namespaces.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let l1 = self.upstream().map(|upstream| upstream.router.home().l1());
        let counters = l1.map(|l1| l1.counters()).unwrap_or_default().named();
        let totals = l1.map(|l1| l1.totals()).unwrap_or_default();
        let mut extra = vec![
            ExtraSection { name: "Clients", fields: &clients },
            ExtraSection { name: "Stats", fields: &tracking },
            ExtraSection { name: "Upstream", fields: &upstream },
        ];
        if !namespaces.is_empty() {
            extra.push(ExtraSection { name: "Namespaces", fields: &namespaces });
        }
        let context = InfoContext {
            nearcache_version: env!("CARGO_PKG_VERSION"),
            redis_version: Some(&version),
            run_id: &shared.run_id,
            tcp_port: shared.tcp_port.load(std::sync::atomic::Ordering::Relaxed),
            config_file: &shared.config_file,
            mode,
            upstream_status: status,
            coherence,
            max_clients: self.settings.server.max_clients as u64,
            memory: MemoryInfo { max: self.max_memory() as u64, policy: self.eviction_policy(), ..memory },
            l1: L1Info {
                entries: totals.entries as u64,
                bytes: totals.bytes as u64,
                max_bytes: self.upstream().map_or(0, |_| self.settings.cache.max_memory as u64),
                counters: &counters,
            },
            keyspace: keyspace.as_info(),
            extra: &extra,
            ..InfoContext::default()
        };
        shared.stats.info(sections.iter().copied(), &context)
    }

    /// What keeps L1 in step with an upstream that is up.
    fn coherence(&self, upstream: &Upstream) -> &'static str {
        let lane = upstream.router.home();
        match lane.l1().phase(lane.id()) {
            Phase::Tracking => "tracking",
            Phase::TtlOnly if !self.settings.cache.ttl_mode_max_age.is_zero() => "ttl",
            _ => "none",
        }
    }

    /// One field per namespace; the prefix keeps its name apart from all other fields, since many tools make
    /// one table of all sections.
    fn namespace_fields(&self) -> Vec<(String, String)> {
        let value = |space: &Namespace| {
            let count = |served| space.reads.get(served);
            let (hits, misses) = (count(Served::Hit), count(Served::Miss));
            let (coalesced, bypasses) = (count(Served::Coalesced), count(Served::Bypass));
            let observed = count(Served::Observed);
            let asked = (hits + misses + coalesced).max(1);
            let ratio = hits as f64 / asked as f64;
            format!(
                "hits={hits},misses={misses},coalesced={coalesced},bypasses={bypasses},observed={observed},\
                 hit_ratio={ratio:.4}"
            )
        };
        self.policy
            .namespaces
            .iter()
            .map(|space| (format!("namespace_{}", space.name), value(space)))
            .collect()
    }

    /// CONFIG RESETSTAT.
    pub(super) fn reset_statistics(&self) {
        self.shared.stats.reset();
        if let Some(upstream) = self.upstream() {
            upstream.router.home().l1().reset_counters();
        }
        self.policy.namespaces.iter().for_each(|space| space.reads.reset());
    }

    fn tracking_fields(&self) -> Vec<(&'static str, String)> {
        let totals = self.shared.audience.table.totals();
        vec![
            ("tracking_total_keys", totals.tracking_total_keys.to_string()),
            ("tracking_total_items", totals.tracking_total_items.to_string()),
            ("tracking_total_prefixes", totals.tracking_total_prefixes.to_string()),
        ]
    }

    fn upstream_fields(&self) -> Vec<(&'static str, String)> {
        let Some(upstream) = self.upstream() else { return Vec::new() };
        let welcome = upstream.node.welcome.load();
        vec![
            ("upstream_address", upstream.node.target.load().address.to_string()),
            ("upstream_version", welcome.version.clone()),
            ("upstream_run_id", welcome.run_id.clone()),
            ("upstream_role", welcome.role.clone()),
        ]
    }
}

/// What the allocator says of itself; zeroes where it cannot be asked.
pub(super) fn allocator() -> MemoryInfo<'static> {
    use tikv_jemalloc_ctl::{epoch, stats};
    // Its numbers are as of the last epoch.
    let _ = epoch::advance();
    let read = |value: Result<usize, tikv_jemalloc_ctl::Error>| value.unwrap_or(0) as u64;
    MemoryInfo {
        used: read(stats::allocated::read()),
        peak: read(stats::allocated::read()),
        allocator_active: read(stats::active::read()),
        allocator_resident: read(stats::resident::read()),
        allocator: "jemalloc",
        ..MemoryInfo::default()
    }
}
