//! What the integration tests stand on: real Redis servers, raw clients, and links that misbehave.
//!
//! Everything here is blocking and plain: a test reads as the conversation that it checks. Everything
//! listens on a port that the kernel chose, waits by condition and not by time, and is gone when dropped.
#![allow(dead_code, reason = "each test binary compiles this module and uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a broken fixture should stop the test where it stands")]

pub mod client;
pub mod fake;
pub mod link;
pub mod proxy;
pub mod redis;
pub mod reply;
pub mod subject;

use std::time::{Duration, Instant};

/// How long anything may take that should happen at once, on a machine that is busy with other things.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Tries until `attempt` gives a value; panics with `what` when `PATIENCE` is over.
pub fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < deadline, "gave up waiting until {what}");
        std::thread::sleep(Duration::from_millis(2)); // the pause between two looks, not a guess at readiness
    }
}

/// A seeded generator (splitmix64): the same seed gives the same test, whatever a crate's version does.
#[derive(Clone)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose whole future is decided by `seed`.
    pub fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next_u64() % n as u64) as usize
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Brings `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}
