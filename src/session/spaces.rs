//! Reads counted by namespace, for the session first: the policy's counts are shared, and added to once
//! per batch. Where there are no namespaces nothing is done.

use crate::command::{Cache, Command};
use crate::near::Policy;
use crate::resp::Args;
use crate::stats::Served;

/// What a session has counted and not added yet.
#[derive(Default)]
pub struct Spaces {
    /// The namespaces of the keys of the read in hand.
    hand: Vec<u16>,
    /// Keys by namespace and how they were served.
    tally: Vec<(u16, Served, u32)>,
}

impl Spaces {
    /// Another read is looked up.
    #[inline]
    pub fn begin(&mut self) {
        self.hand.clear();
    }

    /// One of its keys is in this namespace.
    #[inline]
    pub fn note(&mut self, space: Option<u16>) {
        if let Some(space) = space {
            self.hand.push(space);
        }
    }

    /// The read in hand is this one, which is not looked up.
    #[inline(never)]
    pub fn note_all(&mut self, policy: &Policy, command: &Command, args: &Args<'_>) {
        self.begin();
        if policy.namespaces.is_empty() {
            return;
        }
        let keys = match command.cache {
            Cache::SingleKey => args.only(1),
            Cache::PerKey => args.skip(1),
            Cache::No | Cache::MultiKey => return,
        };
        self.hand.extend(keys.iter().filter_map(|key| policy.resolve(key).0));
    }

    /// The read in hand is served so; None: that is not decided yet.
    #[inline]
    pub fn count(&mut self, served: Option<Served>) {
        if let (false, Some(served)) = (self.hand.is_empty(), served) {
            self.count_hand(served);
        }
    }

    #[inline(never)]
    fn count_hand(&mut self, served: Served) {
        for space in self.hand.drain(..) {
            match self.tally.iter_mut().find(|(other, how, _)| *other == space && *how == served) {
                Some((_, _, n)) => *n += 1,
                None => self.tally.push((space, served, 1)),
            }
        }
    }

    /// Adds everything to the counts of the policy under which it was counted.
    pub fn flush(&mut self, policy: &Policy) {
        for (space, served, n) in self.tally.drain(..) {
            if let Some(space) = policy.namespaces.get(usize::from(space)) {
                space.reads.add(served, n);
            }
        }
    }
}
