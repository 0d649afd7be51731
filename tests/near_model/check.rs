//! What clients were promised, checked against the history of the simulated Redis.

use super::redis::{History, Key};

/// What a client was told.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// What was read, all at one moment.
    pub values: Vec<(Key, Option<u64>)>,
    /// The state that a write left behind.
    pub exact: Option<usize>,
    /// The command was lost with its lane: no promise.
    pub lost: bool,
}

/// Finds for every reply the earliest state of history that explains it. There must be one that is
/// no earlier than everything that was released before the request came in, and than the client's
/// own earlier replies: that is prefix consistency, read-your-writes and monotonic reads at once.
#[derive(Default)]
pub struct Checker {
    /// The state that some client is known to have seen.
    pub seen: usize,
    own: Vec<usize>,
    pub violations: Vec<String>,
}

impl Checker {
    pub fn released(&mut self, history: &History, client: usize, seen_at_request: usize, answer: &Answer) {
        if answer.lost {
            return;
        }
        if self.own.len() <= client {
            self.own.resize(client + 1, 0);
        }
        let from = seen_at_request.max(self.own[client]);
        let explains = |index: &usize| answer.values.iter().all(|(key, v)| history.at(*key, *index) == *v);
        let found = match answer.exact {
            Some(index) => Some(index),
            None => (from..=history.index).find(explains),
        };
        match found {
            Some(index) => {
                self.own[client] = self.own[client].max(index);
                self.seen = self.seen.max(index);
            }
            None => self.violations.push(format!("client {client}: {:?} not since {from}", answer.values)),
        }
    }

    /// A value served from the near cache now.
    pub fn hit(&mut self, history: &History, key: Key, value: Option<u64>, now: u64, max_staleness: u64) {
        match history.end_of(key, value) {
            Some((end, true)) if now >= end && value.is_some() => {
                self.violations.push(format!("{key:?}={value:?} served {} ns past its TTL", now - end));
            }
            Some((end, _)) if now > end + max_staleness => {
                self.violations.push(format!("{key:?}={value:?} served {} ns after its end", now - end));
            }
            _ => {}
        }
    }

    /// A value that would be served when nothing is under way any more.
    pub fn settled(&mut self, key: Key, cached: Option<u64>, real: Option<u64>) {
        if cached != real {
            self.violations.push(format!("{key:?}: {cached:?} cached for ever, {real:?} upstream"));
        }
    }
}
