//! The ways in and out: unix sockets, IPv6, TLS on either side, and a password behind TLS.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::pem::PemObject;
use tempfile::TempDir;

use crate::support::client::RawClient;
use crate::support::proxy::Proxy;
use crate::support::redis::{RedisServer, free_port};
use crate::support::reply::encode;
use crate::support::until;

/// A certificate authority and a certificate for `localhost` and 127.0.0.1, as files.
struct Certificates {
    dir: TempDir,
}

impl Certificates {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        std::fs::write(dir.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let cert = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        std::fs::write(dir.path().join("cert.pem"), cert.pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), key.serialize_pem()).unwrap();
        Certificates { dir }
    }

    fn file(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }
}

fn two_commands(stream: &mut (impl Read + Write)) {
    stream.write_all(&[encode(&["SET", "k", "v"]), encode(&["GET", "k"])].concat()).unwrap();
    let mut said = [0; 12];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"+OK\r\n$1\r\nv\r\n");
}

#[test]
fn clients_come_by_unix_socket_and_ipv6() {
    let redis = RedisServer::start(&[]);
    let dir = TempDir::new().unwrap();
    let path: PathBuf = dir.path().join("n.sock");
    let six = TcpStream::connect(("::1", 1))
        .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
    let mut listen = format!("127.0.0.1:0,unix:{}", path.display());
    if six {
        listen.push_str(",[::1]:0");
    }
    let proxy = Proxy::behind(redis.addr(), &[("server.listen", &listen)]);
    two_commands(&mut std::os::unix::net::UnixStream::connect(&path).unwrap());
    if six {
        let port = proxy
            .addrs()
            .iter()
            .find_map(|addr| Some(addr.strip_prefix("[::1]:")?.parse::<u16>().unwrap()))
            .unwrap();
        two_commands(&mut TcpStream::connect(("::1", port)).unwrap());
    }
}

#[test]
fn the_upstream_may_be_a_unix_socket() {
    let redis = RedisServer::start(&[]);
    let url = format!("unix://{}", redis.unix_socket().display());
    let proxy = Proxy::with(&[("upstream.url", &url)]);
    proxy.await_upstream("up");
    let mut client = proxy.client();
    assert_eq!(client.call_raw(&["SET", "k", "v"]).unwrap(), b"+OK\r\n");
    assert_eq!(client.call_raw(&["BLPOP", "none", "0.01"]).unwrap(), b"*-1\r\n");
}

/// Lets a server speak TLS on a free port. Whether it is still free when the server takes it is for the server
/// to say: then the next one is tried.
fn tls_port(redis: &RedisServer) -> u16 {
    until("the server speaks TLS", || {
        let port = free_port();
        let reply = redis.client().call(&["CONFIG", "SET", "tls-port", &port.to_string()]).unwrap();
        (!reply.is_error()).then_some(port)
    })
}

#[test]
fn tls_on_both_sides() {
    let files = Certificates::new();
    let (ca, cert, key) = (files.file("ca.pem"), files.file("cert.pem"), files.file("key.pem"));
    let redis = RedisServer::start(&[
        "--tls-cert-file",
        &cert,
        "--tls-key-file",
        &key,
        "--tls-ca-cert-file",
        &ca,
        "--tls-auth-clients",
        "no",
    ]);
    let port = tls_port(&redis);
    redis.require_password("secret");
    let url = format!("rediss://:secret@localhost:{port}/2");
    let proxy = Proxy::with(&[
        ("upstream.url", &url),
        ("upstream.tls.ca", &ca),
        ("server.listen", "127.0.0.1:0,tls://127.0.0.1:0"),
        ("server.tls.cert", &cert),
        ("server.tls.key", &key),
    ]);
    proxy.await_upstream("up");
    let mut plain = proxy.client();
    assert_eq!(plain.call_raw(&["SET", "a", "b"]).unwrap(), b"+OK\r\n");
    assert_eq!(plain.call_raw(&["BLPOP", "none", "0.01"]).unwrap(), b"*-1\r\n");
    let large = "x".repeat(3 << 20);
    assert_eq!(plain.exchange(&encode(&["SET", "large", &large]), 1).unwrap()[0], b"+OK\r\n");
    assert_eq!(plain.call_raw(&["GET", "large"]).unwrap().len(), large.len() + 12);

    let port = proxy
        .addrs()
        .iter()
        .find_map(|addr| Some(addr.strip_prefix("tls://127.0.0.1:")?.parse::<u16>().unwrap()))
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls_pki_types::CertificateDer::from_pem_file(&ca).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let config = Arc::new(config);
    let connect = |_| {
        let session =
            rustls::ClientConnection::new(Arc::clone(&config), rustls_pki_types::ServerName::clone(&name));
        let mut stream =
            rustls::StreamOwned::new(session.unwrap(), TcpStream::connect(("127.0.0.1", port)).unwrap());
        two_commands(&mut stream);
        stream
    };
    let mut streams: Vec<_> = (0..10).map(connect).collect();
    until("idle clients hold no buffers", || (proxy.shared().buffers.used() == 0).then_some(()));
    streams.iter_mut().for_each(two_commands);
    // A command in two halves, and two TLS records that the proxy may read at once.
    let stream = &mut streams[0];
    stream.write_all(b"*1\r\n$4").unwrap();
    until("half a command is held", || (proxy.shared().buffers.used() > 0).then_some(()));
    stream.write_all(b"\r\nPING\r\n").unwrap();
    let mut said = [0; 7];
    stream.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"+PONG\r\n");

    // Who speaks no TLS there, or says nothing, keeps nobody out.
    let mut wrong = RawClient::connect((std::net::Ipv4Addr::LOCALHOST, port).into()).unwrap();
    let _silent = TcpStream::connect(("127.0.0.1", port)).unwrap();
    wrong.send(b"*1\r\n$4\r\nPING\r\n").unwrap();
    let _ = wrong.read_to_end();
    assert_eq!(plain.call_raw(&["PING"]).unwrap(), b"+PONG\r\n");
}
