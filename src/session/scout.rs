//! Looks ahead in a pipeline, and has what the next reads will ask for brought into the processor's caches.
//!
//! It runs so many requests in front of the one that is executed: at the far end a key is hashed and the way to
//! its entry prepared, half of that later the entry itself is brought, and by the time of its turn it is here.
//! It only guesses: what it takes for a key may be none, and nothing is decided by it.

use crate::resp::glance;
use crate::upstream::L1;

/// How many requests it is ahead. What a miss takes is two or three hits' time.
const FAR: usize = 8;
/// How many of them are brought.
const NEAR: usize = FAR / 2;

/// What was seen of one pipeline.
#[derive(Default)]
pub struct Scout {
    /// Where in the buffer the first request is that has not been seen.
    at: usize,
    /// Requests that were passed, brought and seen.
    passed: usize,
    brought: usize,
    seen: usize,
    /// Hashes of those that are ahead, each at its number.
    hashes: [u64; FAR],
}

impl Scout {
    /// The request in hand ends at `end`, and more of `read` comes behind it.
    #[inline]
    pub fn go_on(&mut self, read: &[u8], end: usize, l1: &L1) {
        self.passed += 1;
        if self.at < end {
            // At the beginning, or behind requests that it was not asked about.
            (self.at, self.brought, self.seen) = (end, self.passed, self.passed);
        }
        while self.seen < self.passed + FAR
            && let Some((key, len)) = read.get(self.at..).and_then(glance)
        {
            self.hashes[self.seen % FAR] = l1.prepare(key);
            self.seen += 1;
            self.at += len;
        }
        while self.brought < self.seen.min(self.passed + NEAR) {
            l1.bring(self.hashes[self.brought % FAR]);
            self.brought += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::near;

    fn get(n: usize) -> Vec<u8> {
        format!("*2\r\n$3\r\nGET\r\n$4\r\nk{n:03}\r\n").into_bytes()
    }

    #[test]
    fn it_stays_so_many_requests_ahead_and_misses_none() {
        let l1 = L1::new(near::Config { max_memory: 1 << 20, ..near::Config::default() });
        let read: Vec<u8> = (0..20).flat_map(get).collect();
        let (mut scout, len) = (Scout::default(), get(0).len());
        for n in 1..20 {
            scout.go_on(&read, n * len, &l1);
            let (seen, brought) = ((n + FAR).min(20), (n + NEAR).min(20));
            assert_eq!((scout.seen, scout.brought, scout.at), (seen, brought, seen * len));
        }
    }

    #[test]
    fn it_catches_up_and_stops_where_it_understands_nothing() {
        let l1 = L1::new(near::Config { max_memory: 1 << 20, ..near::Config::default() });
        let mut read: Vec<u8> = (0..12).flat_map(get).collect();
        read.extend_from_slice(b"PING\r\n");
        read.extend(get(12));
        let (mut scout, len) = (Scout::default(), get(0).len());
        scout.go_on(&read, len, &l1);
        // Others were executed without it.
        scout.go_on(&read, 11 * len, &l1);
        assert_eq!((scout.at, scout.seen - scout.passed), (12 * len, 1));
        scout.go_on(&read, 12 * len, &l1);
        assert_eq!(scout.at, 12 * len);
        scout.go_on(&read, 12 * len + 6, &l1);
        assert_eq!((scout.at, scout.brought), (read.len(), scout.seen));
    }
}
