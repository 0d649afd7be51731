//! Subscriptions: one upstream connection for all subscribers of all clients, fanned out here.
//!
//! A message is released only after a fence on the lane: whoever reads a key because a message said
//! that it changed must not find the old value. When the connection is lost everything is subscribed
//! anew; what was published meanwhile is lost, as it is for any client of Redis that reconnects, and
//! `pubsub_resubscribes` counts it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tracing::{info, warn};

use super::handshake::greet;
use super::inbox::{Delivered, Event, Inbox};
use super::node::{Node, OpenError};
use super::queue::Batch;
use super::wire::{Wire, WireError, encode};
use crate::clock::Clock;
use crate::resp::{Cursor, Kind, Proto, frame_len};
use crate::stats::Stats;

/// Bytes of messages that may wait for one client before it is disconnected: the hard limit of
/// Redis's `client-output-buffer-limit pubsub`.
const MAX_WAITING: usize = 32 << 20;

/// Pause between attempts to connect while somebody is subscribed.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// The three families of subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// SUBSCRIBE
    Channel,
    /// PSUBSCRIBE
    Pattern,
    /// SSUBSCRIBE
    Shard,
}

impl Family {
    /// The command that subscribes, as Redis writes it in confirmations.
    pub fn subscribe(self) -> &'static str {
        match self {
            Family::Channel => "subscribe",
            Family::Pattern => "psubscribe",
            Family::Shard => "ssubscribe",
        }
    }

    /// The command that ends it.
    pub fn unsubscribe(self) -> &'static str {
        match self {
            Family::Channel => "unsubscribe",
            Family::Pattern => "punsubscribe",
            Family::Shard => "sunsubscribe",
        }
    }
}

/// What can be subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Topic {
    /// Channel, pattern or shard channel.
    pub family: Family,
    /// Its name.
    pub name: Bytes,
}

/// How a subscription stands upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Asked for, not confirmed.
    Waiting,
    /// Confirmed: messages arrive.
    Active,
    /// Refused with this error.
    Refused(String),
}

/// All subscriptions of one upstream node.
pub struct Hub {
    node: Arc<Node>,
    state: Mutex<State>,
    /// Something is to be sent, or the first subscriber has come.
    work: Notify,
    stats: Arc<Stats>,
    clock: Clock,
}

#[derive(Default)]
struct State {
    topics: HashMap<Topic, Subscription>,
    /// Requests not sent yet: (subscribe or unsubscribe, topic, generation).
    unsent: VecDeque<(bool, Topic, u64)>,
    /// Tells a subscription from an earlier one to the same topic, whose confirmation may be late.
    generation: u64,
}

struct Subscription {
    generation: u64,
    standing: Standing,
    subscribers: Vec<(u64, Arc<Inbox>)>,
}

impl Hub {
    /// A hub without subscriptions; `run` serves it.
    pub fn new(node: Arc<Node>, stats: Arc<Stats>, clock: Clock) -> Arc<Self> {
        Arc::new(Hub { node, state: Mutex::default(), work: Notify::new(), stats, clock })
    }

    /// Subscribes a client. It is nudged when the standing changes.
    pub fn subscribe(&self, topic: &Topic, client: u64, inbox: &Arc<Inbox>) -> Standing {
        let mut state = self.state.lock();
        state.generation += 1;
        let generation = state.generation;
        if let Some(subscription) = state.topics.get_mut(topic) {
            if !subscription.subscribers.iter().any(|(id, _)| *id == client) {
                subscription.subscribers.push((client, Arc::clone(inbox)));
            }
            return subscription.standing.clone();
        }
        let subscribers = vec![(client, Arc::clone(inbox))];
        let subscription = Subscription { generation, standing: Standing::Waiting, subscribers };
        state.topics.insert(topic.clone(), subscription);
        state.unsent.push_back((true, topic.clone(), generation));
        self.count(&state);
        drop(state);
        self.work.notify_one();
        Standing::Waiting
    }

    /// Ends a client's subscription; the last one's end is told upstream.
    pub fn unsubscribe(&self, topic: &Topic, client: u64) {
        let mut state = self.state.lock();
        let Some(subscription) = state.topics.get_mut(topic) else { return };
        subscription.subscribers.retain(|(id, _)| *id != client);
        if !subscription.subscribers.is_empty() {
            return;
        }
        state.topics.remove(topic);
        state.unsent.push_back((false, topic.clone(), 0));
        self.count(&state);
        drop(state);
        self.work.notify_one();
    }

    /// Ends all subscriptions of a client.
    pub fn leave(&self, client: u64) {
        let topics: Vec<Topic> = {
            let state = self.state.lock();
            let of_client =
                |subscription: &Subscription| subscription.subscribers.iter().any(|(id, _)| *id == client);
            state.topics.iter().filter(|(_, sub)| of_client(sub)).map(|(topic, _)| topic.clone()).collect()
        };
        topics.iter().for_each(|topic| self.unsubscribe(topic, client));
    }

    /// How a subscription stands.
    pub fn standing(&self, topic: &Topic) -> Standing {
        let state = self.state.lock();
        state.topics.get(topic).map_or(Standing::Waiting, |subscription| subscription.standing.clone())
    }

    /// How many clients of this proxy are subscribed to a topic, and whether the proxy's one
    /// connection counts upstream for it.
    pub fn subscribers(&self, topic: &Topic) -> (usize, usize) {
        let state = self.state.lock();
        state.topics.get(topic).map_or((0, 0), |subscription| {
            (subscription.subscribers.len(), usize::from(subscription.standing == Standing::Active))
        })
    }

    /// What PUBLISH to this channel counts here and upstream: (clients of ours that get the message,
    /// times that our one connection gets it).
    pub fn receivers(&self, channel: &[u8], shard: bool) -> (usize, usize) {
        let family = if shard { Family::Shard } else { Family::Channel };
        let (mut clients, mut upstream) =
            self.subscribers(&Topic { family, name: Bytes::copy_from_slice(channel) });
        if shard {
            return (clients, upstream);
        }
        let state = self.state.lock();
        for (topic, subscription) in &state.topics {
            if topic.family == Family::Pattern
                && subscription.standing == Standing::Active
                && crate::store::glob_match(&topic.name, channel)
            {
                clients += subscription.subscribers.len();
                upstream += 1;
            }
        }
        (clients, upstream)
    }

    fn count(&self, state: &State) {
        let patterns = state.topics.keys().filter(|topic| topic.family == Family::Pattern).count();
        self.stats.pubsub.patterns.set(patterns as u64);
        self.stats.pubsub.channels.set((state.topics.len() - patterns) as u64);
    }

    // === the task ===

    /// Keeps the subscriptions alive until dropped.
    pub async fn run(self: Arc<Self>) {
        let mut connected_before = false;
        loop {
            while self.state.lock().topics.is_empty() {
                self.work.notified().await;
                connected_before = false;
            }
            match self.open().await {
                Ok(wire) => {
                    if connected_before {
                        self.stats.pubsub.resubscribes.inc();
                        info!("subscribed anew; messages published meanwhile were lost");
                    }
                    connected_before = true;
                    let error = Feed::new(&self, wire).serve().await;
                    warn!(%error, "subscription connection lost");
                }
                Err(error) => {
                    warn!(%error, "no connection for subscriptions");
                    tokio::time::sleep(RETRY_EVERY).await;
                }
            }
            self.lost();
        }
    }

    async fn open(&self) -> Result<Wire, OpenError> {
        let target = self.node.target.load_full();
        let mut wire = self.node.dial().await?;
        let limit = target.connect.timeout;
        tokio::time::timeout(limit, greet(&mut wire, Proto::Resp3, &target.credentials))
            .await
            .map_err(|_| OpenError::Slow(limit))??;
        Ok(wire)
    }

    /// The connection is gone: every topic has to be asked for again.
    fn lost(&self) {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        state.unsent.clear();
        for (topic, subscription) in &mut state.topics {
            subscription.standing = Standing::Waiting;
            state.generation += 1;
            subscription.generation = state.generation;
            state.unsent.push_back((true, topic.clone(), state.generation));
        }
    }

    /// A confirmation, or a refusal, of one subscription has come.
    fn settle(&self, topic: &Topic, generation: u64, standing: Standing) {
        let mut state = self.state.lock();
        if let Some(subscription) = state.topics.get_mut(topic)
            && subscription.generation == generation
        {
            subscription.standing = standing;
            subscription.subscribers.iter().for_each(|(_, inbox)| inbox.nudge());
        }
    }

    /// Hands a message to every subscriber of its topic.
    fn fan_out(&self, topic: &Topic, message: Bytes) {
        let subscribers = match self.state.lock().topics.get(topic) {
            Some(subscription) => subscription.subscribers.clone(),
            None => return,
        };
        for (_, inbox) in &subscribers {
            if inbox.message(message.clone(), MAX_WAITING) {
                self.stats.pubsub.deliveries.inc();
            }
        }
    }
}

/// One connection of the hub.
struct Feed<'a> {
    hub: &'a Hub,
    wire: Wire,
    /// Subscriptions asked for and not confirmed, in the order asked.
    asked: VecDeque<(Topic, u64)>,
    /// Where the lane answers our fences.
    inbox: Arc<Inbox>,
    fences: u64,
}

impl<'a> Feed<'a> {
    fn new(hub: &'a Hub, wire: Wire) -> Self {
        Feed { hub, wire, asked: VecDeque::new(), inbox: Inbox::new(), fences: 0 }
    }

    async fn serve(mut self) -> WireError {
        let target = self.hub.node.target.load_full();
        loop {
            let round = async {
                self.send().await?;
                tokio::select! {
                    () = self.hub.work.notified() => Ok(()),
                    read = std::future::poll_fn(|cx| self.wire.poll_fill(cx)) => {
                        if read? == 0 { Err(WireError::Closed) } else { self.apply().await }
                    }
                }
            };
            // A quiet connection is asked from time to time, so that a half-open one is noticed.
            match tokio::time::timeout(target.reply_timeout, round).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                Err(_) => {
                    if let Err(error) = self.ping().await {
                        return error;
                    }
                }
            }
        }
    }

    /// Sends what has been asked for since.
    async fn send(&mut self) -> Result<(), WireError> {
        let mut out = BytesMut::new();
        {
            let mut state = self.hub.state.lock();
            for (subscribe, topic, generation) in state.unsent.drain(..) {
                let family = topic.family;
                let verb = if subscribe { family.subscribe() } else { family.unsubscribe() };
                encode(&[verb.as_bytes(), &topic.name], &mut out);
                if subscribe {
                    self.asked.push_back((topic, generation));
                }
            }
        }
        if !out.is_empty() {
            self.wire.stream.write_all(&out).await?;
            self.wire.stream.flush().await?;
        }
        Ok(())
    }

    /// PING, answered within the same time; messages that come first are kept for later.
    async fn ping(&mut self) -> Result<(), WireError> {
        let target = self.hub.node.target.load_full();
        self.wire.send(&[&[b"PING"]]).await?;
        let read =
            tokio::time::timeout(target.reply_timeout, std::future::poll_fn(|cx| self.wire.poll_fill(cx)));
        match read.await {
            Ok(Ok(n)) if n > 0 => self.apply().await,
            Ok(Err(error)) => Err(error.into()),
            _ => Err(WireError::Closed),
        }
    }

    /// Applies everything complete that was read: confirmations at once, messages behind a fence.
    async fn apply(&mut self) -> Result<(), WireError> {
        let mut messages = Vec::new();
        while let Some(len) = frame_len(&self.wire.read)? {
            let frame = self.wire.read.split_to(len).freeze();
            match sort(&frame) {
                Sorted::Message(topic) => messages.push((topic, frame)),
                Sorted::Confirmed(topic) => self.confirmed(topic),
                Sorted::Error(text) => self.refused(text),
                Sorted::Other => {}
            }
        }
        if !messages.is_empty() {
            self.hub.stats.pubsub.messages.add(messages.len() as u64);
            self.fence().await;
            messages.into_iter().for_each(|(topic, frame)| self.hub.fan_out(&topic, as_push(frame)));
        }
        Ok(())
    }

    fn confirmed(&mut self, topic: Topic) {
        if self.asked.front().is_some_and(|(asked, _)| *asked == topic)
            && let Some((topic, generation)) = self.asked.pop_front()
        {
            self.hub.settle(&topic, generation, Standing::Active);
        }
    }

    fn refused(&mut self, text: String) {
        if let Some((topic, generation)) = self.asked.pop_front() {
            self.hub.settle(&topic, generation, Standing::Refused(text));
        }
    }

    /// Waits until everything that the upstream had executed before now has been applied to L1. A
    /// lane that is away cannot be fenced; L1 is frozen then.
    async fn fence(&mut self) {
        self.fences += 1;
        let mut batch = Batch::default();
        batch.fence(&self.inbox, self.fences, self.hub.clock.now());
        if self.hub.node.lane.append(&mut batch, &self.inbox).is_err() {
            return;
        }
        let mut delivered = Delivered::default();
        loop {
            std::future::poll_fn(|cx| self.inbox.poll_ready(cx)).await;
            self.inbox.take(&mut delivered);
            let fenced = |event: &Event| matches!(event, Event::Fenced { seq } if *seq == self.fences);
            if delivered.events.iter().any(fenced) {
                return;
            }
        }
    }
}

/// What arrived on the subscription connection.
enum Sorted {
    Message(Topic),
    Confirmed(Topic),
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
        Some(b'>' | b'*') => {}
        _ => return Sorted::Other,
    }
    let (Some(verb), Some(name)) = (string(), string()) else { return Sorted::Other };
    let (family, message) = match &verb[..] {
        b"message" => (Family::Channel, true),
        b"pmessage" => (Family::Pattern, true),
        b"smessage" => (Family::Shard, true),
        b"subscribe" => (Family::Channel, false),
        b"psubscribe" => (Family::Pattern, false),
        b"ssubscribe" => (Family::Shard, false),
        _ => return Sorted::Other,
    };
    let topic = Topic { family, name };
    if message { Sorted::Message(topic) } else { Sorted::Confirmed(topic) }
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
