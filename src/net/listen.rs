//! Listening: TCP and unix sockets, and the TLS handshake, which the session's own task performs so that
//! a client that dawdles in it keeps nobody else waiting.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket as RawSocket, Type};
use tokio::net::{TcpListener, UnixListener, lookup_host};

use super::address::{Address, ListenAddr};
use super::connect::set_keepalive;
use super::stream::{Socket, Stream};
use super::tls::ServerTls;
use crate::timers;

/// Connections the kernel keeps while we are busy. Redis's 511 is small for a fleet that reconnects at
/// once; the kernel cuts this down to net.core.somaxconn.
const BACKLOG: i32 = 4096;

/// How to listen.
#[derive(Clone, Debug, Default)]
pub struct ListenOptions {
    /// Mode of the unix socket's file; none: what the umask leaves.
    pub unix_mode: Option<u32>,
    /// Silence of a client after which TCP asks whether it is still there; none: never.
    pub keepalive: Option<Duration>,
    /// For `tls://` addresses.
    pub tls: Option<ServerTls>,
}

/// A bound address. Dropping it closes it, and removes a unix socket's file.
#[derive(Debug)]
pub struct Listener {
    socket: Bound,
    tls: Option<ServerTls>,
    keepalive: Option<Duration>,
}

#[derive(Debug)]
enum Bound {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, SocketFile),
}

/// The file of a unix socket that we made, known by its inode: if somebody has put another one in its
/// place since, that one is not ours to remove.
#[derive(Debug)]
struct SocketFile {
    path: Arc<Path>,
    inode: (u64, u64),
}

/// A connection that has been accepted, before its TLS handshake.
#[derive(Debug)]
pub struct Accepted {
    socket: Socket,
    tls: Option<ServerTls>,
    /// Who it is.
    pub peer: PeerAddr,
}

/// Both ends of a client's connection, as `CLIENT LIST` shows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerAddr {
    /// The client's address, and ours.
    Tcp(SocketAddr, SocketAddr),
    /// The socket's path: the client has no name of its own.
    Unix(Arc<Path>),
}

impl Listener {
    /// Binds `addr`. A host name binds its first IPv4 address, or without one its first IPv6 address.
    pub async fn bind(addr: &ListenAddr, options: &ListenOptions) -> io::Result<Listener> {
        let tls = match (addr.tls, &options.tls) {
            (false, _) => None,
            (true, Some(tls)) => Some(tls.clone()),
            (true, None) => return Err(io::Error::other("a tls:// address needs a certificate and its key")),
        };
        let socket = match &addr.address {
            Address::Tcp { host, port } => bind_tcp(host, *port).await?,
            Address::Unix(path) => bind_unix(path, options.unix_mode).await?,
        };
        Ok(Listener { socket, tls, keepalive: options.keepalive })
    }

    /// The next connection. Errors concern that one connection, or the process's file descriptors: go on
    /// accepting, after a pause if it is the latter.
    pub async fn accept(&self) -> io::Result<Accepted> {
        let (socket, peer) = match &self.socket {
            Bound::Tcp(listener, _) => {
                let (tcp, remote) = listener.accept().await?;
                tcp.set_nodelay(true)?;
                if let Some(after) = self.keepalive {
                    set_keepalive(&SockRef::from(&tcp), after)?;
                }
                let local = tcp.local_addr()?;
                (Socket::Tcp(tcp), PeerAddr::Tcp(remote, local))
            }
            Bound::Unix(listener, file) => {
                let (unix, _) = listener.accept().await?;
                (Socket::Unix(unix), PeerAddr::Unix(file.path.clone()))
            }
        };
        Ok(Accepted { socket, tls: self.tls.clone(), peer })
    }

    /// The address bound, with the port that the system chose for port 0.
    pub fn local_addr(&self) -> ListenAddr {
        let address = match &self.socket {
            Bound::Tcp(_, addr) => Address::Tcp { host: addr.ip().to_string(), port: addr.port() },
            Bound::Unix(_, file) => Address::Unix(file.path.to_path_buf()),
        };
        ListenAddr { address, tls: self.tls.is_some() }
    }
}

impl Accepted {
    /// Performs the TLS handshake, if the listener asks for one, within `limit`.
    pub async fn handshake(self, limit: Duration) -> io::Result<Stream> {
        let Some(tls) = self.tls else { return Ok(Stream::Plain(self.socket)) };
        match timers::timeout(limit, tls.accept(self.socket)).await {
            Ok(stream) => Ok(Stream::ServerTls(Box::new(stream?))),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "TLS handshake timed out")),
        }
    }

    /// The connection as it is, when a reply must be sent before any handshake (too many clients).
    /// None where that reply would have to be encrypted first.
    pub fn without_handshake(self) -> Option<Stream> {
        self.tls.is_none().then_some(Stream::Plain(self.socket))
    }
}

impl PeerAddr {
    /// The `addr=` field.
    pub fn addr(&self) -> String {
        match self {
            PeerAddr::Tcp(remote, _) => remote.to_string(),
            PeerAddr::Unix(path) => format!("{}:0", path.display()),
        }
    }

    /// The `laddr=` field.
    pub fn laddr(&self) -> String {
        match self {
            PeerAddr::Tcp(_, local) => local.to_string(),
            PeerAddr::Unix(path) => format!("{}:0", path.display()),
        }
    }
}

async fn bind_tcp(host: &str, port: u16) -> io::Result<Bound> {
    let found: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    let addr = found.iter().find(|a| a.is_ipv4()).or(found.first());
    let addr = *addr.ok_or_else(|| io::Error::other(format!("{host} has no address")))?;
    let socket = RawSocket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if addr.is_ipv6() {
        // So that 0.0.0.0 and [::] can both be listened on, and each means what it says.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let local = listener.local_addr()?;
    Ok(Bound::Tcp(listener, local))
}

async fn bind_unix(path: &Path, mode: Option<u32>) -> io::Result<Bound> {
    remove_if_stale(path).await?;
    let socket = RawSocket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    let meta = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.into(), inode: (meta.dev(), meta.ino()) };
    if let Some(mode) = mode {
        // Before listen: nobody can connect while the file still has the umask's mode.
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    socket.listen(BACKLOG)?;
    Ok(Bound::Unix(UnixListener::from_std(std::os::unix::net::UnixListener::from(socket))?, file))
}

/// Removes what a killed process left behind: a socket on which nobody listens. Anything else at that
/// path is left alone, and the bind will say that the address is in use.
async fn remove_if_stale(path: &Path) -> io::Result<()> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(()) };
    if !meta.file_type().is_socket() {
        return Ok(());
    }
    match tokio::net::UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = |meta: fs::Metadata| (meta.dev(), meta.ino()) == self.inode;
        if fs::symlink_metadata(&self.path).is_ok_and(ours) {
            // Nothing can be done about a failure, and the next start removes a stale file anyway.
            let _ = fs::remove_file(&self.path);
        }
    }
}
