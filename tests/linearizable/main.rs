//! Many clients at once against the memory engine: what they saw must be what one after another would have
//! seen, in some order; and nothing is lost or comes twice, however long it goes on.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]
#![allow(missing_docs, reason = "test names are sentences")]

#[path = "../support/mod.rs"]
mod support;

mod checker;
mod invariants;
mod model;
mod record;

use checker::{Event, MAX_CALLS, linearizable, show};
use record::{Client, calls, engine, record};
use support::Rng;
use support::client::RawClient;
use support::proxy::Proxy;

const CLIENTS: usize = 6;
/// A WATCH brings two more calls than were asked for.
const CALLS: usize = MAX_CALLS / CLIENTS - 2;

/// Records and checks histories, each on a fresh keyspace with `clients` made for it.
fn check_histories(count: u64, mut clients: impl FnMut() -> Vec<Client>) -> Vec<Event> {
    let (mut overlaps, mut last, mut unique) = (0, Vec::new(), 0);
    for seed in 0..count {
        let mut rng = Rng::new(seed);
        let plans = (0..CLIENTS).map(|_| calls(&mut rng, CALLS, &mut unique)).collect();
        let history = record(&mut clients(), plans);
        assert!(linearizable(&history), "seed {seed}: no order explains\n{}", show(&history));
        let during =
            |a: &Event, b: &Event| a.client < b.client && a.invoked < b.answered && b.invoked < a.answered;
        overlaps += history.iter().map(|a| history.iter().filter(|b| during(a, b)).count()).sum::<usize>();
        last = history;
    }
    println!("{count} histories, {overlaps} pairs of calls at the same time");
    assert!(overlaps > 0, "the clients were never at it at the same time");
    last
}

#[test]
fn through_the_proxy_every_history_has_an_order() {
    let proxy = Proxy::with(&[]);
    check_histories(150, || {
        assert_eq!(proxy.client().call_raw(&["FLUSHALL"]).unwrap(), b"+OK\r\n");
        (0..CLIENTS).map(|_| Client::Proxy(RawClient::connect(proxy.addr()).unwrap())).collect()
    });
}

#[test]
fn in_the_engine_every_history_has_an_order() {
    check_histories(400, || {
        let engine = engine();
        (0..CLIENTS).map(|_| Client::of(&engine)).collect()
    });
}

/// The checker on what was really recorded: one reply changed to another one's, and it no longer agrees.
#[test]
fn a_recorded_history_that_is_falsified_is_rejected() {
    let engine = engine();
    let clients = &mut [Client::of(&engine), Client::of(&engine)];
    let plan = |value: u32| {
        (0..10)
            .map(|i| model::Call::one(&format!("{} a", if i % 3 < 2 { "INCR" } else { "GET" })))
            .chain([model::Call::one(&format!("SET b {value}"))])
            .collect()
    };
    let history = record(clients, vec![plan(1), plan(2)]);
    assert!(linearizable(&history), "{}", show(&history));
    let counts = history.iter().filter(|event| event.reply.starts_with(':')).count();
    assert!(counts > 10);
    for at in (0..history.len()).filter(|&at| history[at].reply.starts_with(':')) {
        let mut falsified = history.clone();
        // A number that another INCR was given, or one beyond all.
        falsified[at].reply = format!(":{}\r\n", 1 + (at * 7) % 20);
        assert_eq!(
            linearizable(&falsified),
            falsified[at].reply == history[at].reply,
            "{}",
            show(&falsified)
        );
    }
}
