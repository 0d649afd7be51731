//! Publish and subscribe without an upstream: who listens to what, here, and delivery to them.
//!
//! One lock over all subscriptions, held while a message is put into the inboxes: so all subscribers see
//! messages in one order, and PUBLISH counts exactly whom it reached. A client takes what is in its inbox
//! before it is told of a change of its own subscriptions or of its own PUBLISH, so that messages and
//! replies come in the order in which things happened.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use super::core::Core;
use super::dispatch::Flow;
use super::subscriptions::announce;
use crate::command::Command;
use crate::resp::{Args, Proto, Writer};
use crate::stats::{Served, Stats};
use crate::store::glob_match;
use crate::upstream::{Family, Inbox, Topic};

/// Bytes of messages that may wait for one client before it is disconnected: the hard limit of
/// Redis's `client-output-buffer-limit pubsub`.
const MAX_WAITING: usize = 32 << 20;

/// All subscriptions of all clients.
#[derive(Default)]
pub struct Bus {
    state: Mutex<State>,
}

type Subscribers = Vec<(u64, Arc<Inbox>)>;

#[derive(Default)]
struct State {
    /// Channels and shard channels.
    channels: HashMap<Topic, Subscribers, ahash::RandomState>,
    /// Patterns, in the order in which they were first asked for.
    patterns: Vec<(Topic, Subscribers)>,
}

impl State {
    fn count(&self, stats: &Stats) {
        stats.pubsub.patterns.set(self.patterns.len() as u64);
        stats.pubsub.channels.set(self.channels.len() as u64);
    }
}

impl Bus {
    /// Subscribes a client.
    pub fn subscribe(&self, topic: &Topic, client: u64, inbox: &Arc<Inbox>, stats: &Stats) {
        let mut state = self.state.lock();
        let subscribers = if topic.family == Family::Pattern {
            let at = state.patterns.iter().position(|(other, _)| other == topic);
            let at = at.unwrap_or_else(|| {
                state.patterns.push((topic.clone(), Vec::new()));
                state.patterns.len() - 1
            });
            &mut state.patterns[at].1
        } else {
            state.channels.entry(topic.clone()).or_default()
        };
        if !subscribers.iter().any(|(id, _)| *id == client) {
            subscribers.push((client, Arc::clone(inbox)));
        }
        state.count(stats);
    }

    /// Ends one subscription of a client.
    pub fn unsubscribe(&self, topic: &Topic, client: u64, stats: &Stats) {
        let mut state = self.state.lock();
        if topic.family == Family::Pattern {
            if let Some(at) = state.patterns.iter().position(|(other, _)| other == topic) {
                state.patterns[at].1.retain(|(id, _)| *id != client);
                if state.patterns[at].1.is_empty() {
                    state.patterns.remove(at);
                }
            }
        } else if let Some(subscribers) = state.channels.get_mut(topic) {
            subscribers.retain(|(id, _)| *id != client);
            if subscribers.is_empty() {
                state.channels.remove(topic);
            }
        }
        state.count(stats);
    }

    /// Ends all subscriptions of a client.
    pub fn leave(&self, client: u64, stats: &Stats) {
        let mut state = self.state.lock();
        let stay = |subscribers: &mut Subscribers| {
            subscribers.retain(|(id, _)| *id != client);
            !subscribers.is_empty()
        };
        state.channels.retain(|_, subscribers| stay(subscribers));
        state.patterns.retain_mut(|(_, subscribers)| stay(subscribers));
        state.count(stats);
    }

    /// Delivers a message; how many received it.
    pub fn publish(&self, channel: &[u8], shard: bool, text: &[u8], stats: &Stats) -> usize {
        let family = if shard { Family::Shard } else { Family::Channel };
        let topic = Topic { family, name: Bytes::copy_from_slice(channel) };
        let state = self.state.lock();
        let mut receivers = 0;
        if let Some(subscribers) = state.channels.get(&topic) {
            let kind: &[u8] = if shard { b"smessage" } else { b"message" };
            receivers += deliver(subscribers, &[kind, channel, text]);
        }
        for (pattern, subscribers) in state.patterns.iter().filter(|_| !shard) {
            if glob_match(&pattern.name, channel) {
                receivers += deliver(subscribers, &[b"pmessage", &pattern.name, channel, text]);
            }
        }
        stats.pubsub.messages.inc();
        stats.pubsub.deliveries.add(receivers as u64);
        receivers
    }

    /// The channels that somebody listens to.
    fn channels(&self, family: Family, pattern: Option<&[u8]>) -> Vec<Bytes> {
        let state = self.state.lock();
        let topics = state.channels.keys().filter(|topic| topic.family == family);
        let wanted = |topic: &&Topic| pattern.is_none_or(|pattern| glob_match(pattern, &topic.name));
        topics.filter(wanted).map(|topic| topic.name.clone()).collect()
    }

    fn subscribers(&self, family: Family, name: &[u8]) -> usize {
        let topic = Topic { family, name: Bytes::copy_from_slice(name) };
        self.state.lock().channels.get(&topic).map_or(0, Vec::len)
    }

    fn patterns(&self) -> usize {
        self.state.lock().patterns.len()
    }
}

fn deliver(subscribers: &Subscribers, parts: &[&[u8]]) -> usize {
    let mut out = BytesMut::new();
    let mut writer = Writer::new(&mut out, Proto::Resp3);
    writer.push(parts.len());
    parts.iter().for_each(|part| writer.bulk(part));
    let message = out.freeze();
    subscribers.iter().filter(|(_, inbox)| inbox.message(message.clone(), MAX_WAITING)).count()
}

impl Core {
    /// SUBSCRIBE, UNSUBSCRIBE and their kin.
    pub(super) fn subscription_here(&mut self, command: &Command, args: Args<'_>) {
        let family = match command.name {
            "psubscribe" | "punsubscribe" => Family::Pattern,
            "ssubscribe" | "sunsubscribe" => Family::Shard,
            _ => Family::Channel,
        };
        let subscribe = command.name == family.subscribe();
        let verb = if subscribe { family.subscribe() } else { family.unsubscribe() };
        let named = args.skip(1).iter().map(|name| Topic { family, name: Bytes::copy_from_slice(name) });
        let mut topics: Vec<Topic> = named.collect();
        if topics.is_empty() {
            topics = self.topics.iter().filter(|topic| topic.family == family).cloned().collect();
        }
        if subscribe && !self.topics.is_empty() {
            self.catch_up();
        }
        let mut counts = Vec::with_capacity(topics.len());
        let shared = Arc::clone(&self.shared);
        for topic in &topics {
            if !subscribe {
                self.topics.retain(|other| other != topic);
                shared.bus.unsubscribe(topic, self.client.id, &shared.stats);
            } else if !self.topics.contains(topic) {
                self.topics.push(topic.clone());
                shared.bus.subscribe(topic, self.client.id, &self.client.inbox, &shared.stats);
            }
            counts.push(self.topic_count(family));
        }
        self.count_topics();
        if !subscribe {
            self.catch_up();
        }
        let left = self.topic_count(family);
        self.answer(command.id, Served::Local, |writer| {
            if topics.is_empty() {
                announce(writer, verb, None, left);
            }
            for (topic, count) in topics.iter().zip(counts) {
                announce(writer, verb, Some(&topic.name), count);
            }
        });
    }

    /// PUBLISH and SPUBLISH.
    pub(super) fn publish_here(&mut self, command: &Command, args: Args<'_>) {
        let shared = &self.shared;
        let shard = command.name == "spublish";
        let receivers = shared.bus.publish(&args[1], shard, &args[2], &shared.stats);
        if !self.topics.is_empty() {
            self.catch_up();
        }
        self.answer(command.id, Served::Local, |writer| writer.int(receivers as i64));
    }

    /// PUBSUB.
    pub(super) fn pubsub_here(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let bus = &self.shared.bus;
        let shard = command.name.starts_with("pubsub|shard");
        let family = if shard { Family::Shard } else { Family::Channel };
        match command.name {
            "pubsub|numpat" => {
                let count = bus.patterns();
                self.answer(command.id, Served::Local, |writer| writer.int(count as i64));
            }
            "pubsub|numsub" | "pubsub|shardnumsub" => {
                let names = args.skip(2);
                let counts: Vec<usize> = names.iter().map(|name| bus.subscribers(family, name)).collect();
                self.answer(command.id, Served::Local, |writer| {
                    writer.array(2 * counts.len());
                    for (name, count) in names.iter().zip(counts) {
                        writer.bulk(name);
                        writer.int(count as i64);
                    }
                });
            }
            "pubsub|help" => self.help(command),
            _ if args.len() > 3 => {
                return self.wrong_subcommand(command, &args);
            }
            _ => {
                let channels = bus.channels(family, args.get(2));
                self.answer(command.id, Served::Local, |writer| {
                    writer.array(channels.len());
                    channels.iter().for_each(|channel| writer.bulk(channel));
                });
            }
        }
        Flow::Next
    }

    /// Takes the messages that are there already: what comes next happened after them.
    fn catch_up(&mut self) {
        if self.take_replies().is_some() {
            // An order to end was among them; the session sees it as soon as it looks around.
            self.client.inbox.nudge();
        }
    }
}
