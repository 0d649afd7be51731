//! Connecting to an upstream: the name is resolved anew each time, every address is tried, and a peer
//! that vanished without a word is noticed.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::Instant;

use super::address::Address;
use super::stream::{Socket, Stream};
use super::tls::{ClientTls, TlsError};
use crate::timers;

/// How to connect.
#[derive(Clone, Copy, Debug)]
pub struct ConnectOptions {
    /// Bound of the whole: resolving, all addresses, the TLS handshake.
    pub timeout: Duration,
    /// Silence after which TCP asks whether the peer is still there; none: never.
    pub keepalive: Option<Duration>,
    /// How long sent bytes may stay unacknowledged before the connection counts as dead (Linux's
    /// TCP_USER_TIMEOUT; its own answer is many minutes). None: the system's.
    pub user_timeout: Option<Duration>,
}

/// Why no connection was made. Nothing was sent in any case, so trying again is safe.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name could not be resolved.
    #[error("cannot resolve {address}: {source}")]
    Resolve {
        /// What was to be connected.
        address: Address,
        /// The resolver's words.
        source: io::Error,
    },
    /// Every address failed; the last one's reason.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// What was tried last.
        address: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The time was up.
    #[error("cannot connect to {address}: no answer within {after:?}")]
    TimedOut {
        /// What was to be connected.
        address: Address,
        /// The time allowed.
        after: Duration,
    },
    /// Connected, but the TLS handshake failed.
    #[error("TLS handshake with {address} failed: {source}")]
    Handshake {
        /// With whom.
        address: Address,
        /// Usually what is wrong with the certificate.
        source: io::Error,
    },
    /// The TLS settings do not fit the address.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Connects, with TLS if `tls` is given.
pub async fn connect(
    address: &Address,
    tls: Option<&ClientTls>,
    options: ConnectOptions,
) -> Result<Stream, ConnectError> {
    let timed_out = || ConnectError::TimedOut { address: address.clone(), after: options.timeout };
    let deadline = Instant::now() + options.timeout;
    let socket = match address {
        Address::Tcp { host, port } => connect_tcp(address, host, *port, deadline, options).await?,
        Address::Unix(path) => {
            let unix =
                timers::timeout_at(deadline, UnixStream::connect(path)).await.map_err(|_| timed_out())?;
            Socket::Unix(unix.map_err(|e| failed(&address, e))?)
        }
    };
    let Some(tls) = tls else { return Ok(Stream::Plain(socket)) };
    let name = tls.name_for(match address {
        Address::Tcp { host, .. } => host,
        Address::Unix(_) => "localhost",
    })?;
    match timers::timeout_at(deadline, tls.connect(name, socket)).await {
        Ok(Ok(stream)) => Ok(Stream::ClientTls(Box::new(stream))),
        Ok(Err(source)) => Err(ConnectError::Handshake { address: address.clone(), source }),
        Err(_) => Err(timed_out()),
    }
}

/// Tries the addresses of `host` in the resolver's order. Each may use its share of the time that is
/// left, so that one that swallows packets does not use up the others' chance.
async fn connect_tcp(
    address: &Address,
    host: &str,
    port: u16,
    deadline: Instant,
    options: ConnectOptions,
) -> Result<Socket, ConnectError> {
    let timed_out = || ConnectError::TimedOut { address: address.clone(), after: options.timeout };
    let found: Vec<SocketAddr> = match timers::timeout_at(deadline, lookup_host((host, port))).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(source)) => return Err(ConnectError::Resolve { address: address.clone(), source }),
        Err(_) => return Err(timed_out()),
    };
    let mut outcome = Err(timed_out());
    for (tried, addr) in found.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / (found.len() - tried) as u32;
        match timers::timeout(share, TcpStream::connect(addr)).await {
            Ok(Ok(tcp)) => {
                tune(&tcp, options).map_err(|e| failed(addr, e))?;
                return Ok(Socket::Tcp(tcp));
            }
            Ok(Err(error)) => outcome = Err(failed(addr, error)),
            Err(_) => {}
        }
    }
    outcome
}

fn failed(address: &impl ToString, source: io::Error) -> ConnectError {
    ConnectError::Connect { address: address.to_string(), source }
}

fn tune(tcp: &TcpStream, options: ConnectOptions) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = SockRef::from(tcp);
    if let Some(after) = options.keepalive {
        set_keepalive(&socket, after)?;
    }
    #[cfg(target_os = "linux")]
    if options.user_timeout.is_some() {
        socket.set_tcp_user_timeout(options.user_timeout)?;
    }
    Ok(())
}

/// As Redis does it: the first probe after `after`, then three more at a third of it.
pub(super) fn set_keepalive(socket: &SockRef<'_>, after: Duration) -> io::Result<()> {
    let after = after.max(Duration::from_secs(1));
    let interval = (after / 3).max(Duration::from_secs(1));
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after).with_interval(interval).with_retries(3))
}
