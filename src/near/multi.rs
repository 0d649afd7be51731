//! Reads of several keys: all of them from here at one moment, or none.

use parking_lot::MutexGuard;
use smallvec::SmallVec;

use super::lookup::{ReadOf, Use};
use super::{Near, Part};
use crate::resp::Args;
use crate::store::EntryKey;

/// Keys of a multi-key read answered from here; more are sent whole. Bounds the locks held.
const MAX_MULTI: usize = 1024;

/// What there is one of per key: most reads are of so many that nothing has to be allocated.
type Few<T> = SmallVec<[T; 16]>;

/// What a multi-key read found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MultiLooked {
    /// All keys were there at one moment, and `hit` got each reply in order.
    Hit,
    /// The command is sent whole.
    Miss,
    /// All keys were there, but see `Looked::Guarded`.
    Guarded,
}

impl<W> Near<W> {
    /// Answers a read of several keys, `template` with each of `keys` in turn, if all of them are
    /// cached at one moment. `hit` gets each key's reply in order, repeated keys repeatedly; unless all are
    /// there, the caller drops what it got.
    pub fn multi_read(
        &self,
        template: &ReadOf,
        keys: Args,
        now: u64,
        mut hit: impl FnMut(usize, &[u8]),
    ) -> MultiLooked {
        if keys.is_empty() || keys.len() > MAX_MULTI || !template.settings.cache {
            return MultiLooked::Miss;
        }
        let hashes: Few<u64> = keys.iter().map(|key| self.prepare(key)).collect();
        let mut order: Few<usize> = hashes.iter().map(|&hash| self.index_of(hash)).collect();
        order.sort_unstable();
        order.dedup();
        // All locks at once, in the order of their indices: every other path holds one at a time.
        let mut parts: Few<(usize, MutexGuard<Part<W>>)> =
            order.into_iter().map(|index| (index, self.shards[index].lock())).collect();
        let Some(terms) = self.terms(template.lane, now, self.since(template, now)) else {
            return MultiLooked::Miss;
        };
        hashes.iter().for_each(|&hash| self.bring(hash));
        for (i, (key, &hash)) in keys.iter().zip(&hashes).enumerate() {
            let Some(part) = part_of(&mut parts, self.index_of(hash)) else { return MultiLooked::Miss };
            if self.rules.pending && part.pending.contains(hash) {
                return MultiLooked::Miss;
            }
            let key = EntryKey { key, ..template.key };
            match self.serve(part, hash, &key, terms, |reply| hit(i, reply)) {
                Use::Serve => {}
                Use::Wait => return MultiLooked::Guarded,
                // Those before it have been asked for, and count as such.
                Use::Dead | Use::Nothing => return MultiLooked::Miss,
            }
        }
        MultiLooked::Hit
    }
}

fn part_of<'p, 'a, W>(
    parts: &'p mut [(usize, MutexGuard<'a, Part<W>>)],
    index: usize,
) -> Option<&'p mut Part<W>> {
    let at = parts.binary_search_by_key(&index, |(i, _)| *i).ok()?;
    Some(&mut parts[at].1)
}
