//! Where to listen and where to connect, as people write it: `127.0.0.1:6380`, `[::1]:6380`,
//! `cache.internal:6379`, `unix:/run/redis.sock`, and for listeners `tls://0.0.0.0:6390`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A place to connect to or to listen on. Names are not resolved here, but at every connect, so that a
/// failover done by DNS is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A host name or IP address (IPv6 without its brackets), and a port.
    Tcp {
        /// Host name or IP address.
        host: String,
        /// Port; 0 (listeners only) lets the system choose one.
        port: u16,
    },
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// An [`Address`] to listen on, and whether clients speak TLS there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddr {
    /// Where.
    pub address: Address,
    /// Written as `tls://…`.
    pub tls: bool,
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `:port` at the end.
    #[error("'{0}' has no port; write HOST:PORT or unix:/PATH")]
    NoPort(String),
    /// `:6380`: which interfaces is too important to guess.
    #[error("':{0}' names no interface; write 0.0.0.0:{0} for all of IPv4, [::]:{0} for all of IPv6")]
    NoHost(String),
    /// A port that is not a number below 65536.
    #[error("'{0}' is not a port between 0 and 65535")]
    BadPort(String),
    /// `::1:6380`, of which nobody knows where the port begins.
    #[error("'{0}': write an IPv6 address in brackets, as [::1]:6380")]
    Brackets(String),
    /// A host with a character that no host name has.
    #[error("'{0}' is not a host name or IP address")]
    BadHost(String),
    /// `unix:` with nothing behind it, or with a relative path: it would depend on the working directory.
    #[error("'{0}' is not an absolute path of a unix socket")]
    BadPath(String),
    /// `foo://…`.
    #[error("unknown scheme '{0}://'; a listener is HOST:PORT, tls://HOST:PORT or unix:/PATH")]
    Scheme(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            // `unix:///path` is the URL way to write `unix:/path`.
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') {
                return Err(AddressError::BadPath(path.into()));
            }
            return Ok(Address::Unix(path.into()));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(AddressError::Scheme(scheme.into()));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(|| AddressError::NoPort(text.into()))?;
        if host.ends_with(']') || !host.contains(':') {
            let port_number = port.parse().map_err(|_| AddressError::BadPort(port.into()))?;
            return Ok(Address::Tcp { host: check_host(host, port)?, port: port_number });
        }
        Err(AddressError::Brackets(text.into()))
    }
}

fn check_host(host: &str, port: &str) -> Result<String, AddressError> {
    let bad = || AddressError::BadHost(host.into());
    if host.is_empty() {
        return Err(AddressError::NoHost(port.into()));
    }
    if let Some(inner) = host.strip_prefix('[') {
        let inner = inner.strip_suffix(']').ok_or_else(bad)?;
        // `fe80::1%eth0`: the zone is the resolver's business.
        let ip = inner.split_once('%').map_or(inner, |(ip, _)| ip);
        ip.parse::<std::net::Ipv6Addr>().map_err(|_| bad())?;
        return Ok(inner.into());
    }
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.chars().all(allowed) { Ok(host.into()) } else { Err(bad()) }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for ListenAddr {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (tls, rest) = match text.strip_prefix("tls://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("tcp://").unwrap_or(text)),
        };
        Ok(ListenAddr { address: rest.parse()?, tls })
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tls {
            f.write_str("tls://")?;
        }
        self.address.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_round_trip() {
        for text in
            ["127.0.0.1:6380", "[::1]:6380", "[fe80::1%eth0]:1", "cache.internal:0", "unix:/run/a b.sock"]
        {
            assert_eq!(text.parse::<Address>().map(|a| a.to_string()), Ok(text.to_string()));
        }
        for text in ["127.0.0.1:6380", "tls://[::]:6390", "tls://unix:/run/s.sock"] {
            assert_eq!(text.parse::<ListenAddr>().map(|a| a.to_string()), Ok(text.to_string()));
        }
        assert_eq!("unix:///run/s".parse::<Address>(), Ok(Address::Unix("/run/s".into())));
        assert_eq!("tcp://h:1".parse::<ListenAddr>().map(|a| a.to_string()), Ok("h:1".into()));
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        let error = |text: &str| text.parse::<ListenAddr>().expect_err(text);
        assert_eq!(error("6380"), AddressError::NoPort("6380".into()));
        assert_eq!(error(":6380"), AddressError::NoHost("6380".into()));
        assert_eq!(error("h:65536"), AddressError::BadPort("65536".into()));
        assert_eq!(error("h:"), AddressError::BadPort("".into()));
        assert_eq!(error("::1:6380"), AddressError::Brackets("::1:6380".into()));
        assert_eq!(error("[::1"), AddressError::Brackets("[::1".into()));
        assert_eq!(error("[::x]:1"), AddressError::BadHost("[::x]".into()));
        assert_eq!(error("a b:1"), AddressError::BadHost("a b".into()));
        assert_eq!(error("unix:run/s"), AddressError::BadPath("run/s".into()));
        assert_eq!(error("http://h:1"), AddressError::Scheme("http".into()));
    }
}
