//! CLIENT TRACKING of the proxy's own clients: what a client has chosen, which of its commands take values
//! that it must be told about, and how it is told.
//!
//! Who is told of what is decided in `upstream::audience`, at the place of each reply and push in the
//! lane's stream.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use super::core::Core;
use super::dispatch::{Flow, Job};
use super::local::integer;
use super::standalone::quoted;
use super::{End, Session};
use crate::command::{Command, Flags, Reach};
use crate::near::tracking::Mode;
use crate::resp::{ArgVec, Args, Proto};
use crate::stats::Served;
use crate::upstream::{Audience, Effect, Listener, Notice, Proof, Tracked};

/// CLIENT TRACKING ON, as one client has chosen it.
pub struct TrackingMode {
    listener: Arc<Listener>,
    optin: bool,
    optout: bool,
    noloop: bool,
    /// CLIENT CACHING: what comes next is, or is not, tracked.
    pub caching: bool,
}

/// The options of CLIENT TRACKING.
#[derive(Default)]
pub struct Options {
    redirect: Option<u64>,
    bcast: bool,
    optin: bool,
    optout: bool,
    noloop: bool,
    prefixes: ArgVec,
}

/// Where RESP2 clients hear of invalidations.
const CHANNEL: &[u8] = b"__redis__:invalidate";

const NOT_BY_UPSTREAM: &[u8] =
    b"ERR nearcache: CLIENT TRACKING is not supported, since the upstream does not support it";

impl TrackingMode {
    /// True if values that the client reads now are values that it must be told about.
    pub fn takes(&self) -> bool {
        let called_for = if self.optin { self.caching } else { !(self.optout && self.caching) };
        called_for && !self.listener.bcast
    }
}

impl Core {
    // === what a command means to a client that tracks ===

    /// What this command means to us if we track.
    pub(super) fn tracked_of(&self, command: &Command, args: &Args<'_>) -> Option<Box<Tracked>> {
        let mode = self.tracking.as_ref()?;
        // What a script reads is registered under the keys that it declares.
        let reads = command.flags.has(Flags::READONLY) || command.reach == Reach::WritesMore;
        let (takes, loops) = (mode.takes() && reads, mode.noloop && command.is_write());
        let mut tracked = Tracked::reading(self.client.id, args.skip(args.len()));
        if takes {
            tracked.reads = keys_of(command, args);
        }
        if loops {
            let _ = command.keys(args, |i, access| {
                if access.writes() {
                    tracked.writes.push(&args[i]);
                }
            });
            tracked.proof = proof(command, args);
        }
        let nothing = tracked.reads.args().is_empty() && tracked.writes.args().is_empty();
        (!nothing).then(|| Box::new(tracked))
    }

    /// What a block means that contains this command too.
    pub(super) fn track_in_block(&mut self, command: &Command, args: &Args<'_>) {
        let Some(tracked) = self.tracked_of(command, args) else { return };
        let Some(transaction) = &mut self.transaction else { return };
        let block = transaction.tracked.get_or_insert_with(|| {
            let none = Tracked::reading(tracked.client, args.skip(args.len()));
            Box::new(Tracked { proof: Proof::Each, ..none })
        });
        tracked.reads.args().iter().for_each(|key| block.reads.push(key));
        tracked.writes.args().iter().for_each(|key| block.writes.push(key));
        if tracked.proof == Proof::Never && !tracked.writes.args().is_empty() {
            block.proof = Proof::Never;
        }
    }

    /// True if somebody tracks what this changes: its reply waits until they have been told, as in Redis,
    /// where they are told before the writer can tell anybody.
    pub(super) fn concerns_others(&self, effect: &Effect) -> bool {
        let audience = &self.shared.audience;
        let concerns = |audience: &Audience| match self.tracking {
            // What it has just asked to read may not have been registered yet.
            Some(_) => effect.is_write(),
            None => effect.concerns(audience),
        };
        audience.table.is_active() && self.upstream().is_some() && concerns(audience)
    }

    /// The job is done. What it read went by a connection that is not tracked: the client must not keep it.
    pub(super) fn end_tracked_job(&mut self) {
        if let Some(tracked) = self.job_tracked.take() {
            self.shared.audience.untrackable(&tracked, None);
        }
    }

    /// The same if it is not known what was read.
    pub(super) fn distrust_all(&self) {
        if self.tracking.as_ref().is_some_and(|mode| mode.takes()) {
            self.shared.audience.tell(&[self.client.id], &None, None);
        }
    }

    // === being told ===

    /// In memory what a command causes is there when it ends: it comes before the next reply.
    pub(super) fn take_notices(&mut self) {
        if self.upstream().is_none() && self.take_replies().is_some() {
            // Why the session must end is for its loop to see.
            self.client.inbox.nudge();
        }
    }

    /// A notice has come. It may belong behind a reply that has not.
    pub(super) fn noticed(&mut self, notice: Notice) {
        match notice {
            Notice::Invalidate { behind: Some(seq), .. } if self.slots.get_mut(seq).is_some() => {
                self.notices.push((seq, notice));
            }
            notice => self.notice(&notice),
        }
    }

    /// The reply of this slot has been written: what belongs behind it is next.
    pub(super) fn tell_behind(&mut self, seq: u64) {
        if self.notices.is_empty() {
            return;
        }
        for (behind, notice) in std::mem::take(&mut self.notices) {
            if behind <= seq {
                self.notice(&notice);
            } else {
                self.notices.push((behind, notice));
            }
        }
    }

    /// Tells the client, if it is one that can be told.
    fn notice(&mut self, notice: &Notice) {
        let subscribed = !self.topics.is_empty();
        match notice {
            Notice::Invalidate { redirected: false, .. } | Notice::Broken(_) if self.tracking.is_none() => {}
            Notice::Invalidate { keys, redirected, .. } => {
                let push = self.proto == Proto::Resp3;
                if !(push || *redirected && subscribed) {
                    return;
                }
                self.unasked(|writer| {
                    if push {
                        writer.push(2);
                        writer.bulk(b"invalidate");
                    } else {
                        writer.array(3);
                        writer.bulk(b"message");
                        writer.bulk(CHANNEL);
                    }
                    match keys {
                        Some(keys) => writer.raw(keys),
                        None => writer.null(),
                    }
                });
            }
            Notice::Broken(target) if self.proto == Proto::Resp3 => self.unasked(|writer| {
                writer.push(2);
                writer.bulk(b"tracking-redir-broken");
                writer.int(*target as i64);
            }),
            Notice::Broken(_) => {}
        }
    }

    // === CLIENT TRACKING and its kin ===

    /// CLIENT TRACKING
    pub(super) fn track(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let (on, off) = (args[2].eq_ignore_ascii_case(b"on"), args[2].eq_ignore_ascii_case(b"off"));
        let options = match self.tracking_options(args) {
            Ok(options) => options,
            Err(error) => return self.error(command.id, error),
        };
        if off {
            self.stop_tracking();
            return self.error_free(command);
        }
        if !on {
            return self.error(command.id, b"ERR syntax error");
        }
        if let Err(error) = self.check_mode(&options) {
            return self.error(command.id, error);
        }
        let welcome = self.upstream().map(|upstream| upstream.node.welcome.load());
        if welcome.is_some_and(|welcome| !welcome.version.is_empty() && !welcome.tracking) {
            return self.error(command.id, NOT_BY_UPSTREAM);
        }
        if options.bcast {
            let given: Vec<&[u8]> = options.prefixes.args().iter().collect();
            if let Some(overlap) = self.shared.audience.table.overlap(self.client.id, &given) {
                let with = if overlap.existing { "an existing" } else { "another provided" };
                let (given, other) = (quoted(&overlap.given), quoted(&overlap.other));
                let text = format!(
                    "ERR Prefix '{given}' overlaps with {with} prefix '{other}'. \
                     Prefixes for a single client must not overlap."
                );
                self.answer(command.id, Served::Local, |writer| writer.error(&text));
                return Flow::Next;
            }
            if self.upstream().is_some() {
                return self.job(Job::Broadcast(Box::new(options), command.id));
            }
        }
        self.start_tracking(&options);
        self.error_free(command)
    }

    /// Redis's reading of the options, in its order.
    fn tracking_options(&self, args: Args<'_>) -> Result<Options, &'static [u8]> {
        let mut options = Options::default();
        let mut i = 3;
        while i < args.len() {
            let more = i + 1 < args.len();
            match &args[i].to_ascii_lowercase()[..] {
                b"redirect" if more && options.redirect.is_some() => {
                    return Err(b"ERR A client can only redirect to a single other client");
                }
                b"redirect" if more => {
                    i += 1;
                    let id =
                        integer(&args[i]).ok_or(b"ERR value is not an integer or out of range".as_slice())?;
                    let id = u64::try_from(id).ok().filter(|id| self.shared.clients.get(*id).is_some());
                    options.redirect =
                        Some(id.ok_or(b"ERR The client ID you want redirect to does not exist".as_slice())?);
                }
                b"bcast" => options.bcast = true,
                b"optin" => options.optin = true,
                b"optout" => options.optout = true,
                b"noloop" => options.noloop = true,
                b"prefix" if more => {
                    i += 1;
                    options.prefixes.push(&args[i]);
                }
                _ => return Err(b"ERR syntax error"),
            }
            i += 1;
        }
        Ok(options)
    }

    /// Whether the options agree with each other and with the mode that is on.
    fn check_mode(&self, options: &Options) -> Result<(), &'static [u8]> {
        let Options { bcast, optin, optout, .. } = *options;
        if !bcast && !options.prefixes.args().is_empty() {
            return Err(b"ERR PREFIX option requires BCAST mode to be enabled");
        }
        let now = self.tracking.as_ref();
        if now.is_some_and(|now| now.listener.bcast != bcast) {
            return Err(
                b"ERR You can't switch BCAST mode on/off before disabling tracking for this client, \
                         and then re-enabling it with a different mode.",
            );
        }
        if bcast && (optin || optout) {
            return Err(b"ERR OPTIN and OPTOUT are not compatible with BCAST");
        }
        if optin && optout {
            return Err(b"ERR You can't specify both OPTIN mode and OPTOUT mode");
        }
        if now.is_some_and(|now| (optin && now.optout) || (optout && now.optin)) {
            return Err(
                b"ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, \
                         and then re-enabling it with a different mode.",
            );
        }
        Ok(())
    }

    pub(super) fn start_tracking(&mut self, options: &Options) {
        let target = options.redirect.and_then(|id| self.shared.clients.get(id));
        let listener = Arc::new(Listener {
            inbox: Arc::clone(&self.client.inbox),
            redirect: target.map(|target| (target.id, Arc::clone(&target.inbox))),
            bcast: options.bcast,
            broken: AtomicBool::new(false),
        });
        let (audience, id) = (&self.shared.audience, self.client.id);
        audience.join(id, Arc::clone(&listener));
        let mut prefixes: Vec<&[u8]> = options.prefixes.args().iter().collect();
        if options.bcast && prefixes.is_empty() {
            prefixes.push(b"");
        }
        audience.table.enable(id, Mode { bcast: options.bcast, noloop: options.noloop }, &prefixes);
        if let Some(upstream) = self.upstream() {
            upstream.broadcast.changed();
        }
        if self.tracking.is_none() {
            self.shared.stats.clients.tracking_clients.inc();
        }
        *self.client.listener.lock() = Some(Arc::clone(&listener));
        let caching = self.tracking.as_ref().is_some_and(|mode| mode.caching);
        let Options { optin, optout, noloop, .. } = *options;
        self.tracking = Some(Box::new(TrackingMode { listener, optin, optout, noloop, caching }));
    }

    /// TRACKING OFF, RESET, or the end.
    pub(super) fn stop_tracking(&mut self) {
        if self.tracking.take().is_none() {
            return;
        }
        *self.client.listener.lock() = None;
        self.shared.stats.clients.tracking_clients.dec();
        self.shared.audience.leave(self.client.id);
        if let Some(upstream) = self.upstream() {
            upstream.broadcast.changed();
        }
    }

    /// CLIENT CACHING
    pub(super) fn set_caching(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let (yes, no) = (args[2].eq_ignore_ascii_case(b"yes"), args[2].eq_ignore_ascii_case(b"no"));
        let error: &[u8] = match &mut self.tracking {
            None => {
                b"ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN \
                  or OPTOUT mode enabled"
            }
            Some(mode) if (yes && mode.optin) || (no && mode.optout) => {
                mode.caching = true;
                return self.error_free(command);
            }
            Some(_) if yes => b"ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            Some(_) if no => b"ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
            Some(_) => b"ERR syntax error",
        };
        self.error(command.id, error)
    }

    /// CLIENT CACHING that has been queued.
    pub(super) fn caching_in_block(&mut self, args: &Args<'_>) {
        let (yes, no) = (args[2].eq_ignore_ascii_case(b"yes"), args[2].eq_ignore_ascii_case(b"no"));
        if let Some(mode) = &mut self.tracking {
            mode.caching |= (yes && mode.optin) || (no && mode.optout);
        }
    }

    /// CLIENT CACHING holds for one command, or for one block: this was it.
    pub(super) fn end_caching(&mut self, command: Option<&Command>) {
        if let Some(mode) = &mut self.tracking
            && self.transaction.is_none()
            && !command.is_some_and(|command| command.name.starts_with("client|"))
        {
            mode.caching = false;
        }
    }

    /// CLIENT GETREDIR
    pub(super) fn redirection(&self) -> i64 {
        let redirect = |mode: &TrackingMode| mode.listener.redirect.as_ref().map_or(0, |(id, _)| *id as i64);
        self.tracking.as_deref().map_or(-1, redirect)
    }

    /// CLIENT TRACKINGINFO
    pub(super) fn tracking_info(&mut self, command: &Command) {
        let mut flags: Vec<&[u8]> = Vec::new();
        if let Some(mode) = &self.tracking {
            let all: [(bool, &[u8]); 8] = [
                (true, b"on"),
                (mode.listener.bcast, b"bcast"),
                (mode.optin, b"optin"),
                (mode.optin && mode.caching, b"caching-yes"),
                (mode.optout, b"optout"),
                (mode.optout && mode.caching, b"caching-no"),
                (mode.noloop, b"noloop"),
                (mode.listener.broken.load(Relaxed), b"broken_redirect"),
            ];
            flags.extend(all.iter().filter(|(set, _)| *set).map(|(_, name)| name));
        } else {
            flags.push(b"off");
        }
        let redirect = self.redirection();
        let prefixes = self.shared.audience.table.prefixes(self.client.id);
        self.answer(command.id, Served::Local, |writer| {
            writer.map(3);
            writer.bulk(b"flags");
            writer.set(flags.len());
            flags.iter().for_each(|flag| writer.bulk(flag));
            writer.bulk(b"redirect");
            writer.int(redirect);
            writer.bulk(b"prefixes");
            writer.array(prefixes.len());
            prefixes.iter().for_each(|prefix| writer.bulk(prefix));
        });
    }
}

impl Session {
    /// CLIENT TRACKING ON BCAST: confirmed when Redis tells us of every change.
    pub(super) async fn track_by_prefix(&mut self, options: Options, command: u16) -> Result<(), End> {
        let Some(upstream) = self.core.upstream() else { return Ok(()) };
        let broadcast = Arc::clone(&upstream.broadcast);
        let before = self.core.tracking.is_some();
        self.core.start_tracking(&options);
        let inbox = Arc::clone(&self.core.client.inbox);
        let mut told = None;
        let ready = self.until(|_| {
            told = broadcast.ready(&inbox);
            told.is_some()
        });
        let unreachable = "MASTERDOWN upstream is unreachable; not tracked".to_owned();
        let result = match ready.await {
            Err(end) => return Err(end),
            Ok(_) => told.unwrap_or(Err(unreachable)),
        };
        match result {
            Ok(()) => self.core.answer(command, Served::Local, |writer| writer.ok()),
            Err(text) => {
                if !before {
                    self.core.stop_tracking();
                }
                self.core.refuse(command, text.as_bytes());
            }
        }
        Ok(())
    }
}

/// All keys of a request, as Redis registers them.
pub(super) fn keys_of(command: &Command, args: &Args<'_>) -> ArgVec {
    let mut keys = ArgVec::default();
    let _ = command.keys(args, |i, _| keys.push(&args[i]));
    keys
}

/// Which reply of a write says that it has changed its keys. Where none does, a client in NOLOOP mode is
/// told of its own write too: better once too often than never of somebody else's.
fn proof(command: &Command, args: &Args<'_>) -> Proof {
    let has = |from, words: &[&[u8]]| {
        args.skip(from).iter().any(|arg| words.iter().any(|word| arg.eq_ignore_ascii_case(word)))
    };
    match command.name {
        "set" if !has(3, &[b"nx", b"xx", b"get"]) => Proof::Success,
        "mset" | "setex" | "psetex" | "getset" | "append" | "incr" | "decr" | "incrby" | "decrby"
        | "incrbyfloat" | "hset" | "hmset" | "hincrby" | "hincrbyfloat" | "lpush" | "rpush" | "lset"
        | "restore" | "pfmerge" => Proof::Success,
        "set" if !has(3, &[b"get"]) => Proof::Something,
        "zadd" if !has(2, &[b"incr"]) => Proof::Something,
        "setnx" | "msetnx" | "hsetnx" | "getdel" | "hdel" | "sadd" | "srem" | "spop" | "zrem" | "zpopmin"
        | "zpopmax" | "lpop" | "rpop" | "lpushx" | "rpushx" | "lrem" | "lmove" | "rpoplpush" | "expire"
        | "pexpire" | "expireat" | "pexpireat" | "persist" | "move" | "renamenx" | "xadd" | "xdel"
        | "xtrim" | "pfadd" | "eval" | "evalsha" | "fcall" => Proof::Something,
        "del" | "unlink" if args.len() == 2 => Proof::Something,
        "rename" if args[1] != args[2] => Proof::Success,
        _ => Proof::Never,
    }
}
