//! Waiting for the lane: what comes over another connection is released only when everything that Redis had
//! executed before it has been applied to L1, and its replies are with their clients.

use std::future::poll_fn;
use std::sync::Arc;

use super::batch::Batch;
use super::inbox::{Delivered, Event, Inbox};
use super::lane::Lane;
use super::node::Node;
use super::queue::Refused;
use crate::clock::{Clock, Nanos};

/// Fences of one connection, one at a time.
#[derive(Default)]
pub struct Fence {
    /// Where the lane answers.
    inbox: Arc<Inbox>,
    count: u64,
}

impl Fence {
    /// Passes one. A lane that is away cannot be fenced; L1 is frozen then.
    pub async fn pass(&mut self, node: &Node, clock: Clock) {
        if !node.lane.l1().rules().fences {
            return;
        }
        self.count += 1;
        if !appended(&node.lane, &self.inbox, self.count, clock.now()).await {
            return;
        }
        let mut delivered = Delivered::default();
        loop {
            poll_fn(|cx| self.inbox.poll_ready(cx)).await;
            self.inbox.take(&mut delivered);
            let fenced = |event: &Event| matches!(event, Event::Fenced { seq } if *seq == self.count);
            if delivered.events.iter().any(fenced) {
                return;
            }
        }
    }
}

/// Appends a fence to the lane; false if the lane is down. A full lane is no reason to let a message outrun
/// its invalidation: there will be room, or the lane will be down.
pub(super) async fn appended(lane: &Lane, inbox: &Arc<Inbox>, number: u64, now: Nanos) -> bool {
    let mut batch = Batch::default();
    batch.fence(inbox, number, now);
    loop {
        match lane.append(&mut batch, inbox) {
            Ok(_) => return true,
            Err(Refused::Down) => return false,
            Err(Refused::Full) => poll_fn(|cx| inbox.poll_nudge(cx)).await,
        }
    }
}
