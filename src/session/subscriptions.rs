//! SUBSCRIBE and its kin: the client's list of topics, kept here; the subscriptions, in the hub.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;

use super::core::Core;
use super::dispatch::{Flow, Job};
use super::{End, Session};
use crate::command::{self, Command};
use crate::resp::{Args, Writer};
use crate::stats::{Served, UNLISTED};
use crate::timers;
use crate::upstream::{Family, Hub, Topic};

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
        self.job(Job::Unsubscribe(family, topics))
    }

    /// The count that confirmations show: channels and patterns together, shard channels apart.
    pub(super) fn topic_count(&self, family: Family) -> usize {
        let shard = family == Family::Shard;
        self.topics.iter().filter(|topic| (topic.family == Family::Shard) == shard).count()
    }
}

/// One confirmation.
pub(super) fn announce(writer: &mut Writer<'_>, verb: &str, name: Option<&[u8]>, count: usize) {
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
        let Some(hub) = self.hub() else { return Ok(()) };
        for topic in &topics {
            hub.subscribe(topic, client, &self.core.client.inbox);
        }
        let settled = self.until(|_| hub.settled(&topics, client)).await;
        let refused = topics.iter().find_map(|topic| hub.refusal(topic));
        if !matches!(settled, Ok(true)) || refused.is_some() {
            for topic in topics.iter().filter(|topic| !self.core.topics.contains(topic)) {
                hub.remove(topic, client);
            }
            settled?;
            let unreachable = "MASTERDOWN upstream is unreachable; not subscribed";
            self.core.refuse(id, refused.as_deref().unwrap_or(unreachable).as_bytes());
            return Ok(());
        }
        for topic in topics {
            if !self.core.topics.contains(&topic) {
                self.core.topics.push(topic.clone());
            }
            let count = self.core.topic_count(family);
            let (verb, name) = (family.subscribe(), Some(&topic.name[..]));
            self.core.answer(id, Served::Local, |writer| announce(writer, verb, name, count));
        }
        self.core.count_topics();
        Ok(())
    }

    /// Ends subscriptions, and confirms once the upstream has: what was published before arrives before
    /// the confirmation, and nobody counts the client after it.
    pub(super) async fn unsubscribe(&mut self, family: Family, topics: Vec<Topic>) -> Result<(), End> {
        let id = command::by_name(family.unsubscribe().as_bytes()).map_or(UNLISTED, |command| command.id);
        let client = self.core.client.id;
        let Some(hub) = self.hub() else { return Ok(()) };
        topics.iter().for_each(|topic| hub.unsubscribe(topic, client));
        if !self.until(|_| hub.settled(&topics, client)).await? {
            // The upstream is silent; no message will come from it either.
            topics.iter().for_each(|topic| hub.remove(topic, client));
        }
        self.look_after_client()?;
        let verb = family.unsubscribe();
        for topic in &topics {
            self.core.topics.retain(|other| other != topic);
            let count = self.core.topic_count(family);
            self.core.answer(id, Served::Local, |writer| announce(writer, verb, Some(&topic.name), count));
        }
        if topics.is_empty() {
            let count = self.core.topic_count(family);
            self.core.answer(id, Served::Local, |writer| announce(writer, verb, None, count));
        }
        self.core.count_topics();
        Ok(())
    }

    /// Waits until subscriptions that were changing have been settled, so that subscribers can be
    /// counted. Once only: whoever else comes and goes meanwhile must not hold up a publisher for ever.
    pub(super) async fn settle(&mut self, number: u64) -> Result<(), End> {
        let Some(hub) = self.hub() else { return Ok(()) };
        self.until(|session| hub.passed(number, &session.core.client.inbox)).await?;
        self.core.settled = true;
        Ok(())
    }

    fn hub(&self) -> Option<Arc<Hub>> {
        self.core.upstream().map(|upstream| Arc::clone(&upstream.hub))
    }

    /// Waits for something that the hub nudges us for; false if it takes too long.
    pub(super) async fn until(&mut self, mut done: impl FnMut(&Session) -> bool) -> Result<bool, End> {
        let upstream = self.core.settings.upstream.as_ref();
        let patience = upstream.map(|up| up.down_after + up.connect_timeout).unwrap_or_default();
        let inbox = Arc::clone(&self.core.client.inbox);
        let waiting = poll_fn(|cx| {
            // Registered first: what settles after the look is noticed by the nudge.
            let nudged = inbox.poll_nudge(cx).is_ready();
            if done(self) {
                return Poll::Ready(Ok(true));
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
        timers::timeout(patience, waiting).await.unwrap_or(Ok(false))
    }
}
