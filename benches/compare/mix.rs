//! The load that redis-benchmark cannot make: reads and writes mixed, over keys that are not all alike.
//!
//! As redis-benchmark does, each client sends a pipeline, reads all its replies and sends the next; the
//! latency of a request is from the sending of its pipeline to the arrival of its reply. Or the load is paced:
//! every request has its time, and if the client is still waiting for the reply before, the latency counts from
//! there (a slow server cannot slow the load down and look faster than it is).

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use nearcache::resp::{ReplyScanner, Scan};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::figures::Figures;
use crate::rows::Row;
use crate::support::Rng;
use crate::support::reply::encode_into;

/// How uneven the keys are: the usual value of YCSB.
const ZIPF: f64 = 0.99;

/// The most that one run may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A paced load begins so much later than its connections.
const CONNECTING: Duration = Duration::from_millis(20);

/// What all clients share.
struct Load {
    row: Row,
    reads: u32,
    /// The probability of a key or one before it.
    zipf: Vec<f64>,
    value: Vec<u8>,
    /// None: each client sends when it has been answered.
    pace: Option<Pace>,
    left: Cell<usize>,
    latencies: RefCell<Histogram<u64>>,
}

/// When pipelines are due: one after the other, each time the next client's.
struct Pace {
    first: Instant,
    between: Duration,
}

impl Pace {
    /// Waits for the `n`th; from when its latency counts: from when it was due, if its client was busy then, and
    /// from its sending, if only we were late. It looks at the clock again and again, as timers count whole
    /// milliseconds; meanwhile the runtime looks for replies.
    async fn until(&self, n: usize) -> Instant {
        let due = self.first + self.between * n as u32;
        if Instant::now() >= due {
            return due;
        }
        loop {
            tokio::task::yield_now().await;
            let now = Instant::now();
            if now >= due {
                return now;
            }
        }
    }
}

/// Runs the mix against a port; `rate`: so many requests per second and no more.
pub fn run(row: &Row, reads: u32, rate: Option<u32>, port: u16, requests: usize) -> io::Result<Figures> {
    let pace = rate.map(|rate| Pace {
        first: Instant::now() + CONNECTING,
        between: Duration::from_secs(1) * row.pipeline as u32 / rate,
    });
    let load = Rc::new(Load {
        row: *row,
        reads,
        zipf: zipf(row.keys),
        value: vec![b'x'; row.value],
        pace,
        left: Cell::new(requests),
        latencies: RefCell::new(Histogram::new(3).expect("3 digits are allowed")),
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let started = load.pace.as_ref().map_or_else(Instant::now, |pace| pace.first);
    let clients = async {
        let tasks = (0..row.clients).map(|n| tokio::task::spawn_local(client(Rc::clone(&load), port, n)));
        for task in tasks.collect::<Vec<_>>() {
            task.await.map_err(io::Error::other)??;
        }
        Ok::<_, io::Error>(())
    };
    let bounded = async { tokio::time::timeout(PATIENCE, clients).await };
    runtime.block_on(LocalSet::new().run_until(bounded))??;
    let rate = requests as f64 / started.elapsed().as_secs_f64();
    let latencies = load.latencies.borrow();
    let percentile = |p| latencies.value_at_percentile(p) as f64 / 1000.0;
    Ok(Figures { rate, p50: percentile(50.0), p99: percentile(99.0), p999: percentile(99.9) })
}

/// One client, until the common number of requests has been sent.
async fn client(load: Rc<Load>, port: u16, number: usize) -> io::Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut rng = Rng::new(number as u64);
    let mut scanner = ReplyScanner::default();
    let (mut out, mut buf) = (Vec::new(), vec![0; 64 * 1024]);
    for turn in 0.. {
        let n = load.left.get().min(load.row.pipeline);
        if n == 0 {
            break;
        }
        load.left.set(load.left.get() - n);
        out.clear();
        (0..n).for_each(|_| load.request(&mut rng, &mut out));
        let sent = match &load.pace {
            Some(pace) => pace.until(turn * load.row.clients + number).await,
            None => Instant::now(),
        };
        stream.write_all(&out).await?;
        let mut owed = n;
        while owed > 0 {
            let len = stream.read(&mut buf).await?;
            if len == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let replies = count(&mut scanner, &buf[..len])?;
            owed = owed.checked_sub(replies).ok_or_else(|| io::Error::other("more replies than requests"))?;
            let elapsed = sent.elapsed().as_nanos() as u64;
            load.latencies.borrow_mut().record_n(elapsed, replies as u64).expect("the histogram grows");
        }
    }
    Ok(())
}

/// Replies that end in these bytes. An error is an error: figures of refused requests mean nothing.
fn count(scanner: &mut ReplyScanner, mut bytes: &[u8]) -> io::Result<usize> {
    let mut replies = 0;
    while !bytes.is_empty() {
        match scanner.feed(bytes).map_err(io::Error::other)? {
            Scan::More(_) => break,
            Scan::Done(n) => {
                if bytes[0] == b'-' {
                    return Err(io::Error::other(String::from_utf8_lossy(&bytes[..n]).into_owned()));
                }
                replies += 1;
                bytes = &bytes[n..];
            }
            Scan::Push(_) => return Err(io::Error::other("a push to a RESP2 client")),
        }
    }
    Ok(replies)
}

impl Load {
    fn request(&self, rng: &mut Rng, out: &mut Vec<u8>) {
        let at = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let key = Row::key(self.zipf.partition_point(|&p| p < at).min(self.row.keys - 1));
        match rng.below(100) < self.reads as usize {
            true => encode_into(out, &[b"GET".as_slice(), key.as_bytes()]),
            false => encode_into(out, &[b"SET".as_slice(), key.as_bytes(), &self.value]),
        }
    }
}

/// For each key, the share of requests that go to it or to one before it.
fn zipf(keys: usize) -> Vec<f64> {
    let total: f64 = (1..=keys).map(|rank| (rank as f64).powf(-ZIPF)).sum();
    let mut sum = 0.0;
    let up_to = |rank: usize| {
        sum += (rank as f64).powf(-ZIPF) / total;
        sum
    };
    (1..=keys).map(up_to).collect()
}
