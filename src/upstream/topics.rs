//! Who is subscribed to what, here and upstream: the state of the hub, without its connection.
//!
//! The one idea: the connection answers requests in order, and whatever Redis sent before an answer
//! arrives before it. So every change of membership is tied to a request: SUBSCRIBE for the first
//! member of a topic, UNSUBSCRIBE for the last, PING when others stay. A client that joins receives
//! from that answer on, one that leaves receives until then, as if each had a connection of its own.
//!
//! A topic whose SUBSCRIBE or UNSUBSCRIBE is on its way is in flux: nobody here knows whether Redis
//! counts our connection for it. PUBLISH waits for the answer; outside of flux the count is exact.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::inbox::Inbox;
use crate::store::glob_match;

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

/// One request on the subscription connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The first member of a topic has come.
    Subscribe(Topic),
    /// The last one leaves.
    Unsubscribe(Topic),
    /// Members of these come or go while others stay.
    Ping(Vec<Topic>),
}

/// How a topic stands upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// SUBSCRIBE is on its way, or will be once there is a connection.
    Asked,
    /// Redis counts our connection.
    Active,
    /// UNSUBSCRIBE is on its way.
    Ending,
    /// SUBSCRIBE was refused with this error.
    Refused(String),
}

struct Subscription {
    standing: Standing,
    /// The number of the request that decides the standing; answers to earlier ones are history.
    decided_by: u64,
    members: Vec<Member>,
}

struct Member {
    client: u64,
    inbox: Arc<Inbox>,
    state: Membership,
}

/// Numbers are those of the requests whose answers end the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Membership {
    Joining(u64),
    In,
    Leaving(u64),
}

impl Member {
    fn receives(&self) -> bool {
        !matches!(self.state, Membership::Joining(_))
    }

    fn leaves(&self) -> bool {
        matches!(self.state, Membership::Leaving(_))
    }
}

/// All topics, and the requests that are on their way.
#[derive(Default)]
pub struct Topics {
    /// By name, one table per family: PUBLISH looks one name up and goes through the patterns.
    families: [HashMap<Bytes, Subscription>; 3],
    connected: bool,
    /// Requests to be sent, the oldest first.
    unsent: VecDeque<Ask>,
    /// Requests sent and not answered, the oldest first.
    sent: VecDeque<Ask>,
    /// How many requests there were, and how many of them were answered or lost.
    asked: u64,
    answered: u64,
    /// Who wants to know when so many have been answered, in the order of the numbers.
    waiting: VecDeque<(u64, Arc<Inbox>)>,
}

impl Topics {
    // === clients ===

    /// A client wants to join; `settled` says when that is decided.
    pub fn join(&mut self, topic: &Topic, client: u64, inbox: &Arc<Inbox>) {
        let (asks, shared) = match self.get(topic) {
            Some(subscription) => {
                let mut members = subscription.members.iter();
                if members.any(|member| member.client == client && !member.leaves()) {
                    return;
                }
                match subscription.standing {
                    Standing::Asked | Standing::Active => (Ask::Ping(vec![topic.clone()]), true),
                    Standing::Ending | Standing::Refused(_) => (Ask::Subscribe(topic.clone()), false),
                }
            }
            None => (Ask::Subscribe(topic.clone()), false),
        };
        let number = self.ask(asks);
        let new = || Subscription { standing: Standing::Asked, decided_by: number, members: Vec::new() };
        let subscription = self.families[topic.family as usize].entry(topic.name.clone()).or_insert_with(new);
        if !shared {
            (subscription.standing, subscription.decided_by) = (Standing::Asked, number);
        }
        subscription.members.retain(|member| member.client != client);
        let state = Membership::Joining(number);
        subscription.members.push(Member { client, inbox: Arc::clone(inbox), state });
    }

    /// A client wants to leave, and receives until that is settled.
    pub fn leave(&mut self, topic: &Topic, client: u64) {
        if !self.connected {
            return self.remove(topic, client);
        }
        let Some(subscription) = self.get(topic) else { return };
        let mut members = subscription.members.iter();
        if !members.any(|member| member.client == client && !member.leaves()) {
            return;
        }
        let last = subscription.members.iter().all(|member| member.client == client || member.leaves());
        let ask = if last { Ask::Unsubscribe(topic.clone()) } else { Ask::Ping(vec![topic.clone()]) };
        let number = self.ask(ask);
        let Some(subscription) = self.get_mut(topic) else { return };
        if last {
            (subscription.standing, subscription.decided_by) = (Standing::Ending, number);
        }
        let of_client = subscription.members.iter_mut().filter(|member| member.client == client);
        of_client.for_each(|member| member.state = Membership::Leaving(number));
    }

    /// A client is gone: it receives nothing more.
    pub fn remove(&mut self, topic: &Topic, client: u64) {
        let connected = self.connected;
        let Some(subscription) = self.get_mut(topic) else { return };
        subscription.members.retain(|member| member.client != client);
        if !subscription.members.iter().all(Member::leaves) || subscription.standing == Standing::Ending {
            return;
        }
        let nobody = subscription.members.is_empty();
        if nobody && (!connected || matches!(subscription.standing, Standing::Refused(_))) {
            self.families[topic.family as usize].remove(&topic.name);
            return;
        }
        let number = self.ask(Ask::Unsubscribe(topic.clone()));
        if let Some(subscription) = self.get_mut(topic) {
            (subscription.standing, subscription.decided_by) = (Standing::Ending, number);
        }
    }

    /// The same for everything that the client is subscribed to.
    pub fn remove_all(&mut self, client: u64) {
        let member = |subscription: &Subscription| subscription.members.iter().any(|m| m.client == client);
        let topics = self.names(member);
        topics.iter().for_each(|topic| self.remove(topic, client));
    }

    /// True unless the client is still about to join or to leave this topic.
    pub fn settled(&self, topic: &Topic, client: u64) -> bool {
        let Some(subscription) = self.get(topic) else { return true };
        let mut members = subscription.members.iter();
        members.all(|member| member.client != client || member.state == Membership::In)
    }

    /// The error with which Redis refused the topic.
    pub fn refusal(&self, topic: &Topic) -> Option<String> {
        match &self.get(topic)?.standing {
            Standing::Refused(text) => Some(text.clone()),
            _ => None,
        }
    }

    // === counts ===

    /// What has to be added to Redis's count of the receivers of a message to this channel, in which all
    /// our members are one; and what to wait for if that cannot be said exactly now.
    pub fn more_receivers(&self, channel: &[u8], shard: bool) -> (i64, Option<u64>) {
        let named = self.of(if shard { Family::Shard } else { Family::Channel }).get(channel);
        let patterns = self.of(Family::Pattern).iter();
        let matching = patterns.filter(|(pattern, _)| !shard && glob_match(pattern, channel));
        self.complete(named.into_iter().chain(matching.map(|(_, subscription)| subscription)))
    }

    /// The same for Redis's count of the subscribers of this topic alone.
    pub fn more_subscribers(&self, topic: &Topic) -> (i64, Option<u64>) {
        self.complete(self.get(topic).into_iter())
    }

    /// What to wait for if Redis's list of topics may be out of date now.
    pub fn unsettled(&self) -> Option<u64> {
        self.complete(self.families.iter().flat_map(HashMap::values)).1
    }

    /// The request to wait for is the last of all: none of these is in flux when it has been answered,
    /// unless by what is asked later. Without a connection nothing is in flux: Redis counts nobody.
    fn complete<'a>(&self, counted: impl Iterator<Item = &'a Subscription>) -> (i64, Option<u64>) {
        let (mut more, mut flux) = (0, false);
        for subscription in counted {
            more += subscription.more();
            flux |= subscription.in_flux();
        }
        (more, (flux && self.connected).then_some(self.asked))
    }

    /// Whether that request has been answered; if not, `inbox` is nudged when it is.
    pub fn passed(&mut self, number: u64, inbox: &Arc<Inbox>) -> bool {
        if self.answered >= number {
            return true;
        }
        if !self.waiting.iter().any(|(_, waiting)| Arc::ptr_eq(waiting, inbox)) {
            let at = self.waiting.partition_point(|(before, _)| *before <= number);
            self.waiting.insert(at, (number, Arc::clone(inbox)));
        }
        false
    }

    /// How many topics there are: (channels of both kinds, patterns).
    pub fn count(&self) -> (usize, usize) {
        let of = |family| self.of(family).len();
        (of(Family::Channel) + of(Family::Shard), of(Family::Pattern))
    }

    /// True when nobody is subscribed to anything.
    pub fn is_empty(&self) -> bool {
        self.families.iter().all(HashMap::is_empty)
    }

    /// Who gets a message to this topic.
    pub fn receivers(&self, topic: &Topic) -> Vec<Arc<Inbox>> {
        let members = self.get(topic).into_iter().flat_map(|subscription| &subscription.members);
        members.filter(|member| member.receives()).map(|member| Arc::clone(&member.inbox)).collect()
    }

    // === the connection ===

    /// There is a connection: everything is asked for on it.
    pub fn connected(&mut self) {
        self.connected = true;
        for topic in self.names(|_| true) {
            let number = self.ask(Ask::Subscribe(topic.clone()));
            let Some(subscription) = self.get_mut(&topic) else { continue };
            (subscription.standing, subscription.decided_by) = (Standing::Asked, number);
            let joining = subscription.members.iter_mut().filter(|member| !member.receives());
            joining.for_each(|member| member.state = Membership::Joining(number));
        }
    }

    /// The connection is gone, and with it every subscription and every request.
    pub fn lost(&mut self) {
        self.connected = false;
        self.unsent.clear();
        self.sent.clear();
        self.answered = self.asked;
        for subscription in self.families.iter_mut().flat_map(HashMap::values_mut) {
            subscription.standing = Standing::Asked;
            subscription.members.retain(|member| {
                if member.leaves() {
                    member.inbox.nudge();
                }
                !member.leaves()
            });
        }
        for family in &mut self.families {
            family.retain(|_, subscription| !subscription.members.is_empty());
        }
        self.waiting.drain(..).for_each(|(_, inbox)| inbox.nudge());
    }

    /// Adds a PING for its own sake: does the connection live?
    pub fn ping(&mut self) {
        self.ask(Ask::Ping(Vec::new()));
    }

    /// The next request to send; from now on its answer is expected.
    pub fn send(&mut self) -> Option<&Ask> {
        let ask = self.unsent.pop_front()?;
        self.sent.push_back(ask);
        self.sent.back()
    }

    /// The request that is answered next.
    pub fn expected(&self) -> Option<&Ask> {
        self.sent.front()
    }

    /// The answer to the oldest request has come: it was done, or refused.
    pub fn answer(&mut self, refused: Option<String>) {
        let Some(ask) = self.sent.pop_front() else { return };
        self.answered += 1;
        let number = self.answered;
        match ask {
            Ask::Subscribe(topic) => {
                if let Some(subscription) = self.get_mut(&topic)
                    && subscription.decided_by == number
                {
                    subscription.standing = refused.map_or(Standing::Active, Standing::Refused);
                }
                self.settle(&topic, number);
            }
            Ask::Unsubscribe(topic) => {
                self.settle(&topic, number);
                let ended = |subscription: &mut Subscription| subscription.decided_by == number;
                if self.get_mut(&topic).is_some_and(ended) {
                    self.families[topic.family as usize].remove(&topic.name);
                }
            }
            Ask::Ping(topics) => topics.iter().for_each(|topic| self.settle(topic, number)),
        }
        while self.waiting.front().is_some_and(|(awaited, _)| *awaited <= number) {
            self.waiting.pop_front().into_iter().for_each(|(_, inbox)| inbox.nudge());
        }
    }

    fn of(&self, family: Family) -> &HashMap<Bytes, Subscription> {
        &self.families[family as usize]
    }

    fn get(&self, topic: &Topic) -> Option<&Subscription> {
        self.of(topic.family).get(&topic.name)
    }

    fn get_mut(&mut self, topic: &Topic) -> Option<&mut Subscription> {
        self.families[topic.family as usize].get_mut(&topic.name)
    }

    fn names(&self, wanted: impl Fn(&Subscription) -> bool) -> Vec<Topic> {
        let mut names = Vec::new();
        for family in [Family::Channel, Family::Pattern, Family::Shard] {
            let wanted = self.of(family).iter().filter(|(_, subscription)| wanted(subscription));
            names.extend(wanted.map(|(name, _)| Topic { family, name: name.clone() }));
        }
        names
    }

    /// Who has waited for this answer has joined or left.
    fn settle(&mut self, topic: &Topic, number: u64) {
        let Some(subscription) = self.get_mut(topic) else { return };
        subscription.members.retain_mut(|member| match member.state {
            Membership::Joining(awaited) if awaited == number => {
                member.state = Membership::In;
                member.inbox.nudge();
                true
            }
            Membership::Leaving(awaited) if awaited == number => {
                member.inbox.nudge();
                false
            }
            _ => true,
        });
    }

    /// Queues a request; its number. Without a connection there is nothing to ask: `connected` will. One
    /// PING serves all that come and go before it is sent.
    fn ask(&mut self, ask: Ask) -> u64 {
        if !self.connected {
            return self.asked;
        }
        if let (Ask::Ping(more), Some(Ask::Ping(topics))) = (&ask, self.unsent.back_mut()) {
            topics.extend(more.iter().filter(|topic| !topics.contains(topic)).cloned().collect::<Vec<_>>());
            return self.asked;
        }
        self.unsent.push_back(ask);
        self.asked += 1;
        self.asked
    }
}

impl Subscription {
    fn in_flux(&self) -> bool {
        matches!(self.standing, Standing::Asked | Standing::Ending)
    }

    /// Members that receive, less our connection's share. In flux the share is unknown; counting our
    /// connection as the member that it stands for is then right for the one member that most have.
    fn more(&self) -> i64 {
        match self.standing {
            Standing::Active => self.members.iter().filter(|member| member.receives()).count() as i64 - 1,
            Standing::Asked | Standing::Ending | Standing::Refused(_) => 0,
        }
    }
}

#[cfg(test)]
#[path = "topics_tests.rs"]
mod tests;
