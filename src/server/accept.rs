//! The accept loop: one per listener. Nothing that one client does may stop it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tracing::{debug, warn};

use crate::net::{Accepted, Listener, PeerAddr};
use crate::session::{Client, Session, Shared};
use crate::shutdown::Drain;
use crate::timers;

/// Pause after an accept that failed: mostly the process is out of file descriptors, and the next
/// attempt would fail as fast.
const PAUSE: Duration = Duration::from_millis(50);

/// A TLS handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Accepts until draining starts.
pub(super) async fn run(listener: Listener, shared: Arc<Shared>, drain: Drain) {
    loop {
        let accepted = tokio::select! {
            () = drain.started() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => {
                shared.stats.clients.total_connections_received.inc();
                admit(accepted, &shared, &drain);
            }
            Err(error) => {
                warn!(%error, "accept failed");
                timers::sleep(PAUSE).await;
            }
        }
    }
}

/// Starts a session, unless there are too many.
fn admit(accepted: Accepted, shared: &Arc<Shared>, drain: &Drain) {
    let limit = shared.settings.load().server.max_clients;
    if shared.clients.len() >= limit {
        shared.stats.clients.rejected_connections.inc();
        if let Some(mut stream) = accepted.without_handshake() {
            drain.spawn(async move {
                // A client that does not read has no right to an explanation.
                let reply = stream.write_all(b"-ERR max number of clients reached\r\n");
                let _ = timers::timeout(Duration::from_secs(1), reply).await;
            });
        }
        return;
    }
    let unix = matches!(accepted.peer, PeerAddr::Unix(_));
    let id = shared.clients.next_id();
    let client = Client::new(id, accepted.peer.addr(), accepted.peer.laddr(), unix, shared.clock.now());
    shared.clients.add(&client);
    shared.stats.clients.connected_clients.inc();
    let guard = Leaving { shared: Arc::clone(shared), id };
    drain.spawn(async move {
        let shared = &guard.shared;
        match accepted.handshake(HANDSHAKE).await {
            Ok(stream) => {
                let end = Session::new(stream, Arc::clone(shared), client).run().await;
                debug!(client = id, ?end, "session over");
            }
            Err(error) => debug!(client = id, %error, "TLS handshake failed"),
        }
    });
}

/// Takes the client off the list, however its session ends.
struct Leaving {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        self.shared.clients.remove(self.id);
        self.shared.stats.clients.connected_clients.dec();
        if std::thread::panicking() {
            self.shared.stats.clients.sessions_crashed.inc();
        }
    }
}
