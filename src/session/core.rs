//! A session's state without its socket: what the client has chosen, what it is owed, what is to be
//! sent for it. Everything that needs no waiting happens here.

use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use bytes::BytesMut;

use super::behind::Behind;
use super::clients::Client;
use super::engine::Keyspace;
use super::monitor::Feed;
use super::output::Output;
use super::reads::Guard;
use super::shared::{Shared, Upstream};
use super::slots::{Owed, Slot, Slots};
use super::spaces::Spaces;
use super::tracking::TrackingMode;
use super::transaction::Transaction;
use crate::clock::Nanos;
use crate::command::Command;
use crate::memory::Watch;
use crate::near::Policy;
use crate::resp::{Proto, Writer};
use crate::settings::Settings;
use crate::stats::{Recorder, Served};
use crate::upstream::{Batch, Delivered, Loss, Notice, Pinned, Topic, Tracked};

/// Bytes of replies that a client's requests in flight may be expected to bring.
const WINDOW_BYTES: usize = 8 << 20;

/// What a reply is taken to be before any has been seen: 128 requests in flight at first.
const FIRST_SIZE: usize = 64 * 1024;

/// Requests in flight that any client may have, however large their replies.
const MIN_WINDOW: usize = 8;

/// The state of one session. Its fields stand in the order given: what each batch looks at comes first and takes
/// few cache lines, which counts where there are a thousand sessions.
#[repr(C)]
pub struct Core {
    /// What all sessions share.
    pub shared: Arc<Shared>,
    /// The configuration of this batch.
    pub settings: Arc<Settings>,
    /// Which one that is: `Shared::version`.
    version: u64,
    /// Our entry in the list of clients.
    pub client: Arc<Client>,
    /// How keys are cached.
    pub policy: Arc<Policy>,
    /// The command executed last.
    pub last: Option<&'static Command>,
    /// When the batch was read.
    pub now: Nanos,
    /// About when it is, in unix milliseconds, for the memory engine: as of the same moment.
    pub about: Option<i64>,
    /// Chosen by SELECT.
    pub db: u32,
    /// Chosen by HELLO.
    pub proto: Proto,
    /// CLIENT REPLY.
    pub mute: Mute,
    /// AUTH has succeeded, or none is asked for.
    pub authenticated: bool,
    /// What another request of the same name does: what decides that is changed by other commands only, or
    /// looked at when a batch begins.
    pub again: Again,
    /// NEARCACHE BYPASS ON: L1 is not asked.
    pub bypass: bool,
    /// NEARCACHE CONSISTENCY fenced: a hit is as fresh as the upstream's own answer.
    pub fenced: bool,
    /// The lane was full: the batch waits, and nothing more is read.
    pub lane_full: bool,
    /// Nothing is executed before all that is owed has been answered.
    pub barrier: bool,
    /// Ends when everything owed has been written.
    pub closing: bool,
    /// The client is one of those that monitor.
    pub monitors: bool,
    /// The request in hand has waited for subscriptions to settle.
    pub settled: bool,
    /// Part of a reply has been passed on: from here an error cannot be told any more.
    pub partial: bool,
    /// Replies owed.
    pub slots: Slots,
    /// What goes to the client.
    pub out: Output,
    /// Counts.
    pub recorder: Recorder,
    /// The mean size of the client's replies of late.
    reply_size: usize,
    /// The place of our last request in the lane's order.
    pub place: u64,
    /// Reads that are parked among the slots.
    pub parked: usize,
    /// What became of those before.
    pub behind: Behind,
    /// CLIENT TRACKING, while it is on.
    pub tracking: Option<Box<TrackingMode>>,
    /// The connection that watches, from WATCH to EXEC, DISCARD or UNWATCH.
    pub watching: Option<Box<Pinned>>,
    /// What goes to the lane.
    pub batch: Batch,
    /// Replies of our own that wait for their turn.
    pub local: BytesMut,
    /// A reply of L1 that has to be rendered.
    pub copied: Vec<u8>,
    /// Reads counted by namespace.
    pub spaces: Spaces,
    /// What MONITOR shows of this batch.
    pub feed: Feed,
    /// The PING whose answer parked hits wait for, and whether another one is wanted.
    pub guard: Guard,
    /// SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE, in the order asked.
    pub topics: Vec<Topic>,

    // What is needed more seldom.
    /// MULTI, while it is open.
    pub transaction: Option<Transaction>,
    /// The watched keys, when they are in memory here.
    pub watch: Option<Watch>,
    /// INFO's numbers while EXEC holds the engine's locks.
    pub keyspace: Option<Keyspace>,
    /// What the job in hand means to a client that tracks.
    pub job_tracked: Option<Box<Tracked>>,
    /// What is told behind the reply of a slot. As many as Redis has sent before it went on.
    pub(super) notices: Vec<(u64, Notice)>,
    /// What the inbox gave at the last round.
    pub delivered: Delivered,
    /// CLIENT PAUSE holds the next request until then.
    pub paused_until: Option<Nanos>,
    /// Messages that came meanwhile.
    pub(super) held_back: BytesMut,
    /// What stands for the key of the read in hand in the list of large keys; 0 for other commands.
    pub key: u64,
    /// Bytes of the reply that is being passed on.
    pub relayed: usize,
}

/// What the command executed last means for another request of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// It has to be looked at.
    Anything,
    /// It goes straight to `read`.
    Read,
    /// The same, and where L1 has the reply nothing else is to be done.
    Hit,
}

/// CLIENT REPLY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mute {
    /// Replies are sent.
    #[default]
    No,
    /// OFF: none is.
    All,
    /// SKIP: that of the next command is not.
    Next,
    /// The command in hand is the skipped one.
    This,
}

impl Core {
    /// A session that has just been accepted.
    pub fn new(shared: Arc<Shared>, client: Arc<Client>) -> Self {
        let version = shared.version.load(Acquire);
        let settings = shared.settings.load_full();
        let recorder = shared.stats.recorder();
        let db = shared.upstream.as_ref().map_or(0, |upstream| upstream.first_db);
        Core {
            authenticated: settings.server.password.is_none(),
            settings,
            version,
            client,
            recorder,
            proto: Proto::Resp2,
            db,
            mute: Mute::No,
            transaction: None,
            watching: None,
            watch: None,
            keyspace: None,
            topics: Vec::new(),
            slots: Slots::default(),
            local: BytesMut::new(),
            out: Output::default(),
            batch: Batch::default(),
            place: 0,
            parked: 0,
            behind: Behind::new(shared.rules.gives_up),
            guard: Guard::default(),
            copied: Vec::new(),
            policy: shared.policy.load_full(),
            last: None,
            tracking: None,
            job_tracked: None,
            notices: Vec::new(),
            again: Again::Anything,
            bypass: false,
            fenced: false,
            lane_full: false,
            delivered: Delivered::default(),
            barrier: false,
            settled: false,
            paused_until: None,
            partial: false,
            held_back: BytesMut::new(),
            key: 0,
            relayed: 0,
            reply_size: FIRST_SIZE,
            closing: false,
            feed: Feed::default(),
            monitors: false,
            spaces: Spaces::default(),
            now: shared.clock.now(),
            about: None,
            shared,
        }
    }

    /// The upstream, if there is one.
    pub fn upstream(&self) -> Option<&Upstream> {
        self.shared.upstream.as_ref()
    }

    /// True while the reply of the command in hand is not to be sent.
    pub fn muted(&self) -> bool {
        matches!(self.mute, Mute::All | Mute::This)
    }

    // === replies of our own ===

    /// Answers a command here; the reply takes its turn.
    pub fn answer(&mut self, command: u16, served: Served, write: impl FnOnce(&mut Writer<'_>)) {
        self.tally(command, served);
        if self.muted() {
            return;
        }
        let direct = self.slots.is_empty();
        let out = if direct { &mut self.out.tail } else { &mut self.local };
        let start = out.len();
        write(&mut Writer::new(out, self.proto));
        let len = out.len() - start;
        if out.get(start) == Some(&b'-') {
            self.recorder.error_reply(&out[start..]);
            self.recorder.failed(command);
        }
        if !direct && len > 0 {
            let started = self.now;
            let owed = Owed::Local(len as u32);
            self.slots.push(Slot { owed, command, served, started, key: 0, muted: false });
        }
    }

    /// Refuses a command with an error of our own.
    pub fn refuse(&mut self, command: u16, error: &[u8]) {
        self.recorder.rejected(command);
        self.answer(command, Served::Error, |writer| {
            writer.raw(b"-");
            writer.raw(error);
            writer.raw(b"\r\n");
        });
    }

    /// Counts a command that was answered here.
    pub fn tally(&mut self, command: u16, served: Served) {
        self.recorder.answered(command, served);
    }

    // === housekeeping ===

    /// True if another request may be executed now.
    pub fn may_execute(&self) -> bool {
        let waits = self.closing || self.lane_full || (self.barrier && !self.slots.is_empty());
        !waits && self.may_owe_more() && self.out.len() < super::MAX_UNWRITTEN
    }

    /// Whether one more reply may be owed: fewer, the larger the client's replies have been of late, so that
    /// one that does not read them cannot make us hold much more than `WINDOW_BYTES`.
    fn may_owe_more(&self) -> bool {
        let owed = self.slots.len() + 1;
        let fits = owed <= MIN_WINDOW || owed.saturating_mul(self.reply_size) <= WINDOW_BYTES;
        fits && owed <= self.settings.server.max_in_flight
    }

    /// Learns from the size of a reply: a mean in which the last eight weigh about two thirds.
    pub fn learn_size(&mut self, len: usize) {
        self.reply_size = (self.reply_size * 7 + len) / 8;
    }

    /// Begins a batch: one reading of the clock and of the configuration.
    pub fn begin(&mut self) {
        self.now = self.shared.clock.now();
        self.recorder.begin(self.now);
        self.about = self.shared.memory.as_ref().map(|engine| engine.now());
        self.begin_feed();
        if self.feed.wanted || self.shared.clients.pause(self.now).is_some() {
            self.again = Again::Anything;
        }
        self.read_settings();
    }

    /// Takes over the configuration that is in force now.
    pub fn read_settings(&mut self) {
        let version = self.shared.version.load(Acquire);
        if version != self.version {
            self.version = version;
            self.again = Again::Anything;
            self.settings = self.shared.settings.load_full();
            self.spaces.flush(&self.policy);
            self.policy = self.shared.policy.load_full();
        }
    }

    /// Ends a batch: sends what is to be sent and makes the counts visible.
    pub fn end(&mut self) {
        self.ask_for_fence();
        self.append();
        self.end_feed();
        self.spaces.flush(&self.policy);
        self.recorder.flush();
        self.count_unasked();
        let client = &self.client;
        client.active.store(self.now, Relaxed);
        client.db.store(self.db, Relaxed);
        let queued = self.transaction.as_ref().map_or(-1, |transaction| transaction.queued.len() as i64);
        client.multi.store(queued, Relaxed);
        client.output_bytes.store(self.out.len(), Relaxed);
    }

    /// Bytes of memory that its buffers take, about.
    pub fn held(&self) -> usize {
        self.out.held() + self.local.capacity() + self.batch.bytes.capacity()
    }

    /// Gives buffers back when nothing is going on: an idle session should cost next to nothing.
    pub fn release(&mut self) {
        self.client.inbox.release();
        if self.slots.is_empty() {
            self.slots.release();
            self.out.release();
            self.delivered.release();
            self.local = BytesMut::new();
            self.copied = Vec::new();
            self.spaces = Spaces::default();
            if self.batch.is_empty() {
                self.batch = Batch::default();
            }
        }
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.client.inbox.forget_task();
        self.stop_tracking();
        // What was not sent must not leave flights and pending writes behind in L1.
        if let Some(upstream) = &self.shared.upstream {
            upstream.router.home().abandon(&mut self.batch, Loss::NotSent);
        }
    }
}
