//! What can be tested without a connection: fences where the lane takes none, and what is worth saying.

use std::sync::Arc;
use std::task::{Context, Waker};

use super::{RETRY_EVERY, is_worth_saying};
use crate::clock::Clock;
use crate::near::Config;
use crate::near::tracking::{MAX_KEYS, Tracking};
use crate::upstream::audience::Audience;
use crate::upstream::batch::{Batch, Pending, To};
use crate::upstream::fence::appended;
use crate::upstream::inbox::{Delivered, Event, Inbox};
use crate::upstream::lane::Lane;
use crate::upstream::lane::LaneKey;
use crate::upstream::queue::MAX_UNSENT;
use crate::upstream::{L1, Refused};

fn lane() -> Arc<Lane> {
    let audience = Arc::new(Audience::new(Tracking::new(MAX_KEYS, ahash::RandomState::new())));
    Lane::new(Clock::start(), Arc::new(L1::new(Config::default())), audience, LaneKey::default())
}

fn fenced(inbox: &Inbox) -> Vec<u64> {
    let mut delivered = Delivered::default();
    inbox.take(&mut delivered);
    let number = |event: &Event| if let Event::Fenced { seq } = event { Some(*seq) } else { None };
    delivered.events.iter().filter_map(number).collect()
}

#[test]
fn a_fence_waits_while_the_lane_is_full_and_not_when_it_is_down() {
    let (lane, inbox, other) = (lane(), Inbox::new(), Inbox::new());
    let mut batch = Batch::default();
    batch.push(&vec![b' '; MAX_UNSENT], Pending::new(To::Session(Arc::clone(&other)), 0, 0));
    assert!(lane.append(&mut batch, &other).is_ok());
    batch.push(b"PING\r\n", Pending::new(To::Session(Arc::clone(&other)), 1, 0));
    assert_eq!(lane.append(&mut batch, &other), Err(Refused::Full));

    let mut cx = Context::from_waker(Waker::noop());
    let mut waits = Box::pin(appended(&lane, &inbox, 1, 0));
    assert!(waits.as_mut().poll(&mut cx).is_pending(), "it must not be skipped");
    assert!(waits.as_mut().poll(&mut cx).is_pending(), "nothing has changed");
    lane.queue.lock().down(1, &lane.owner);
    assert_eq!(waits.as_mut().poll(&mut cx), std::task::Poll::Ready(false));
    assert!(fenced(&inbox).is_empty(), "nobody is told of a fence that was never there");
}

#[test]
fn a_fence_on_a_lane_that_goes_down_is_complete() {
    let (lane, inbox) = (lane(), Inbox::new());
    let mut cx = Context::from_waker(Waker::noop());
    let mut appending = Box::pin(appended(&lane, &inbox, 7, 0));
    assert_eq!(appending.as_mut().poll(&mut cx), std::task::Poll::Ready(true));
    assert!(fenced(&inbox).is_empty());
    lane.queue.lock().down(1, &lane.owner);
    assert_eq!(fenced(&inbox), [7]);
}

#[test]
fn an_hour_without_an_upstream_is_a_few_lines() {
    let attempts = 3600 * 1000 / RETRY_EVERY.as_millis() as u32;
    let said: Vec<u32> = (1..=attempts).filter(|failures| is_worth_saying(*failures)).collect();
    assert_eq!(said[..4], [1, 2, 4, 8]);
    assert!(said.len() < 20, "{said:?}");
}
