//! Subscriptions: one upstream connection for all subscribers of all clients, fanned out here.
//!
//! A message is released only after a fence on the lane: whoever reads a key because a message said
//! that it changed must not find the old value. When the connection is lost everything is subscribed
//! anew; what was published meanwhile is lost, as it is for any client of Redis that reconnects, and
//! `pubsub_resubscribes` counts it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tracing::{info, warn};

use super::fence::Fence;
use super::handshake::greet;
use super::inbox::Inbox;
use super::node::{Node, OpenError};
use super::topics::{Ask, Family, Topic, Topics};
use super::wire::{Wire, WireError, encode};
use crate::clock::Clock;
use crate::resp::{Cursor, Kind, Proto, frame_len};
use crate::stats::Stats;
use crate::timers;

/// Bytes of messages that may wait for one client before it is disconnected: the hard limit of
/// Redis's `client-output-buffer-limit pubsub`.
pub const MAX_WAITING: usize = 32 << 20;

/// Pause between attempts to connect while somebody is subscribed.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// All subscriptions of one upstream node.
pub struct Hub {
    node: Arc<Node>,
    topics: Mutex<Topics>,
    /// Something is to be sent, or the first subscriber has come.
    work: Notify,
    stats: Arc<Stats>,
    clock: Clock,
}

impl Hub {
    /// A hub without subscriptions; `run` serves it.
    pub fn new(node: Arc<Node>, stats: Arc<Stats>, clock: Clock) -> Arc<Self> {
        Arc::new(Hub { node, topics: Mutex::default(), work: Notify::new(), stats, clock })
    }

    /// Begins to subscribe a client, which is nudged when that is settled.
    pub fn subscribe(&self, topic: &Topic, client: u64, inbox: &Arc<Inbox>) {
        self.change(|topics| topics.join(topic, client, inbox));
    }

    /// Begins to end a client's subscription. It receives until that is settled, and is nudged then.
    pub fn unsubscribe(&self, topic: &Topic, client: u64) {
        self.change(|topics| topics.leave(topic, client));
    }

    /// Ends a client's subscription at once: the client is gone, or has given up.
    pub fn remove(&self, topic: &Topic, client: u64) {
        self.change(|topics| topics.remove(topic, client));
    }

    /// Ends all subscriptions of a client at once.
    pub fn remove_all(&self, client: u64) {
        self.change(|topics| topics.remove_all(client));
    }

    /// True when none of these waits to begin or to end for the client.
    pub fn settled(&self, topics: &[Topic], client: u64) -> bool {
        let state = self.topics.lock();
        topics.iter().all(|topic| state.settled(topic, client))
    }

    /// The error with which Redis refused a subscription.
    pub fn refusal(&self, topic: &Topic) -> Option<String> {
        self.topics.lock().refusal(topic)
    }

    /// How many more clients get a message to this channel than Redis counts; and what to wait for, with
    /// `passed`, if that cannot be said exactly now.
    pub fn more_receivers(&self, channel: &[u8], shard: bool) -> (i64, Option<u64>) {
        self.topics.lock().more_receivers(channel, shard)
    }

    /// The same for the subscribers of one topic.
    pub fn more_subscribers(&self, topic: &Topic) -> (i64, Option<u64>) {
        self.topics.lock().more_subscribers(topic)
    }

    /// What to wait for if Redis's list of topics may be out of date now.
    pub fn unsettled(&self) -> Option<u64> {
        self.topics.lock().unsettled()
    }

    /// Whether that is over; `inbox` is nudged when it is.
    pub fn passed(&self, number: u64, inbox: &Arc<Inbox>) -> bool {
        self.topics.lock().passed(number, inbox)
    }

    fn change(&self, change: impl FnOnce(&mut Topics)) {
        let mut topics = self.topics.lock();
        change(&mut topics);
        self.count(&topics);
        drop(topics);
        self.work.notify_one();
    }

    fn count(&self, topics: &Topics) {
        let (channels, patterns) = topics.count();
        self.stats.pubsub.channels.set(channels as u64);
        self.stats.pubsub.patterns.set(patterns as u64);
    }

    // === the task ===

    /// Keeps the subscriptions alive until dropped.
    pub async fn run(self: Arc<Self>) {
        let mut connected_before = false;
        let mut failures: u32 = 0;
        loop {
            while self.topics.lock().is_empty() {
                self.work.notified().await;
                connected_before = false;
            }
            match self.open().await {
                Ok(wire) => {
                    if connected_before {
                        self.stats.pubsub.resubscribes.inc();
                        info!("subscribed anew; messages published meanwhile were lost");
                    }
                    if failures > 0 {
                        info!(failures, "connected again for subscriptions");
                    }
                    (connected_before, failures) = (true, 0);
                    self.topics.lock().connected();
                    let error = Feed::new(&self, wire).serve().await;
                    self.change(Topics::lost);
                    warn!(%error, "subscription connection lost");
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    if is_worth_saying(failures) {
                        warn!(%error, failures, "no connection for subscriptions");
                    }
                    timers::sleep(RETRY_EVERY).await;
                }
            }
        }
    }

    async fn open(&self) -> Result<Wire, OpenError> {
        let target = self.node.target.load_full();
        let mut wire = self.node.dial().await?;
        let limit = target.connect.timeout;
        timers::timeout(limit, greet(&mut wire, Proto::Resp3, &target.credentials))
            .await
            .map_err(|_| OpenError::Slow(limit))??;
        Ok(wire)
    }

    /// Hands a message to every subscriber of its topic.
    fn fan_out(&self, topic: &Topic, message: Bytes) {
        let receivers = self.topics.lock().receivers(topic);
        for inbox in &receivers {
            if inbox.message(message.clone(), MAX_WAITING) {
                self.stats.pubsub.deliveries.inc();
            }
        }
    }
}

/// The first failure is news, and then ever fewer: the 2nd, the 4th, the 8th …
pub(super) fn is_worth_saying(failures: u32) -> bool {
    failures.is_power_of_two()
}

/// One connection of the hub.
struct Feed<'a> {
    hub: &'a Hub,
    wire: Wire,
    /// Messages wait for it.
    fence: Fence,
}

impl<'a> Feed<'a> {
    fn new(hub: &'a Hub, wire: Wire) -> Self {
        Feed { hub, wire, fence: Fence::default() }
    }

    async fn serve(mut self) -> WireError {
        let target = self.hub.node.target.load_full();
        loop {
            let round = async {
                self.send().await?;
                tokio::select! {
                    () = self.hub.work.notified() => Ok(None),
                    read = std::future::poll_fn(|cx| self.wire.poll_fill(cx)) => Ok::<_, WireError>(Some(read?)),
                }
            };
            // A quiet connection is asked from time to time, so that a half-open one is noticed. What has
            // been read is applied whole, however long its fence takes: that has a bound of its own.
            let done = match timers::timeout(target.reply_timeout, round).await {
                Ok(Ok(None)) => Ok(()),
                Ok(Ok(Some(0))) => Err(WireError::Closed),
                Ok(Ok(Some(_))) => self.apply().await,
                Ok(Err(error)) => Err(error),
                Err(_) => self.ping().await,
            };
            if let Err(error) = done {
                return error;
            }
        }
    }

    /// Sends what has been asked for since.
    async fn send(&mut self) -> Result<(), WireError> {
        let mut out = BytesMut::new();
        {
            let mut topics = self.hub.topics.lock();
            while let Some(ask) = topics.send() {
                match ask {
                    Ask::Subscribe(topic) => {
                        encode(&[topic.family.subscribe().as_bytes(), &topic.name], &mut out)
                    }
                    Ask::Unsubscribe(topic) => {
                        encode(&[topic.family.unsubscribe().as_bytes(), &topic.name], &mut out)
                    }
                    Ask::Ping(_) => encode(&[b"PING"], &mut out),
                }
            }
        }
        if !out.is_empty() {
            self.wire.stream.write_all(&out).await?;
            self.wire.stream.flush().await?;
        }
        Ok(())
    }

    /// PING; something must come within the same time.
    async fn ping(&mut self) -> Result<(), WireError> {
        let target = self.hub.node.target.load_full();
        self.hub.topics.lock().ping();
        self.send().await?;
        let read = timers::timeout(target.reply_timeout, std::future::poll_fn(|cx| self.wire.poll_fill(cx)));
        match read.await {
            Ok(Ok(n)) if n > 0 => self.apply().await,
            Ok(Err(error)) => Err(error.into()),
            _ => Err(WireError::Closed),
        }
    }

    /// Applies everything complete that was read, in its order: what came before an answer is for those
    /// who were subscribed before it. If there are messages, all of it happens behind a fence.
    async fn apply(&mut self) -> Result<(), WireError> {
        let mut frames = Vec::new();
        let mut messages = 0;
        while let Some(len) = frame_len(&self.wire.read)? {
            let frame = self.wire.read.split_to(len).freeze();
            let sorted = sort(&frame);
            messages += u64::from(matches!(sorted, Sorted::Message(_)));
            frames.push((sorted, frame));
        }
        if messages > 0 {
            self.hub.stats.pubsub.messages.add(messages);
            self.fence.pass(&self.hub.node, self.hub.clock).await;
        }
        for (sorted, frame) in frames {
            match sorted {
                Sorted::Message(topic) => self.hub.fan_out(&topic, as_push(frame)),
                Sorted::Answer(ask) => self.answered(&ask),
                Sorted::Error(text) => self.hub.change(|topics| topics.answer(Some(text))),
                Sorted::Other => {}
            }
        }
        Ok(())
    }

    /// Redis also ends subscriptions by itself, when a slot moves or a permission is taken away; what
    /// does not answer the oldest request is not an answer.
    fn answered(&self, answer: &Ask) {
        self.hub.change(|topics| match (topics.expected(), answer) {
            (Some(Ask::Ping(_)), Ask::Ping(_)) => topics.answer(None),
            (Some(expected), answer) if expected == answer => topics.answer(None),
            _ => {}
        });
    }
}

/// What arrived on the subscription connection.
enum Sorted {
    Message(Topic),
    Answer(Ask),
    Error(String),
    Other,
}

fn sort(frame: &Bytes) -> Sorted {
    let mut cursor = Cursor::new(frame);
    let _header = cursor.read();
    let mut string = || match cursor.read() {
        Some(Kind::Bulk(bytes)) => Some(frame.slice_ref(bytes)),
        _ => None,
    };
    match frame.first() {
        Some(b'-') => return Sorted::Error(String::from_utf8_lossy(&frame[1..]).trim_end().to_owned()),
        Some(b'+') => return Sorted::Answer(Ask::Ping(Vec::new())),
        Some(b'>' | b'*') => {}
        _ => return Sorted::Other,
    }
    let (Some(verb), Some(name)) = (string(), string()) else { return Sorted::Other };
    let topic = |family| Topic { family, name };
    match &verb[..] {
        b"message" => Sorted::Message(topic(Family::Channel)),
        b"pmessage" => Sorted::Message(topic(Family::Pattern)),
        b"smessage" => Sorted::Message(topic(Family::Shard)),
        b"subscribe" => Sorted::Answer(Ask::Subscribe(topic(Family::Channel))),
        b"psubscribe" => Sorted::Answer(Ask::Subscribe(topic(Family::Pattern))),
        b"ssubscribe" => Sorted::Answer(Ask::Subscribe(topic(Family::Shard))),
        b"unsubscribe" => Sorted::Answer(Ask::Unsubscribe(topic(Family::Channel))),
        b"punsubscribe" => Sorted::Answer(Ask::Unsubscribe(topic(Family::Pattern))),
        b"sunsubscribe" => Sorted::Answer(Ask::Unsubscribe(topic(Family::Shard))),
        b"pong" => Sorted::Answer(Ask::Ping(Vec::new())),
        _ => Sorted::Other,
    }
}

/// The message in RESP3 form, whatever the connection speaks.
fn as_push(frame: Bytes) -> Bytes {
    if frame.first() == Some(&b'>') {
        return frame;
    }
    let mut push = BytesMut::from(&frame[..]);
    push[0] = b'>';
    push.freeze()
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
