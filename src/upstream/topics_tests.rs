//! The topics of the one subscriber, against a Redis that executes when told to.

//! The state of subscriptions against a Redis that does what it is told.

use super::*;

/// The state and a Redis that executes what was sent when told to.
struct World {
    topics: Topics,
    inboxes: Vec<Arc<Inbox>>,
}

impl World {
    fn new() -> Self {
        let mut topics = Topics::default();
        topics.connected();
        World { topics, inboxes: (0..4).map(|_| Inbox::new()).collect() }
    }

    fn join(&mut self, name: &Topic, client: usize) {
        self.topics.join(name, client as u64, &self.inboxes[client]);
    }

    /// Sends everything; what it was.
    fn send(&mut self) -> Vec<Ask> {
        std::iter::from_fn(|| self.topics.send().cloned()).collect()
    }

    /// Everything is sent and answered.
    fn round(&mut self) -> Vec<Ask> {
        let asks = self.send();
        asks.iter().for_each(|_| self.topics.answer(None));
        asks
    }

    fn receive(&self, topic: &Topic) -> Vec<usize> {
        let receivers = self.topics.receivers(topic);
        (0..4).filter(|&i| receivers.iter().any(|inbox| Arc::ptr_eq(inbox, &self.inboxes[i]))).collect()
    }

    fn publish(&self, channel: &str) -> (i64, bool) {
        let (more, flux) = self.topics.more_receivers(channel.as_bytes(), false);
        (more, flux.is_some())
    }
}

fn channel(name: &'static str) -> Topic {
    Topic { family: Family::Channel, name: Bytes::from_static(name.as_bytes()) }
}

fn pattern(name: &'static str) -> Topic {
    Topic { family: Family::Pattern, name: Bytes::from_static(name.as_bytes()) }
}

#[test]
fn the_first_member_subscribes_and_the_last_unsubscribes() {
    let (mut world, a) = (World::new(), channel("a"));
    world.join(&a, 0);
    assert!(!world.topics.settled(&a, 0));
    assert_eq!(world.publish("a"), (0, true));
    assert_eq!(world.round(), [Ask::Subscribe(a.clone())]);
    assert!(world.topics.settled(&a, 0));
    assert_eq!((world.publish("a"), world.receive(&a)), ((0, false), vec![0]));

    world.topics.leave(&a, 0);
    assert!(!world.topics.settled(&a, 0));
    assert_eq!((world.publish("a"), world.receive(&a)), ((0, true), vec![0]));
    assert_eq!(world.round(), [Ask::Unsubscribe(a.clone())]);
    assert!(world.topics.settled(&a, 0) && world.topics.is_empty());
    assert_eq!(world.publish("a"), (0, false));
}

#[test]
fn others_come_and_go_with_a_ping() {
    let (mut world, a) = (World::new(), channel("a"));
    world.join(&a, 0);
    world.round();
    world.join(&a, 1);
    world.join(&a, 2);
    assert_eq!((world.publish("a"), world.receive(&a)), ((0, false), vec![0]));
    assert_eq!(world.round(), [Ask::Ping(vec![a.clone()])]);
    assert_eq!((world.publish("a"), world.receive(&a)), ((2, false), vec![0, 1, 2]));
    world.topics.leave(&a, 1);
    assert_eq!((world.publish("a"), world.receive(&a)), ((2, false), vec![0, 1, 2]));
    assert_eq!(world.round(), [Ask::Ping(vec![a.clone()])]);
    assert_eq!((world.publish("a"), world.receive(&a)), ((1, false), vec![0, 2]));
}

#[test]
fn who_joins_while_the_first_one_waits_waits_for_its_own_answer() {
    let (mut world, a) = (World::new(), channel("a"));
    world.join(&a, 0);
    world.send();
    world.join(&a, 1);
    world.topics.answer(None);
    assert_eq!(world.receive(&a), [0]);
    assert_eq!(world.round(), [Ask::Ping(vec![a.clone()])]);
    assert_eq!(world.receive(&a), [0, 1]);
}

#[test]
fn all_leave_together() {
    let (mut world, a) = (World::new(), channel("a"));
    (0..3).for_each(|client| world.join(&a, client));
    world.round();
    (0..3).for_each(|client| world.topics.leave(&a, client));
    assert_eq!(world.receive(&a), [0, 1, 2]);
    assert_eq!(world.round(), [Ask::Ping(vec![a.clone()]), Ask::Unsubscribe(a.clone())]);
    assert!(world.topics.is_empty());
}

#[test]
fn a_client_that_is_gone_is_not_counted_once_the_answer_has_come() {
    let (mut world, a) = (World::new(), channel("a"));
    world.join(&a, 0);
    world.round();
    world.topics.remove_all(0);
    assert_eq!(world.receive(&a), [0; 0]);
    let (_, flux) = world.topics.more_receivers(b"a", false);
    let number = flux.expect("Redis may count us still");
    assert!(!world.topics.passed(number, &world.inboxes[1]));
    assert_eq!(world.round(), [Ask::Unsubscribe(a.clone())]);
    assert!(world.topics.passed(number, &world.inboxes[1]));
    assert_eq!(world.publish("a"), (0, false));
}

#[test]
fn the_last_one_that_stays_may_vanish_while_others_leave() {
    let (mut world, a) = (World::new(), channel("a"));
    (0..2).for_each(|client| world.join(&a, client));
    world.round();
    world.topics.leave(&a, 0);
    world.topics.remove(&a, 1);
    assert_eq!(world.round(), [Ask::Ping(vec![a.clone()]), Ask::Unsubscribe(a.clone())]);
    assert!(world.topics.settled(&a, 0) && world.topics.is_empty());
}

#[test]
fn a_new_member_comes_while_the_topic_ends() {
    let (mut world, a) = (World::new(), channel("a"));
    world.join(&a, 0);
    world.round();
    world.topics.leave(&a, 0);
    world.join(&a, 1);
    assert_eq!(world.send(), [Ask::Unsubscribe(a.clone()), Ask::Subscribe(a.clone())]);
    world.topics.answer(None);
    assert!(world.topics.settled(&a, 0) && !world.topics.settled(&a, 1));
    assert_eq!((world.publish("a"), world.receive(&a)), ((0, true), vec![]));
    world.topics.answer(None);
    assert_eq!((world.publish("a"), world.receive(&a)), ((0, false), vec![1]));
}

#[test]
fn a_client_that_gave_up_before_its_answer_leaves_nothing_behind() {
    let (mut world, a) = (World::new(), channel("a"));
    world.join(&a, 0);
    world.topics.remove(&a, 0);
    world.join(&a, 0);
    world.send();
    world.topics.answer(None);
    assert!(!world.topics.settled(&a, 0), "confirmed by the answer to an earlier request");
    world.topics.answer(None);
    world.topics.answer(None);
    assert_eq!((world.topics.settled(&a, 0), world.receive(&a)), (true, vec![0]));
}

#[test]
fn patterns_and_channels_are_counted_together() {
    let (mut world, a, any) = (World::new(), channel("ab"), pattern("a*"));
    world.join(&a, 0);
    world.join(&a, 1);
    world.join(&any, 0);
    world.join(&any, 1);
    world.join(&any, 2);
    world.round();
    assert_eq!(world.publish("ab"), (3, false));
    assert_eq!(world.publish("ac"), (2, false));
    assert_eq!(world.publish("b"), (0, false));
    assert_eq!(world.topics.more_subscribers(&a), (1, None));
    assert_eq!(world.topics.more_receivers(b"ab", true), (0, None));
    world.join(&pattern("*c"), 3);
    assert_eq!((world.publish("ab").1, world.publish("ac").1), (false, true));
    assert!(world.topics.unsettled().is_some());
    assert_eq!(world.topics.count(), (1, 2));
}

#[test]
fn a_refusal_is_kept_until_its_client_has_seen_it() {
    let (mut world, a) = (World::new(), channel("a"));
    world.join(&a, 0);
    world.send();
    world.topics.answer(Some("NOPERM no".into()));
    assert!(world.topics.settled(&a, 0));
    assert_eq!(world.topics.refusal(&a).as_deref(), Some("NOPERM no"));
    assert_eq!(world.publish("a"), (0, false));
    world.topics.remove(&a, 0);
    assert!(world.topics.is_empty());
    assert!(world.send().is_empty());
}

#[test]
fn a_lost_connection_ends_what_was_ending_and_begins_the_rest_anew() {
    let (mut world, a, b, c) = (World::new(), channel("a"), channel("b"), channel("c"));
    world.join(&a, 0);
    world.join(&b, 1);
    world.round();
    world.topics.leave(&a, 0);
    world.join(&c, 2);
    world.send();
    let number = world.topics.unsettled().expect("two are in flux");
    world.topics.lost();
    assert!(world.topics.passed(number, &world.inboxes[3]));
    assert!(world.topics.settled(&a, 0) && !world.topics.settled(&c, 2));
    assert_eq!(world.publish("b"), (0, false));
    world.join(&b, 2);
    assert!(world.send().is_empty());

    world.topics.connected();
    assert_eq!(world.publish("b"), (0, true));
    let mut asks = world.round();
    asks.sort_by_key(|ask| format!("{ask:?}"));
    assert_eq!(asks, [Ask::Subscribe(b.clone()), Ask::Subscribe(c.clone())]);
    assert_eq!((world.publish("b"), world.receive(&b)), ((1, false), vec![1, 2]));
    assert_eq!(world.receive(&c), [2]);
}
