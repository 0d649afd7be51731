//! The network: TCP, unix sockets and TLS on either, all as one [`Stream`] type.
//!
//! Nothing here knows the Redis protocol. Reading order: addresses, the stream, listening, connecting,
//! and TLS, which the last two use.

mod address;
mod connect;
mod listen;
mod stream;
mod tls;

pub use address::{Address, AddressError, ListenAddr};
pub use connect::{ConnectError, ConnectOptions, connect};
pub use listen::{Accepted, ListenOptions, Listener, PeerAddr};
pub use stream::{Socket, Stream};
pub use tls::{ClientTls, ClientTlsFiles, ServerTls, ServerTlsFiles, TlsError};
