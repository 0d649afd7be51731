//! Listening and connecting: TCP, unix sockets, TLS on both sides, and peers that misbehave in it.

use std::io::{self, IoSlice};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use nearcache::net::{
    Address, ClientTls, ClientTlsFiles, ConnectError, ConnectOptions, ListenAddr, ListenOptions, Listener,
    PeerAddr, ServerTls, ServerTlsFiles, Socket, Stream, TlsError, connect,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

const LIMIT: Duration = Duration::from_secs(20);

const OPTIONS: ConnectOptions =
    ConnectOptions { timeout: LIMIT, keepalive: Some(Duration::from_secs(15)), user_timeout: Some(LIMIT) };

/// A certificate authority with its certificates in a directory.
struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("ca.pem"), issuer.pem()).expect("written");
        Authority { dir, issuer }
    }

    fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Issues a certificate for `name`; its file and its key's.
    fn issue(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let cert = params.signed_by(&key, &self.issuer).expect("signed");
        let files = (self.dir.path().join("cert.pem"), self.dir.path().join("key.pem"));
        std::fs::write(&files.0, cert.pem()).expect("written");
        std::fs::write(&files.1, key.serialize_pem()).expect("written");
        files
    }

    fn server_files(&self, name: &str, client_ca: Option<PathBuf>) -> ServerTlsFiles {
        let (cert, key) = self.issue(name);
        ServerTlsFiles { cert, key, client_ca }
    }

    fn client_files(&self) -> ClientTlsFiles {
        ClientTlsFiles { ca: Some(self.ca()), ..ClientTlsFiles::default() }
    }
}

fn listen_addr(text: &str) -> ListenAddr {
    text.parse().expect("an address")
}

async fn bind(text: &str) -> Listener {
    Listener::bind(&listen_addr(text), &ListenOptions::default()).await.expect("bound")
}

async fn bind_tls(text: &str, files: &ServerTlsFiles) -> Listener {
    let tls = Some(ServerTls::load(files).expect("files are right"));
    Listener::bind(&listen_addr(text), &ListenOptions { tls, ..ListenOptions::default() })
        .await
        .expect("bound")
}

fn unix_path(dir: &TempDir) -> (PathBuf, String) {
    let path = dir.path().join("n.sock");
    let text = format!("unix:{}", path.display());
    (path, text)
}

/// Accepts one client and sends back what it sends, until it ends. Returns how the handshake went.
async fn echo_once(listener: &Listener) -> io::Result<()> {
    let mut stream = listener.accept().await?.handshake(LIMIT).await?;
    let mut buf = vec![0; 4096];
    loop {
        let read = stream.read(&mut buf).await?;
        if read == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..read]).await?;
        stream.flush().await?;
    }
}

/// Sends a megabyte in vectored writes through both halves, and gets it back.
async fn round_trip(stream: Stream) -> io::Result<()> {
    let (mut read, mut write) = tokio::io::split(stream);
    let sent: Vec<u8> = (0..1_000_000u32).map(|i| (i % 251) as u8).collect();
    let expected = sent.clone();
    let writing = async move {
        let mut at = 0;
        while at < sent.len() {
            let (a, b) = sent[at..].split_at((sent.len() - at) / 2);
            at += write.write_vectored(&[IoSlice::new(a), IoSlice::new(b)]).await?;
        }
        write.flush().await?;
        Ok::<_, io::Error>(write)
    };
    let mut got = vec![0; expected.len()];
    let (write, read) = tokio::join!(writing, read.read_exact(&mut got));
    write?.shutdown().await?;
    read?;
    assert!(got == expected, "what came back differs");
    Ok(())
}

/// A whole conversation over `listener`; the client's error and the server's.
async fn converse(listener: &Listener, tls: Option<&ClientTls>) -> (Result<(), String>, io::Result<()>) {
    let address = listener.local_addr().address;
    let client = async {
        let stream = connect(&address, tls, OPTIONS).await.map_err(|error| error.to_string())?;
        round_trip(stream).await.map_err(|error| error.to_string())
    };
    tokio::join!(client, echo_once(listener))
}

async fn assert_works(listener: &Listener, files: &ClientTlsFiles) {
    let tls = ClientTls::load(files).expect("files are right");
    let (client, server) = converse(listener, Some(&tls)).await;
    assert_eq!(client, Ok(()));
    server.expect("the server is content");
}

async fn assert_refused(listener: &Listener, files: &ClientTlsFiles, reason: &str) {
    let tls = ClientTls::load(files).expect("files are right");
    let (client, server) = converse(listener, Some(&tls)).await;
    let error = client.expect_err("must be refused");
    assert!(error.contains(reason), "{error}");
    server.expect_err("the server must see it too");
}

#[tokio::test]
async fn tcp_round_trip() {
    let listener = bind("127.0.0.1:0").await;
    let (client, server) = converse(&listener, None).await;
    assert_eq!(client, Ok(()));
    server.expect("the server is content");
}

#[tokio::test]
async fn both_ends_of_a_client_are_known() {
    let listener = bind("127.0.0.1:0").await;
    let text = listener.local_addr().to_string();
    let client = TcpStream::connect(&text).await.expect("connected");
    let peer = listener.accept().await.expect("accepted").peer;
    assert_eq!(peer.addr(), client.local_addr().expect("bound").to_string());
    assert_eq!(peer.laddr(), text);
}

#[tokio::test]
async fn sockets_are_tuned() {
    let listener = bind("127.0.0.1:0").await;
    let stream = connect(&listener.local_addr().address, None, OPTIONS).await.expect("connected");
    let Stream::Plain(Socket::Tcp(tcp)) = &stream else { panic!("TCP is expected") };
    let socket = socket2::SockRef::from(tcp);
    assert!(socket.tcp_nodelay().expect("asked"));
    assert!(socket.keepalive().expect("asked"));
    #[cfg(target_os = "linux")]
    assert_eq!(socket.tcp_user_timeout().expect("asked"), OPTIONS.user_timeout);
}

#[tokio::test]
async fn all_addresses_of_a_name_are_tried() {
    for only in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = Listener::bind(&listen_addr(only), &ListenOptions::default()).await else {
            continue; // no IPv6 on this machine
        };
        let Address::Tcp { host, port } = listener.local_addr().address else { panic!("TCP is expected") };
        let resolved = tokio::net::lookup_host(("localhost", port)).await.expect("localhost exists");
        if resolved.into_iter().all(|addr| addr.ip().to_string() != host) {
            continue; // localhost has no such address here
        }
        let localhost = Address::Tcp { host: "localhost".into(), port };
        connect(&localhost, None, OPTIONS).await.expect("connected");
    }
}

#[tokio::test]
async fn a_refused_connect_says_who_refused() {
    let listener = bind("127.0.0.1:0").await;
    let address = listener.local_addr().address;
    drop(listener);
    let error = connect(&address, None, OPTIONS).await.expect_err("nobody listens");
    assert!(matches!(&error, ConnectError::Connect { source, .. }
        if source.kind() == io::ErrorKind::ConnectionRefused));
    assert!(error.to_string().starts_with(&format!("cannot connect to {address}: ")), "{error}");
}

#[tokio::test]
async fn ipv4_and_ipv6_share_a_port() {
    let Ok(six) = Listener::bind(&listen_addr("[::]:0"), &ListenOptions::default()).await else {
        return; // no IPv6 on this machine
    };
    let Address::Tcp { port, .. } = six.local_addr().address else { panic!("TCP is expected") };
    let four = bind(&format!("0.0.0.0:{port}")).await;
    TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
    TcpStream::connect(("::1", port)).await.expect("connected");
    let remote = |peer: PeerAddr| match peer {
        PeerAddr::Tcp(remote, _) => remote,
        PeerAddr::Unix(_) => panic!("TCP is expected"),
    };
    assert!(remote(four.accept().await.expect("accepted").peer).is_ipv4());
    assert!(remote(six.accept().await.expect("accepted").peer).is_ipv6());
}

#[tokio::test]
async fn a_port_in_use_is_an_error() {
    let listener = bind("127.0.0.1:0").await;
    let again = Listener::bind(&listener.local_addr(), &ListenOptions::default()).await;
    assert_eq!(again.expect_err("in use").kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn unix_round_trip_and_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, text) = unix_path(&dir);
    let options = ListenOptions { unix_mode: Some(0o600), ..ListenOptions::default() };
    let listener = Listener::bind(&listen_addr(&text), &options).await.expect("bound");
    assert_eq!(std::fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    assert_eq!(listener.local_addr().to_string(), text);

    let (client, server) = converse(&listener, None).await;
    assert_eq!(client, Ok(()));
    server.expect("the server is content");

    let _client = UnixStream::connect(&path).await.expect("connected");
    let peer = listener.accept().await.expect("accepted").peer;
    assert_eq!(peer.addr(), format!("{}:0", path.display()));

    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn only_a_stale_unix_socket_is_replaced() {
    let dir = tempfile::tempdir().expect("a directory");
    let (path, text) = unix_path(&dir);
    // Std's listener leaves its file behind, as a killed process does.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bound"));
    assert!(path.exists());
    let living = bind(&text).await;

    let second = Listener::bind(&listen_addr(&text), &ListenOptions::default()).await;
    assert_eq!(second.expect_err("somebody listens").kind(), io::ErrorKind::AddrInUse);
    UnixStream::connect(&path).await.expect("the first listener is still reachable");

    // Replaced by somebody else: not ours to remove.
    std::fs::remove_file(&path).expect("removed");
    let other = std::os::unix::net::UnixListener::bind(&path).expect("bound");
    drop(living);
    assert!(path.exists());
    drop(other);

    std::fs::remove_file(&path).expect("removed");
    std::fs::write(&path, "precious").expect("written");
    Listener::bind(&listen_addr(&text), &ListenOptions::default()).await.expect_err("a file is there");
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "precious");
}

#[tokio::test]
async fn tls_round_trip() {
    let authority = Authority::new();
    let listener = bind_tls("tls://127.0.0.1:0", &authority.server_files("127.0.0.1", None)).await;
    assert!(listener.local_addr().tls);
    assert_works(&listener, &authority.client_files()).await;
}

#[tokio::test]
async fn tls_over_a_unix_socket() {
    let authority = Authority::new();
    let dir = tempfile::tempdir().expect("a directory");
    let (_, text) = unix_path(&dir);
    let listener = bind_tls(&format!("tls://{text}"), &authority.server_files("redis.test", None)).await;
    let files = ClientTlsFiles { server_name: Some("redis.test".into()), ..authority.client_files() };
    assert_works(&listener, &files).await;
}

#[tokio::test]
async fn certificates_that_nobody_vouches_for_are_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let listener = bind_tls("tls://127.0.0.1:0", &authority.server_files("127.0.0.1", None)).await;
    assert_refused(&listener, &stranger.client_files(), "certificate").await;
    // The listener still serves others.
    assert_works(&listener, &authority.client_files()).await;

    let insecure = ClientTlsFiles { insecure_skip_verify: true, ..ClientTlsFiles::default() };
    assert_works(&listener, &insecure).await;
}

#[tokio::test]
async fn the_name_in_the_certificate_is_checked() {
    let authority = Authority::new();
    let listener = bind_tls("tls://127.0.0.1:0", &authority.server_files("redis.test", None)).await;
    assert_refused(&listener, &authority.client_files(), "certificate").await;
    let named = |name: &str| ClientTlsFiles { server_name: Some(name.into()), ..authority.client_files() };
    assert_refused(&listener, &named("other.test"), "certificate").await;
    assert_works(&listener, &named("redis.test")).await;
}

#[tokio::test]
async fn clients_need_a_certificate_where_one_is_asked_for() {
    let (servers, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let files = servers.server_files("127.0.0.1", Some(clients.ca()));
    let listener = bind_tls("tls://127.0.0.1:0", &files).await;
    let with = |identity| ClientTlsFiles { identity, ..servers.client_files() };
    assert_works(&listener, &with(Some(clients.issue("client.test")))).await;

    // In TLS 1.3 the client learns of it only after its side of the handshake; the server knows.
    for identity in [None, Some(strangers.issue("client.test"))] {
        let tls = ClientTls::load(&with(identity)).expect("files are right");
        let (client, server) = converse(&listener, Some(&tls)).await;
        client.expect_err("must be refused");
        let error = server.expect_err("must be refused").to_string();
        assert!(error.contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_reload_takes_the_new_certificate_or_keeps_the_old() {
    let (old, new) = (Authority::new(), Authority::new());
    let files = old.server_files("127.0.0.1", None);
    let tls = ServerTls::load(&files).expect("files are right");
    let options = ListenOptions { tls: Some(tls.clone()), ..ListenOptions::default() };
    let listener = Listener::bind(&listen_addr("tls://127.0.0.1:0"), &options).await.expect("bound");
    assert_works(&listener, &old.client_files()).await;

    std::fs::write(&files.cert, "half copied").expect("written");
    tls.reload(&files).expect_err("no certificate");
    assert_works(&listener, &old.client_files()).await;

    tls.reload(&new.server_files("127.0.0.1", None)).expect("files are right");
    assert_works(&listener, &new.client_files()).await;
    assert_refused(&listener, &old.client_files(), "certificate").await;
}

#[tokio::test]
async fn wrong_files_are_named() {
    let (one, two) = (Authority::new(), Authority::new());
    let (files, other) = (one.server_files("a.test", None), two.server_files("a.test", None));
    let missing = ServerTlsFiles { cert: "/nonexistent/cert.pem".into(), ..files.clone() };
    let error = ServerTls::load(&missing).expect_err("no such file").to_string();
    assert!(error.starts_with("certificate file /nonexistent/cert.pem: "), "{error}");
    // The key of another certificate.
    let mixed = ServerTlsFiles { key: other.key, ..files.clone() };
    assert!(matches!(ServerTls::load(&mixed), Err(TlsError::Setup { .. })));
    // Key and certificate exchanged.
    let swapped = ServerTlsFiles { cert: files.key.clone(), key: files.cert.clone(), client_ca: None };
    assert!(matches!(ServerTls::load(&swapped), Err(TlsError::File { .. })));
    let name = ClientTlsFiles { server_name: Some("not a name".into()), ..one.client_files() };
    assert!(matches!(ClientTls::load(&name), Err(TlsError::ServerName(_))));
}

#[tokio::test]
async fn a_dawdling_handshake_keeps_nobody_waiting() {
    let authority = Authority::new();
    let listener = bind_tls("tls://127.0.0.1:0", &authority.server_files("127.0.0.1", None)).await;
    let silent = TcpStream::connect(listener.local_addr().address.to_string()).await.expect("connected");
    let dawdling = tokio::spawn(listener.accept().await.expect("accepted").handshake(LIMIT));
    assert_works(&listener, &authority.client_files()).await;
    assert!(!dawdling.is_finished());
    drop(silent);
    dawdling.await.expect("no panic").expect_err("it hung up");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_never_comes_times_out() {
    let authority = Authority::new();
    let listener = bind_tls("tls://127.0.0.1:0", &authority.server_files("127.0.0.1", None)).await;
    let _silent = TcpStream::connect(listener.local_addr().address.to_string()).await.expect("connected");
    let started = tokio::time::Instant::now();
    let error =
        listener.accept().await.expect("accepted").handshake(LIMIT).await.expect_err("it never comes");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(started.elapsed() >= LIMIT);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_never_shakes_hands_times_out() {
    let authority = Authority::new();
    let listener = bind("127.0.0.1:0").await;
    let tls = ClientTls::load(&authority.client_files()).expect("files are right");
    let error = connect(&listener.local_addr().address, Some(&tls), OPTIONS).await.expect_err("no handshake");
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn plaintext_is_refused_where_tls_is_spoken() {
    let authority = Authority::new();
    let listener = bind_tls("tls://127.0.0.1:0", &authority.server_files("127.0.0.1", None)).await;
    let mut client = TcpStream::connect(listener.local_addr().address.to_string()).await.expect("connected");
    client.write_all(b"*1\r\n$4\r\nPING\r\n").await.expect("sent");
    listener.accept().await.expect("accepted").handshake(LIMIT).await.expect_err("not TLS");
}

#[tokio::test]
async fn hanging_up_without_farewell_is_an_end() {
    let authority = Authority::new();
    let listener = bind_tls("tls://127.0.0.1:0", &authority.server_files("127.0.0.1", None)).await;
    let tls = ClientTls::load(&authority.client_files()).expect("files are right");
    let address = listener.local_addr().address;
    let (client, server) = tokio::join!(connect(&address, Some(&tls), OPTIONS), async {
        listener.accept().await.expect("accepted").handshake(LIMIT).await
    });
    let (mut client, mut server) = (client.expect("connected"), server.expect("shaken"));
    client.write_all(b"ab").await.expect("sent");
    client.flush().await.expect("sent");
    let mut byte = [0];
    server.read_exact(&mut byte).await.expect("read");
    // Nothing more comes from the socket; the second byte waits inside.
    server.read_exact(&mut byte).await.expect("read");
    assert_eq!(&byte, b"b");

    // Hanging up without TLS's farewell is an end like any other.
    let Stream::ClientTls(tls) = client else { panic!("TLS is expected") };
    let (mut socket, _) = tls.into_inner();
    socket.shutdown().await.expect("the end is sent");
    assert_eq!(server.read(&mut byte).await.expect("an end, no error"), 0);
}
