//! Asking L1: whether a read can be served, and what is to be done if not.

use std::sync::Arc;

use super::core::{Again, Core};
use super::scout::Scout;
use crate::clock::Nanos;
use crate::command::{Cache, Command, Group};
use crate::near::{Looked, MGET_ELEMENT, MultiLooked, Plain, ReadOf, Settings};
use crate::resp::{Args, Proto, Writer, render_resp2};
use crate::settings::CacheMode;
use crate::stats::Served;
use crate::store::EntryKey;
use crate::upstream::{Check, Effect, Judge, Pending, Question, To, Tracked, Waiter};

/// Keys of one MGET that are fetched for L1; those of longer ones are not. Bounds what one request adds to
/// the lane.
const MAX_FETCHED: usize = 1024;

/// A read in hand.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub command: &'static Command,
    pub args: Args<'a>,
    pub db: u32,
    /// When.
    pub at: Nanos,
    /// The slot that its reply has or will get.
    pub seq: u64,
    pub muted: bool,
    /// Its client tracks what it reads.
    pub tracked: bool,
}

/// What looking a read up has led to.
pub(super) enum Outcome {
    /// It has been answered with so many bytes.
    Hit(u32),
    /// It waits for its turn.
    Wait,
    /// It waits for another client's fetch, which is at this place of the lane.
    Joined(u64),
    /// It is to be sent.
    Send(Effect, Served),
}

impl Outcome {
    /// How the read is served, if that is decided.
    pub fn served(&self) -> Option<Served> {
        match self {
            Outcome::Hit(_) => Some(Served::Hit),
            Outcome::Joined(_) => Some(Served::Coalesced),
            Outcome::Send(_, served) => Some(*served),
            Outcome::Wait => None,
        }
    }

    fn bypass() -> Self {
        Outcome::Send(Effect::None, Served::Bypass)
    }

    /// What is sent for a read that L1 does not answer.
    fn missed(command: &Command, looked: Looked) -> Self {
        match looked {
            Looked::Fetch(flight) => Outcome::Send(Effect::Fetch(flight, judge(command)), Served::Miss),
            Looked::Plain(Plain::Uncached | Plain::Closed) => Outcome::bypass(),
            _ => Outcome::Send(Effect::None, Served::Miss),
        }
    }
}

impl Asked<'_> {
    /// It names one key, though others of its command name several.
    fn is_exists_of_one(&self) -> bool {
        self.command.cache == Cache::PerKey && self.args.len() == 2 && self.command.name == "exists"
    }
}

impl Core {
    /// Whether L1's reply to such a command is all that there is to a hit, as long as only reads of that name
    /// follow: no counting by namespace, no comparing, no asking for fresher ones.
    pub(super) fn hits_need_no_more(&self, command: &Command) -> bool {
        let asks =
            command.cache == Cache::SingleKey && !self.bypass && !self.fenced && self.watching.is_none();
        let plain = self.policy.default.cache && self.policy.namespaces.is_empty();
        asks && plain && !self.observes() && self.settings.cache.verify == 0.0
    }

    /// More requests follow in the buffer, from `end` on: likely reads as this one.
    #[inline]
    pub(super) fn look_ahead(&self, scout: &mut Scout, read: &[u8], end: usize) {
        if self.again == Again::Hit
            && let Some(upstream) = &self.shared.upstream
        {
            scout.go_on(read, end, upstream.router.home().l1());
        }
    }

    /// The shortest way to a hit, for which `hits_need_no_more`. False: nothing was done.
    #[inline(always)]
    pub(super) fn hit(&mut self, command: &'static Command, args: &Args<'_>) -> bool {
        if !self.slots.is_empty() {
            return false;
        }
        let Some(upstream) = &self.shared.upstream else { return false };
        let lane = upstream.router.lane_of(&args[1]);
        let (identity, rest) = (lane.key().identity, args.skip(2));
        let key = EntryKey { identity, db: self.db, command: command.id, key: &args[1], rest };
        let (out, resp3) = (&mut self.out.tail, self.proto == Proto::Resp3);
        let hit = lane.l1().hit(lane.id(), &key, self.now, |reply| {
            let takes = resp3 || is_same_in_both(reply);
            if takes {
                out.extend_from_slice(reply);
            }
            takes
        });
        if hit {
            self.tally(command.id, Served::Hit);
        }
        hit
    }

    /// Asks L1. A hit has been written when this returns. There is one copy of this and of all that a hit
    /// needs; the rest is elsewhere.
    #[inline(never)]
    pub(super) fn look(&mut self, asked: &Asked<'_>, unanswered: Option<u64>) -> Outcome {
        self.spaces.begin();
        if self.bypass || (self.watching.is_some() && self.shared.rules.watch_bypasses) {
            self.spaces.note_all(&self.policy, asked.command, &asked.args);
            return Outcome::bypass();
        }
        // Where Redis announces nothing there is nothing that a client that tracks could be told.
        if asked.tracked && !self.tracked() {
            return Outcome::bypass();
        }
        if asked.command.cache == Cache::SingleKey || asked.is_exists_of_one() {
            self.look_up(asked, unanswered)
        } else {
            self.look_up_each(asked, unanswered)
        }
    }

    #[inline(always)]
    fn look_up(&mut self, asked: &Asked<'_>, unanswered: Option<u64>) -> Outcome {
        let Some(upstream) = &self.shared.upstream else { return Outcome::bypass() };
        let key = &asked.args[1];
        let lane = upstream.router.lane_of(key);
        let (space, settings) = self.policy.resolve(key);
        self.spaces.note(space);
        if !settings.cache {
            return Outcome::bypass();
        }
        let (identity, rest) = (lane.key().identity, asked.args.skip(2));
        let mut read = ReadOf {
            lane: lane.id(),
            key: EntryKey { identity, db: asked.db, command: asked.command.id, key, rest },
            settings: *settings,
            unanswered,
            asked: asked.at,
            fenced: self.fenced,
        };
        if asked.command.group == Group::Hash && upstream.node.vigil.hash_fields_end() {
            read.settings.max_age = settings.max_age.min(settings.hash_max_age);
        }
        if self.observes() {
            return self.observe(asked, &read);
        }
        if unanswered.is_some() && !self.behind.asks() {
            return Outcome::Send(Effect::None, Served::Miss);
        }
        let direct = self.slots.first_seq() == asked.seq;
        let out = if direct { &mut self.out.tail } else { &mut self.local };
        let before = out.len();
        let (proto, copied, client) = (self.proto, &mut self.copied, &*self.client);
        let Asked { seq, muted, tracked, .. } = *asked;
        let audience = lane.audience();
        let mut registering = if tracked { Some((audience, client.id, key, None)) } else { None };
        let looked = {
            // What the closures need moves into them: that is less than borrowing it once more.
            let (registering, out, copied) = (&mut registering, &mut *out, &mut *copied);
            let waiter = move || {
                let tracked = tracked.then(|| Box::new(Tracked::reading(client.id, asked.args.only(1))));
                Waiter { inbox: Arc::clone(&client.inbox), seq, tracked }
            };
            lane.l1().read(&read, self.now, waiter, move |reply| {
                if let Some((audience, client, key, made_room)) = registering {
                    // Under the lock that a push of the key has to take.
                    *made_room = audience.table.register(*client, key);
                }
                match proto == Proto::Resp3 || is_same_in_both(reply) {
                    _ if muted => {}
                    true => out.extend_from_slice(reply),
                    false => copied.extend_from_slice(reply),
                }
            })
        };
        let Looked::Hit = looked else { return self.no_hit(asked, looked) };
        if let Some((audience, _, _, made_room)) = registering {
            audience.made_room(made_room);
        }
        if !copied.is_empty() {
            render_resp2(copied, asked.command.shape(&asked.args), out);
            copied.clear();
        }
        let written = (out.len() - before) as u32;
        if self.is_sampled() {
            self.verify(asked, Check::new(&read.key));
        }
        Outcome::Hit(written)
    }

    #[inline(never)]
    fn no_hit(&mut self, asked: &Asked<'_>, looked: Looked) -> Outcome {
        match looked {
            Looked::Joined { seq } => Outcome::Joined(seq),
            Looked::Parked => Outcome::Wait,
            Looked::Guarded => self.guarded(),
            looked => Outcome::missed(asked.command, looked),
        }
    }

    /// A read of several keys; MGET and EXISTS: all keys from L1 at one moment, or the whole command is sent.
    #[inline(never)]
    fn look_up_each(&mut self, asked: &Asked<'_>, unanswered: Option<u64>) -> Outcome {
        if asked.command.cache != Cache::PerKey {
            return Outcome::Send(Effect::None, Served::Forwarded);
        }
        let (args, keys) = (asked.args, asked.args.skip(1));
        if !self.may_cache_each(keys) {
            return Outcome::bypass();
        }
        let Some(upstream) = &self.shared.upstream else { return Outcome::bypass() };
        let lane = upstream.router.home();
        let mget = asked.command.name == "mget";
        let command = if mget { MGET_ELEMENT } else { asked.command.id };
        let identity = lane.key().identity;
        let template = ReadOf {
            lane: lane.id(),
            key: EntryKey { identity, db: asked.db, command, key: b"", rest: args.skip(args.len()) },
            // Each key's own where it is fetched; all of them are cached.
            settings: Settings::default(),
            unanswered,
            asked: asked.at,
            fenced: self.fenced,
        };
        let observes = self.observes();
        if unanswered.is_some() && !observes && !self.behind.asks() {
            return Outcome::Send(Effect::None, Served::Miss);
        }
        let (looked, bytes) = self.read_each(asked, &template, mget);
        match looked {
            MultiLooked::Hit if observes => {
                self.shared.stats.l1.observed_bytes.add(u64::from(bytes));
                // What EXISTS counts is not kept key by key in its reply.
                let check = || Effect::Check(Box::new(Check::each(&template.key, keys)));
                Outcome::Send(if mget { check() } else { Effect::None }, Served::Observed)
            }
            MultiLooked::Guarded if observes => Outcome::Send(Effect::None, Served::Miss),
            MultiLooked::Hit if unanswered.is_some() => Outcome::Wait,
            MultiLooked::Guarded if unanswered.is_some() => Outcome::Wait,
            MultiLooked::Guarded => self.guarded(),
            MultiLooked::Hit => {
                if mget && self.is_sampled() {
                    self.verify(asked, Check::each(&template.key, keys));
                }
                Outcome::Hit(bytes)
            }
            MultiLooked::Miss => {
                let fetches = mget && keys.len() <= MAX_FETCHED;
                let effect = if fetches { self.fetch_each(&template, keys) } else { Effect::None };
                Outcome::Send(effect, Served::Miss)
            }
        }
    }

    /// Reads several keys from L1. If all are there, and that is what the client gets, the reply has been written.
    /// How long it is, or what an MGET's elements would have been.
    fn read_each(&mut self, asked: &Asked<'_>, read: &ReadOf, mget: bool) -> (MultiLooked, u32) {
        let Some(upstream) = &self.shared.upstream else { return (MultiLooked::Miss, 0) };
        let (lane, keys, proto) = (upstream.router.home(), asked.args.skip(1), self.proto);
        let direct = self.slots.first_seq() == asked.seq;
        let serves = read.unanswered.is_none() && !self.observes();
        let out = if direct { &mut self.out.tail } else { &mut self.local };
        let writes = serves && !asked.muted;
        let (before, mut sum, mut elements) = (out.len(), 0, 0);
        if writes && mget {
            Writer::new(out, proto).array(keys.len());
        }
        let (audience, client, mut made_room) = (lane.audience(), self.client.id, Vec::new());
        let looked = lane.l1().multi_read(read, keys, self.now, |i, reply| {
            if asked.tracked && read.unanswered.is_none() {
                made_room.extend(audience.table.register(client, &keys[i]));
            }
            elements += reply.len() as u32;
            sum += i64::from(reply == b":1\r\n");
            match reply {
                _ if !writes || !mget => {}
                // An element is a string or this.
                b"_\r\n" => Writer::new(out, proto).null(),
                string => out.extend_from_slice(string),
            }
        });
        made_room.into_iter().for_each(|told| audience.made_room(Some(told)));
        if looked != MultiLooked::Hit {
            // Some keys may have been there.
            out.truncate(before);
        } else if writes && !mget {
            Writer::new(out, proto).int(sum);
        }
        (looked, if serves { (out.len() - before) as u32 } else { elements })
    }

    /// Notes the namespaces of these keys; true if all of them may be cached.
    fn may_cache_each(&mut self, keys: Args<'_>) -> bool {
        let mut cached = true;
        for key in keys.iter() {
            let (space, settings) = self.policy.resolve(key);
            self.spaces.note(space);
            cached &= settings.cache;
        }
        cached
    }

    /// Begins fetches of those keys of an MGET that are worth it.
    fn fetch_each(&self, template: &ReadOf<'_>, keys: Args<'_>) -> Effect {
        let Some(upstream) = self.upstream() else { return Effect::None };
        let l1 = upstream.router.home().l1();
        let flights = keys.iter().enumerate().filter_map(|(place, key)| {
            let settings = *self.policy.resolve(key).1;
            let read = ReadOf { key: EntryKey { key, ..template.key }, settings, ..*template };
            Some((place as u32, l1.fetch(&read)?))
        });
        let flights: Box<[_]> = flights.collect();
        if flights.is_empty() { Effect::None } else { Effect::FetchEach(flights) }
    }

    // === dry run and sampled verification ===

    /// `cache.mode = "observe"`: nothing is served from L1, but it is filled, and what it would have
    /// served is compared with what the upstream says.
    fn observes(&self) -> bool {
        self.settings.cache.mode == CacheMode::Observe
    }

    #[inline(never)]
    fn observe(&mut self, asked: &Asked<'_>, read: &ReadOf<'_>) -> Outcome {
        let Some(upstream) = &self.shared.upstream else { return Outcome::bypass() };
        let mut len = 0;
        match upstream.router.home().l1().observe(read, self.now, |n| len = n) {
            Looked::Hit => {
                self.shared.stats.l1.observed_bytes.add(len as u64);
                Outcome::Send(Effect::Check(Box::new(Check::new(&read.key))), Served::Observed)
            }
            looked => Outcome::missed(asked.command, looked),
        }
    }

    /// Whether this hit is one of the share that `cache.verify` asks for.
    #[inline]
    fn is_sampled(&self) -> bool {
        let share = self.settings.cache.verify;
        share > 0.0 && fastrand::f64() < share
    }

    /// Reads upstream, in order, what has just been served, and compares.
    #[inline(never)]
    fn verify(&mut self, asked: &Asked<'_>, check: Check) {
        let raw = asked.args.encode();
        let to = To::Vigil(Question::Nothing);
        let effect = Effect::Check(Box::new(check));
        self.batch.push(&raw, Pending { db: asked.db, effect, ..Pending::new(to, 0, self.now) });
    }
}

/// A reply in RESP3 that is the same in RESP2.
fn is_same_in_both(reply: &[u8]) -> bool {
    matches!(reply.first(), Some(b'$' | b'+' | b':'))
}

/// How a reply tells that the key is missing.
fn judge(command: &Command) -> Judge {
    match command.name {
        "get" | "hgetall" | "hkeys" | "hvals" | "smembers" | "type" => Judge::Whole,
        "getrange" | "substr" => Judge::Range,
        _ => Judge::Part,
    }
}
