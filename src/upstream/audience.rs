//! The clients' own CLIENT TRACKING: whom a push of Redis is passed on to, and how it gets there.
//!
//! However many clients track, Redis knows two connections of ours: the lane, which registers each key
//! that is read (`OPTIN`), and, while a client is in BCAST mode, the one of `broadcast`. The one idea: a
//! client is registered for a key at the place of its reply in the lane's stream, so what Redis would
//! have told it on a connection of its own is what it is told here, and in the same order. A message
//! goes through the client's inbox, behind the replies that came before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::{BufMut, Bytes, BytesMut};
use dashmap::DashMap;

use super::hub::MAX_WAITING;
use super::inbox::Inbox;
use crate::memory::Change;
use crate::near::tracking::{ClientId, Told, Tracking};
use crate::resp::{ArgVec, Args, Cursor, Kind};

/// Who tracks, and what.
pub struct Audience {
    /// Which client must be told of which key.
    pub table: Tracking,
    listeners: DashMap<ClientId, Arc<Listener>>,
}

/// A client with tracking on.
pub struct Listener {
    /// Its session's inbox.
    pub inbox: Arc<Inbox>,
    /// Whom it wants to be told instead of it.
    pub redirect: Option<(ClientId, Arc<Inbox>)>,
    /// BCAST.
    pub bcast: bool,
    /// There was something to tell, and the other client was gone.
    pub broken: AtomicBool,
}

/// What a client is told.
#[derive(Clone, Debug)]
pub enum Notice {
    /// `invalidate`
    Invalidate {
        /// An array of keys; none: all keys.
        keys: Option<Bytes>,
        /// On behalf of another client.
        redirected: bool,
        /// Behind the reply of this slot, which comes later.
        behind: Option<u64>,
    },
    /// `tracking-redir-broken`
    Broken(ClientId),
}

/// A request of a client that tracks.
#[derive(Clone)]
pub struct Tracked {
    /// Who.
    pub client: ClientId,
    /// The keys whose values it takes: Redis is made to register them too.
    pub reads: ArgVec,
    /// The keys that it changes, if it does not want to hear of that (NOLOOP).
    pub writes: ArgVec,
    /// Which reply says that it has changed them.
    pub proof: Proof,
}

/// Which reply says that a write has changed its keys. Only then the push that follows is its own: behind
/// a write that changed nothing it is another client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Proof {
    /// None does.
    #[default]
    Never,
    /// Any but an error.
    Success,
    /// One that is not an error, nil, false, zero or empty.
    Something,
    /// The same of each element of EXEC's.
    Each,
}

/// A reply that is being withheld: whose, and for which slot.
#[derive(Clone)]
pub struct Withheld {
    /// Whose.
    pub inbox: Arc<Inbox>,
    /// Its slot.
    pub seq: u64,
}

impl Audience {
    /// Nobody yet.
    pub fn new(table: Tracking) -> Self {
        Audience { table, listeners: DashMap::new() }
    }

    /// A client has turned tracking on, or changed its mode: `table.enable` comes after this.
    pub fn join(&self, client: ClientId, listener: Arc<Listener>) {
        self.listeners.insert(client, listener);
    }

    /// A client has turned tracking off, or has gone.
    pub fn leave(&self, client: ClientId) {
        self.table.disable(client);
        self.listeners.remove(&client);
    }

    /// The client takes the values of these keys.
    pub fn take(&self, client: ClientId, keys: &ArgVec) {
        for key in keys.args().iter() {
            self.made_room(self.table.register(client, key));
        }
    }

    /// A key had to make room in the table.
    pub fn made_room(&self, victim: Option<Told>) {
        if let Some(Told { key, clients }) = victim {
            self.tell(&clients, &Some(array(&[&key])), None);
        }
    }

    /// Tells clients that these keys may have changed, or all. Whoever's reply is `withheld` is told behind
    /// that.
    pub fn tell(&self, to: &[ClientId], keys: &Option<Bytes>, withheld: Option<&Withheld>) {
        for client in to {
            let Some(listener) = self.listeners.get(client).map(|listener| Arc::clone(&listener)) else {
                continue;
            };
            let inbox = listener.redirect.as_ref().map_or(&listener.inbox, |(_, inbox)| inbox);
            let behind = withheld.filter(|withheld| Arc::ptr_eq(&withheld.inbox, inbox)).map(|w| w.seq);
            let redirected = listener.redirect.is_some();
            let sent = send(inbox, Notice::Invalidate { keys: keys.clone(), redirected, behind });
            if let (false, Some((target, _))) = (sent, &listener.redirect) {
                listener.broken.store(true, Relaxed);
                send(&listener.inbox, Notice::Broken(*target));
            }
        }
    }

    /// The client took values that nobody will announce the changes of: it is told at once.
    pub fn untrackable(&self, tracked: &Tracked, withheld: Option<&Withheld>) {
        for key in tracked.reads.args().iter() {
            self.tell(&[tracked.client], &Some(array(&[key])), withheld);
        }
    }

    /// The connection that brought invalidations is gone, or Redis has emptied a database.
    pub fn flush(&self, bcast: bool) {
        if self.table.is_active() {
            self.tell(&self.table.flushed(bcast), &None, None);
        }
    }
}

/// Without an upstream it is the engine that says what is read and changed.
impl crate::memory::Listener for Audience {
    fn read(&self, client: u64, _db: usize, key: &[u8]) {
        self.made_room(self.table.register(client, key));
    }

    fn changed(&self, client: u64, change: Change<'_>) {
        if !self.table.is_active() {
            return;
        }
        match change {
            Change::Key { key, .. } => {
                self.tell(&self.table.changed(key, Some(client)), &Some(array(&[key])), None);
                for (keys, clients) in self.table.broadcast(&[key], Some(client)) {
                    self.tell(&clients, &Some(array(&keys)), None);
                }
            }
            Change::Flushed(_) => {
                self.flush(false);
                self.flush(true);
            }
            // As in Redis, nobody is told.
            Change::Swapped(..) => {}
        }
    }
}

impl Tracked {
    /// A read of these keys.
    pub fn reading(client: ClientId, keys: Args<'_>) -> Self {
        let (reads, writes) = (keys.iter().collect(), ArgVec::default());
        Tracked { client, reads, writes, proof: Proof::Never }
    }

    /// Whether this reply says that the request's keys have changed.
    pub fn changed(&self, reply: &[u8]) -> bool {
        match self.proof {
            Proof::Never => false,
            Proof::Success => reply.first().is_some_and(|kind| !b"-!".contains(kind)),
            Proof::Something => is_something(reply),
            Proof::Each => {
                let mut cursor = Cursor::new(reply);
                let Some(Kind::Array(n)) = cursor.read() else { return false };
                (0..n).all(|_| cursor.skip().is_some_and(is_something))
            }
        }
    }

    /// Whether it changes this key, by its arguments.
    pub fn writes(&self, key: &[u8]) -> bool {
        self.writes.args().iter().any(|written| written == key)
    }

    /// Whether it reads this key.
    pub fn reads(&self, key: &[u8]) -> bool {
        self.reads.args().iter().any(|read| read == key)
    }
}

fn is_something(reply: &[u8]) -> bool {
    match reply {
        b":0\r\n" | b"_\r\n" | b"#f\r\n" => false,
        [b'-' | b'!', ..] | [b'*' | b'%' | b'~', b'0', b'\r', ..] | [b'$' | b'*', b'-', ..] => false,
        reply => !reply.is_empty(),
    }
}

/// Keys as the array that a push carries.
pub fn array(keys: &[&[u8]]) -> Bytes {
    let mut out = BytesMut::with_capacity(16 + keys.iter().map(|key| key.len() + 16).sum::<usize>());
    let mut number = itoa::Buffer::new();
    let mut header = |out: &mut BytesMut, kind: u8, n: usize| {
        out.put_u8(kind);
        out.extend_from_slice(number.format(n).as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    header(&mut out, b'*', keys.len());
    for key in keys {
        header(&mut out, b'$', key.len());
        out.extend_from_slice(key);
        out.extend_from_slice(b"\r\n");
    }
    out.freeze()
}

/// False if nobody is there any more.
fn send(inbox: &Inbox, notice: Notice) -> bool {
    let len = match &notice {
        Notice::Invalidate { keys: Some(keys), .. } => keys.len(),
        _ => 0,
    };
    inbox.notice(notice, len + FRAME, MAX_WAITING)
}

/// What is around the keys.
const FRAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::inbox::Event;

    #[test]
    fn a_reply_proves_a_change_or_not() {
        let of = |proof| Tracked { client: 1, reads: ArgVec::default(), writes: ArgVec::default(), proof };
        let replies: [(&[u8], [bool; 4]); 8] = [
            (b"+OK\r\n", [false, true, true, false]),
            (b":0\r\n", [false, true, false, false]),
            (b":3\r\n", [false, true, true, false]),
            (b"_\r\n", [false, true, false, false]),
            (b"-ERR no\r\n", [false, false, false, false]),
            (b"*0\r\n", [false, true, false, true]),
            (b"*2\r\n+OK\r\n:1\r\n", [false, true, true, true]),
            (b"*2\r\n+OK\r\n_\r\n", [false, true, true, false]),
        ];
        for (reply, expected) in replies {
            let proofs = [Proof::Never, Proof::Success, Proof::Something, Proof::Each];
            let changed = proofs.map(|proof| of(proof).changed(reply));
            assert_eq!(changed, expected, "{}", reply.escape_ascii());
        }
    }

    #[test]
    fn a_client_that_is_gone_is_a_broken_redirection() {
        let audience = Audience::new(Tracking::new(10, ahash::RandomState::new()));
        let (reader, target) = (Inbox::new(), Inbox::new());
        let listener = Arc::new(Listener {
            inbox: Arc::clone(&reader),
            redirect: Some((7, Arc::clone(&target))),
            bcast: false,
            broken: AtomicBool::new(false),
        });
        audience.join(1, Arc::clone(&listener));
        let told = |inbox: &Inbox| {
            let mut delivered = super::super::inbox::Delivered::default();
            inbox.take(&mut delivered);
            std::mem::take(&mut delivered.events)
        };
        let told_target = |behind: Option<u64>| {
            let events = told(&target);
            matches!(events[..], [Event::Notice(Notice::Invalidate { keys: None, redirected: true, behind: b })] if b == behind)
        };
        audience.tell(&[1, 2], &None, None);
        assert!(told_target(None));
        let withheld = |inbox: &Arc<Inbox>| Withheld { inbox: Arc::clone(inbox), seq: 9 };
        audience.tell(&[1], &None, Some(&withheld(&target)));
        assert!(told_target(Some(9)));
        audience.tell(&[1], &None, Some(&withheld(&reader)));
        assert!(told_target(None));
        target.leave();
        audience.tell(&[1], &None, None);
        assert!(matches!(told(&reader)[..], [Event::Notice(Notice::Broken(7))]));
        assert!(listener.broken.load(Relaxed));
    }
}
