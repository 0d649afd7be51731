//! The first words on a new upstream connection: protocol, credentials, who is there.

use std::collections::BTreeSet;

use super::vigil::swaps;
use super::wire::{Wire, WireError};
use crate::resp::Proto;

/// What every upstream connection says first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Empty for the default user.
    pub user: String,
    /// Empty if the upstream asks for none.
    pub password: String,
}

/// What the upstream said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Welcome {
    /// The id of our connection there: what a later connection kills it by.
    pub client_id: i64,
    /// `redis` or `valkey`.
    pub server: String,
    /// `7.0.15`
    pub version: String,
    /// Changes when the server is restarted.
    pub run_id: String,
    /// `master` or `replica`.
    pub role: String,
    /// False for a server before 6.0: then everything is RESP2.
    pub resp3: bool,
    /// Whether the connection is tracked: the ground that L1 stands on.
    pub tracking: bool,
    /// How often SWAPDB had been called by then, if the upstream tells.
    pub swaps: Option<u64>,
    /// Databases that exist, of those asked for.
    pub dbs: BTreeSet<u32>,
}

/// HELLO with credentials; for servers before 6.0 AUTH alone. The connection's id, if it is told.
pub async fn greet(wire: &mut Wire, proto: Proto, who: &Credentials) -> Result<Welcome, WireError> {
    let version: &[u8] = if proto == Proto::Resp3 { b"3" } else { b"2" };
    let user: &[u8] = if who.user.is_empty() { b"default" } else { who.user.as_bytes() };
    let mut hello: Vec<&[u8]> = vec![b"HELLO", version];
    if !who.password.is_empty() {
        hello.extend([b"AUTH", user, who.password.as_bytes()]);
    }
    hello.extend([b"SETNAME".as_slice(), b"nearcache"]);
    match wire.call(&hello).await {
        Ok(reply) => Ok(Welcome {
            client_id: reply.field("id").and_then(|id| id.parse().ok()).unwrap_or(0),
            server: reply.field("server").unwrap_or_default(),
            version: reply.field("version").unwrap_or_default(),
            role: reply.field("role").unwrap_or_default(),
            resp3: proto == Proto::Resp3,
            ..Welcome::default()
        }),
        Err(WireError::Refused(text)) if text.contains("unknown command") => old_greeting(wire, who).await,
        Err(error) => Err(error),
    }
}

/// What a server before 6.0 understands.
async fn old_greeting(wire: &mut Wire, who: &Credentials) -> Result<Welcome, WireError> {
    if !who.password.is_empty() {
        wire.call(&[b"AUTH", who.password.as_bytes()]).await?;
    }
    wire.call(&[b"CLIENT", b"SETNAME", b"nearcache"]).await?;
    let client_id = wire.call(&[b"CLIENT", b"ID"]).await.ok().and_then(|reply| reply.int()).unwrap_or(0);
    Ok(Welcome { client_id, ..Welcome::default() })
}

/// Everything a lane needs before it serves: who is there, that zombies of the last connection are
/// dead, that we are tracked, and which databases exist.
pub async fn open_lane(
    wire: &mut Wire,
    who: &Credentials,
    last: Option<&Welcome>,
    zombies: &[i64],
    dbs: &[u32],
) -> Result<Welcome, WireError> {
    let mut welcome = greet(wire, Proto::Resp3, who).await?;
    let info = wire.call(&[b"INFO", b"server"]).await?.text().unwrap_or_default();
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .unwrap_or_default()
            .to_owned()
    };
    welcome.run_id = field("run_id");
    if welcome.version.is_empty() {
        welcome.version = field("redis_version");
    }
    // A command sent on a connection that we have given up may still wait in the server and be
    // executed after we have told its client "uncertain" and read the value anew. After a restart
    // the ids belong to strangers.
    if last.is_some_and(|last| last.run_id == welcome.run_id) {
        for id in zombies {
            match wire.call(&[b"CLIENT", b"KILL", b"ID", id.to_string().as_bytes()]).await {
                Ok(_) | Err(WireError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    // Redis would otherwise evict our connection first under maxmemory-clients; refused before 7.0.
    tolerate(wire.call(&[b"CLIENT", b"NO-EVICT", b"ON"]).await)?;
    if welcome.resp3 {
        welcome.tracking = tolerate(wire.call(&[b"CLIENT", b"TRACKING", b"ON", b"OPTIN"]).await)?;
    }
    if let Ok(info) = wire.call(&[b"INFO", b"commandstats"]).await {
        welcome.swaps = swaps(&info.text().unwrap_or_default());
    }
    for &db in dbs {
        if tolerate(wire.call(&[b"SELECT", db.to_string().as_bytes()]).await)? {
            welcome.dbs.insert(db);
        }
    }
    wire.call(&[b"SELECT", b"0"]).await?;
    Ok(welcome)
}

/// True if it worked, false if Redis refused; other failures stay failures.
fn tolerate<T>(result: Result<T, WireError>) -> Result<bool, WireError> {
    match result {
        Ok(_) => Ok(true),
        Err(WireError::Refused(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
