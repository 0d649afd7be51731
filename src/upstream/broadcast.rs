//! BCAST: clients that are told of all keys with a prefix, whoever changes them and whoever has read them.
//!
//! One upstream connection for all of them, open only while there are any, in BCAST mode without a
//! prefix. Redis examines each of its prefixes for each write, so a thousand prefixes of clients would
//! cost it a thousand comparisons per write; and prefixes that have been given cannot be taken back one
//! by one. Here they are looked up per push, and Redis pays the same whatever they are.
//!
//! A push is passed on behind a fence on the lane. By then L1 has dropped the key, since the lane has been
//! told as well, and a reply that Redis gave before the change has reached its client: who hears that a
//! key changed cannot be left with the old value.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::warn;

use super::audience::{Audience, array};
use super::fence::Fence;
use super::handshake::greet;
use super::inbox::Inbox;
use super::node::{Node, OpenError};
use super::wire::{Wire, WireError};
use crate::clock::Clock;
use crate::resp::{Cursor, Kind, Proto, frame_len};
use crate::timers;

/// Pause between attempts to connect while somebody is in BCAST mode.
const RETRY_EVERY: Duration = Duration::from_millis(200);

/// The connection and who waits for it.
pub struct Broadcast {
    node: Arc<Node>,
    state: Mutex<State>,
    /// The first client has come, or one has gone.
    work: Notify,
    clock: Clock,
}

#[derive(Default)]
struct State {
    /// Redis tells us of every change.
    live: bool,
    /// Redis does not know BCAST, or forbids it.
    refused: Option<String>,
    /// Sessions to be nudged when that changes.
    waiting: Vec<Arc<Inbox>>,
}

impl Broadcast {
    /// Not connected; `run` serves it.
    pub fn new(node: Arc<Node>, clock: Clock) -> Arc<Self> {
        Arc::new(Broadcast { node, state: Mutex::default(), work: Notify::new(), clock })
    }

    /// Looks after those who have come or gone.
    pub fn changed(&self) {
        self.work.notify_one();
    }

    /// Whether changes are told from now on, or why not; nothing if that is not known yet: `inbox` is
    /// nudged when it is.
    pub fn ready(&self, inbox: &Arc<Inbox>) -> Option<Result<(), String>> {
        let mut state = self.state.lock();
        match (state.live, &state.refused) {
            (true, _) => Some(Ok(())),
            (false, Some(text)) => Some(Err(text.clone())),
            (false, None) => {
                if !state.waiting.iter().any(|waiting| Arc::ptr_eq(waiting, inbox)) {
                    state.waiting.push(Arc::clone(inbox));
                }
                None
            }
        }
    }

    /// Keeps the connection while somebody needs it, until dropped.
    pub async fn run(self: Arc<Self>) {
        // Some that are told by prefix have not been told of everything.
        let mut gap = false;
        loop {
            while !self.audience().table.has_prefixes() {
                self.set(false, None);
                gap = false;
                self.work.notified().await;
            }
            match self.open().await {
                Ok(mut wire) => {
                    self.set(true, None);
                    if gap {
                        self.audience().flush(true);
                    }
                    let error = self.serve(&mut wire).await;
                    self.set(false, None);
                    if let Err(error) = error {
                        warn!(%error, "connection for BCAST lost");
                    }
                    // Nobody will announce what changes from now on.
                    gap = self.audience().table.has_prefixes();
                    self.audience().flush(true);
                }
                Err(OpenError::Handshake(WireError::Refused(text))) => {
                    self.set(false, Some(text));
                    self.work.notified().await;
                }
                Err(error) => {
                    warn!(%error, "no connection for BCAST");
                    timers::sleep(RETRY_EVERY).await;
                }
            }
        }
    }

    fn audience(&self) -> &Audience {
        self.node.lane.audience()
    }

    fn set(&self, live: bool, refused: Option<String>) {
        let mut state = self.state.lock();
        (state.live, state.refused) = (live, refused);
        state.waiting.drain(..).for_each(|inbox| inbox.nudge());
    }

    async fn open(&self) -> Result<Wire, OpenError> {
        let target = self.node.target.load_full();
        let mut wire = self.node.dial().await?;
        let limit = target.connect.timeout;
        let handshake = async {
            greet(&mut wire, Proto::Resp3, &target.credentials).await?;
            wire.call(&[b"CLIENT", b"TRACKING", b"ON", b"BCAST"]).await
        };
        timers::timeout(limit, handshake).await.map_err(|_| OpenError::Slow(limit))??;
        Ok(wire)
    }

    /// Passes on what comes, until nobody wants it any more or the connection is lost.
    async fn serve(&self, wire: &mut Wire) -> Result<(), WireError> {
        let patience = self.node.target.load().reply_timeout;
        let mut fence = Fence::default();
        let mut silent = false;
        loop {
            self.apply(wire, &mut fence).await?;
            if !self.audience().table.has_prefixes() {
                return Ok(());
            }
            let read = tokio::select! {
                () = self.work.notified() => continue,
                read = timers::timeout(patience, poll_fn(|cx| wire.poll_fill(cx))) => read,
            };
            match read {
                Ok(Ok(0)) => return Err(WireError::Closed),
                Ok(Ok(_)) => silent = false,
                Ok(Err(error)) => return Err(error.into()),
                // A half-open connection brings nothing either: it is asked, and must answer.
                Err(_) if silent => return Err(WireError::Closed),
                Err(_) => {
                    silent = true;
                    wire.send(&[&[b"PING"]]).await?;
                }
            }
        }
    }

    /// Passes on everything complete that was read.
    async fn apply(&self, wire: &mut Wire, fence: &mut Fence) -> Result<(), WireError> {
        let mut pushes = Vec::new();
        while let Some(len) = frame_len(&wire.read)? {
            let frame = wire.read.split_to(len).freeze();
            if frame.first() == Some(&b'>') {
                pushes.push(frame);
            }
        }
        if !pushes.is_empty() {
            fence.pass(&self.node, self.clock).await;
        }
        pushes.iter().for_each(|push| self.pass_on(push));
        Ok(())
    }

    fn pass_on(&self, push: &[u8]) {
        let mut cursor = Cursor::new(push);
        let is_ours = matches!(cursor.read(), Some(Kind::Push(2)))
            && matches!(cursor.read(), Some(Kind::Bulk(b"invalidate")));
        if !is_ours {
            return;
        }
        let Some(Kind::Array(n)) = cursor.read() else { return self.audience().flush(true) };
        let keys: Vec<&[u8]> = (0..n)
            .map_while(|_| match cursor.read() {
                Some(Kind::Bulk(key)) => Some(key),
                _ => None,
            })
            .collect();
        for (keys, clients) in self.audience().table.broadcast(&keys, None) {
            self.audience().tell(&clients, &Some(array(&keys)), None);
        }
    }
}
