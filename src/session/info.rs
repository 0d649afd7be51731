//! INFO: what the session can see of the rest of the program, for the statistics to print.

use super::core::Core;
use super::dispatch::Flow;
use super::slots::Owed;
use crate::command::Command;
use crate::resp::{Args, Shape};
use crate::stats::{ExtraSection, InfoContext, MemoryInfo, Served};
use crate::upstream::{Retry, Status};

/// What is sent for `INFO upstream`.
pub(super) const UPSTREAM_INFO: &[u8] = b"*1\r\n$4\r\nINFO\r\n";

impl Core {
    /// INFO, with sections or without; `INFO upstream` is Redis's own, verbatim.
    pub(super) fn info(&mut self, command: &Command, args: Args<'_>, _raw: &[u8]) -> Flow {
        if args.len() == 2 && args[1].eq_ignore_ascii_case(b"upstream") && self.upstream().is_some() {
            self.forward_as(
                command.id,
                UPSTREAM_INFO,
                Owed::Lane(Shape::Plain),
                Served::Forwarded,
                Retry::Once,
            );
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
            Some(upstream) => match upstream.node.lane.status().0 {
                Status::Up if upstream.node.welcome.load().tracking => ("up", "proxy", "tracking"),
                Status::Up if !self.settings.cache.ttl_mode_max_age.is_zero() => ("up", "proxy", "ttl"),
                Status::Up => ("up", "proxy", "none"),
                Status::Suspect | Status::Down => ("down", "proxy", "none"),
            },
        };
        let keyspace = self.keyspace();
        let version = self.redis_version();
        let memory = allocator();
        let clients = [("client_buffers_bytes", shared.buffers.used().to_string())];
        let upstream = self.upstream_fields();
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
            keyspace: keyspace.as_info(),
            extra: &[
                ExtraSection { name: "Clients", fields: &clients },
                ExtraSection { name: "Upstream", fields: &upstream },
            ],
            ..InfoContext::default()
        };
        shared.stats.info(sections.iter().copied(), &context)
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
