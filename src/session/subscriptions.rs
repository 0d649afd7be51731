//! SUBSCRIBE and its kin: the client's list of topics, kept here; the subscriptions, in the hub.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;

use super::core::Core;
use super::dispatch::{Flow, Job};
use super::{End, Session};
use crate::command::{self, Command};
use crate::resp::{Args, Writer};
use crate::stats::{Served, UNLISTED};
use crate::upstream::{Family, Standing, Topic};

impl Core {
    /// Executes a command of class PubSub.
    pub fn subscription(&mut self, command: &'static Command, args: Args<'_>) -> Flow {
        if !self.slots.is_empty() {
            return Flow::Wait;
        }
        let family = match command.name {
            "psubscribe" | "punsubscribe" => Family::Pattern,
            "ssubscribe" | "sunsubscribe" => Family::Shard,
            _ => Family::Channel,
        };
        let named = args.skip(1).iter().map(|name| Topic { family, name: Bytes::copy_from_slice(name) });
        if command.name == family.subscribe() {
            return self.job(Job::Subscribe(named.collect()));
        }
        let mut topics: Vec<Topic> = named.collect();
        if topics.is_empty() {
            topics = self.topics.iter().filter(|topic| topic.family == family).cloned().collect();
        }
        self.unsubscribe(command.id, family, topics);
        Flow::Next
    }

    fn unsubscribe(&mut self, id: u16, family: Family, topics: Vec<Topic>) {
        let client = self.client.id;
        let none = topics.is_empty();
        let mut counts = Vec::with_capacity(topics.len());
        for topic in &topics {
            self.topics.retain(|other| other != topic);
            if let Some(upstream) = self.upstream() {
                upstream.hub.unsubscribe(topic, client);
            }
            counts.push(self.topic_count(family));
        }
        self.count_topics();
        let left = self.topic_count(family);
        self.answer(id, Served::Local, |writer| {
            if none {
                announce(writer, family.unsubscribe(), None, left);
            }
            for (topic, count) in topics.iter().zip(counts) {
                announce(writer, family.unsubscribe(), Some(&topic.name), count);
            }
        });
    }

    /// The count that confirmations show: channels and patterns together, shard channels apart.
    fn topic_count(&self, family: Family) -> usize {
        let shard = family == Family::Shard;
        self.topics.iter().filter(|topic| (topic.family == Family::Shard) == shard).count()
    }
}

fn announce(writer: &mut Writer<'_>, verb: &str, name: Option<&[u8]>, count: usize) {
    writer.push(3);
    writer.bulk(verb.as_bytes());
    match name {
        Some(name) => writer.bulk(name),
        None => writer.null(),
    }
    writer.int(count as i64);
}

impl Session {
    /// Subscribes, and confirms once the upstream has: what is published after the confirmation
    /// arrives.
    pub(super) async fn subscribe(&mut self, topics: Vec<Topic>) -> Result<(), End> {
        let Some(family) = topics.first().map(|topic| topic.family) else { return Ok(()) };
        let id = command::by_name(family.subscribe().as_bytes()).map_or(UNLISTED, |command| command.id);
        let client = self.core.client.id;
        let inbox = self.core.client.inbox.clone();
        let Some(upstream) = &self.core.shared.upstream else { return Ok(()) };
        let hub = upstream.hub.clone();
        for topic in &topics {
            hub.subscribe(topic, client, &inbox);
        }
        let patience = self
            .core
            .settings
            .upstream
            .as_ref()
            .map(|up| up.down_after + up.connect_timeout)
            .unwrap_or_default();
        let settled = poll_fn(|cx| {
            // Registered first: what settles after the look is noticed by the nudge.
            let nudged = inbox.poll_nudge(cx).is_ready();
            if topics.iter().all(|topic| hub.standing(topic) != Standing::Waiting) {
                return Poll::Ready(Ok(()));
            }
            if let Some(close) = inbox.closed() {
                return Poll::Ready(Err(End::Closed(close)));
            }
            if nudged {
                cx.waker().wake_by_ref();
            }
            match self.poll_client(cx) {
                Ok(()) => Poll::Pending,
                Err(end) => Poll::Ready(Err(end)),
            }
        });
        let in_time = match tokio::time::timeout(patience, settled).await {
            Ok(result) => result.map(|()| true),
            Err(_) => Ok(false),
        };
        if !matches!(in_time, Ok(true)) {
            topics.iter().filter(|topic| !self.core.topics.contains(topic)).for_each(|topic| {
                hub.unsubscribe(topic, client);
            });
            in_time?;
            self.core.refuse(id, b"MASTERDOWN upstream is unreachable; not subscribed");
            return Ok(());
        }
        for topic in topics {
            self.confirm(id, topic);
        }
        self.core.count_topics();
        Ok(())
    }

    fn confirm(&mut self, id: u16, topic: Topic) {
        let Some(upstream) = &self.core.shared.upstream else { return };
        let hub = upstream.hub.clone();
        if let Standing::Refused(text) = hub.standing(&topic) {
            hub.unsubscribe(&topic, self.core.client.id);
            self.core.refuse(id, text.as_bytes());
            return;
        }
        if !self.core.topics.contains(&topic) {
            self.core.topics.push(topic.clone());
        }
        let count = self.core.topic_count(topic.family);
        let verb = topic.family.subscribe();
        self.core.answer(id, Served::Local, |writer| announce(writer, verb, Some(&topic.name), count));
    }
}
