//! An upstream that answers from a script: for replies that no real Redis gives.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the script does about one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing, ever.
    Silence,
    /// These bytes, and then the connection is closed.
    Close(Vec<u8>),
}

/// A request as its arguments.
pub type Request = Vec<Vec<u8>>;

/// A listener whose every connection answers by one function.
pub struct FakeUpstream {
    addr: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    closed: Arc<Mutex<bool>>,
}

impl FakeUpstream {
    /// Starts to answer: `script` is asked with the connection's number (from 0) and each request.
    pub fn start(script: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let (seen, closed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(false)));
        let fake = FakeUpstream { addr, seen: seen.clone(), closed: closed.clone() };
        let script = Arc::new(script);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                if *closed.lock().unwrap() {
                    return;
                }
                let (script, seen) = (script.clone(), seen.clone());
                thread::spawn(move || serve(stream, &seen, |request| script(number, request)));
            }
        });
        fake
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// All requests so far, of all connections.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for FakeUpstream {
    fn drop(&mut self) {
        *self.closed.lock().unwrap() = true;
        let _ = TcpStream::connect(self.addr); // wakes the acceptor, which sees `closed`
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Request>>, answer: impl Fn(&Request) -> Answer) {
    let mut buf = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        while let Some((request, len)) = request(&buf) {
            buf.drain(..len);
            let answer = answer(&request);
            seen.lock().unwrap().push(request);
            match answer {
                Answer::Silence => {}
                Answer::Bytes(bytes) if stream.write_all(&bytes).is_ok() => {}
                Answer::Bytes(_) => return,
                Answer::Close(bytes) => {
                    let _ = stream.write_all(&bytes);
                    return;
                }
            }
        }
        match stream.read(&mut chunk) {
            Ok(n @ 1..) => buf.extend_from_slice(&chunk[..n]),
            _ => return,
        }
    }
}

/// The request at the start of `buf`, if all of it is there. Requests are arrays of bulk strings, which a
/// reply may be as well.
fn request(buf: &[u8]) -> Option<(Request, usize)> {
    let (reply, len) = super::reply::decode(buf).expect("a client sends valid requests")?;
    Some((reply.items().iter().filter_map(|item| item.text().map(<[u8]>::to_vec)).collect(), len))
}
