//! Whether what clients were told can be true.
//!
//! The one idea: for every reply of one proxy there must be a state of history that explains it and is no
//! earlier than the states of all replies that were out before its request was sent, and of its client's
//! earlier replies. Taking the earliest such state each time is best for all that follow, so one pass
//! decides. That is prefix order across keys and clients, read-your-writes, a client's own order, monotonic
//! reads and atomic multi-key reads at once.

use std::collections::HashMap;

use super::history::{ABSENT, History, Key};

/// What a reply says of the state in which its command was executed.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The key had this version.
    One(Key, u64),
    /// All keys had these, at one moment.
    All(Box<[(Key, u64)]>),
    /// So many of these keys existed, repeated ones counted repeatedly.
    Count(Box<[Key]>, u32),
    /// The version, as text, was so long; 0: absent.
    Length(Key, u32),
    /// The command itself wrote this version: a step of its own.
    Wrote(u64),
    /// The key had the first version, and the command itself wrote the second one directly behind it.
    Swapped(Key, u64, u64),
    /// The version had been written before what this is the reply or message of.
    After(u64),
    /// The reply contradicts itself, or is none that Redis would give.
    Nonsense(Box<str>),
    /// No promise: an error, or a command that changes nothing.
    Nothing,
}

/// One command of one client.
#[derive(Clone, Debug)]
pub struct Op {
    /// Who sent it.
    pub client: u32,
    /// When it was about to be sent.
    pub sent: u64,
    /// When its reply had been read.
    pub heard: u64,
    /// What the reply says.
    pub seen: Seen,
}

/// When a version's time to live was over.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// Not before this.
    pub earliest: u64,
    /// And by then for certain.
    pub latest: u64,
}

/// What bounds the age of replies.
#[derive(Clone, Debug, Default)]
pub struct Ages {
    /// Versions that were written with a time to live.
    pub ends: HashMap<u64, End>,
    /// How old a reply may be, against the time at which a change was known to a replica.
    pub max_staleness: Option<u64>,
}

impl Ages {
    /// Redis says so of a key from its end on, and deletes it when it comes to it.
    fn may_seem_absent(&self, version: u64, heard: u64) -> bool {
        self.ends.get(&version).is_some_and(|end| heard + SLACK >= end.earliest)
    }
}

/// Room for the wall clock, which Redis goes by, to differ from the monotonic one.
const SLACK: u64 = 20_000_000;

/// Everything that cannot be true, in words.
pub fn violations(history: &History, mut ops: Vec<Op>, ages: &Ages) -> Vec<String> {
    // Whoever precedes another was heard before it.
    ops.sort_by_key(|op| op.heard);
    let mut found: Vec<String> =
        history.repeated.iter().map(|version| format!("version {version} was written twice")).collect();
    let mut released: Vec<(u64, u32, usize)> = Vec::with_capacity(ops.len());
    let mut own: HashMap<u32, (u32, usize)> = HashMap::new();
    for (at, op) in ops.iter().enumerate() {
        let mut from = (0, "nothing".to_owned(), None);
        let out = released.partition_point(|&(heard, _, _)| heard < op.sent);
        if let Some(&(_, state, who)) = out.checked_sub(1).and_then(|last| released.get(last)) {
            from = (state, "already released".into(), Some(who));
        }
        if let Some(&(state, who)) = own.get(&op.client).filter(|(state, _)| *state > from.0) {
            from = (state, "its own earlier reply".into(), Some(who));
        }
        let old = ages.max_staleness.map(|age| history.reached_at(op.sent.saturating_sub(age + SLACK)));
        if let Some(state) = old.filter(|&state| state > from.0) {
            from = (state, "max_staleness".into(), None);
        }
        let state = explain(history, op, ages, from.0);
        if state.is_none() {
            let cause = from.2.map(|who| &ops[who]);
            found.push(describe(history, op, from.0, &format!("{} {cause:?}", from.1)));
        }
        found.extend(expired(op, ages));
        let state = state.unwrap_or(from.0);
        own.insert(op.client, (state, at));
        let best = released.last().map_or((0, at), |&(_, state, who)| (state, who));
        let (best, who) = if state > best.0 { (state, at) } else { best };
        released.push((op.heard, best, who));
    }
    found
}

/// The first state from `from` on that explains what was seen.
fn explain(history: &History, op: &Op, ages: &Ages, from: u32) -> Option<u32> {
    let seen = &op.seen;
    let absent = |version| version == ABSENT || ages.may_seem_absent(version, op.heard);
    let is = |key, version, state| match history.at(key, state) {
        other if other == version => true,
        other => version == ABSENT && absent(other),
    };
    let explained = |state| match seen {
        Seen::One(key, version) => is(*key, *version, state),
        Seen::All(all) => all.iter().all(|&(key, version)| is(key, version, state)),
        Seen::Count(keys, count) => {
            let there = keys.iter().map(|&key| history.at(key, state)).filter(|&version| version != ABSENT);
            let certain = there.clone().filter(|&version| !absent(version)).count();
            (certain..=there.count()).contains(&(*count as usize))
        }
        Seen::Length(key, 0) => is(*key, ABSENT, state),
        // A padded version is as long as any other padded one.
        Seen::Length(key, len) if *len > 20 => history.at(*key, state) != ABSENT,
        Seen::Length(key, len) => history.at(*key, state).checked_ilog10().map(|log| log + 1) == Some(*len),
        Seen::Wrote(_) | Seen::Swapped(..) | Seen::After(_) | Seen::Nothing => true,
        Seen::Nonsense(_) => false,
    };
    let from = match seen {
        Seen::After(version) => history.first(*version)?.max(from),
        Seen::Wrote(version) => history.first(*version).filter(|&first| first > from)?,
        Seen::Swapped(key, old, new) => {
            history.first(*new).filter(|&first| first > from && is(*key, *old, first - 1))?
        }
        _ => from,
    };
    let keys = keys(seen);
    let mut state = from;
    loop {
        if explained(state) {
            return Some(state);
        }
        state = keys.iter().filter_map(|&key| history.next_change(key, state)).min()?;
    }
}

fn keys(seen: &Seen) -> Vec<Key> {
    match seen {
        Seen::One(key, _) | Seen::Length(key, _) => vec![*key],
        Seen::All(all) => all.iter().map(|&(key, _)| key).collect(),
        Seen::Count(keys, _) => keys.to_vec(),
        Seen::Wrote(_) | Seen::Swapped(..) | Seen::After(_) | Seen::Nonsense(_) | Seen::Nothing => Vec::new(),
    }
}

/// A value that was asked for after its end.
fn expired(op: &Op, ages: &Ages) -> Option<String> {
    let versions = match &op.seen {
        Seen::One(_, version) => vec![*version],
        Seen::All(all) => all.iter().map(|&(_, version)| version).collect(),
        _ => return None,
    };
    let end = versions.iter().filter_map(|version| Some(ages.ends.get(version)?.latest)).min()?;
    let late = op.sent.checked_sub(end + SLACK)?;
    Some(format!("{:?} was asked for {late} ns after a value's time to live was over", op.seen))
}

fn describe(history: &History, op: &Op, from: u32, why: &str) -> String {
    let mut text = format!(
        "client {} saw {:?} (sent {}, heard {}), which was not so since state {from}, known by {why}",
        op.client, op.seen, op.sent, op.heard
    );
    if let Seen::Wrote(version) | Seen::After(version) | Seen::Swapped(_, _, version) = op.seen {
        text += &format!("; it was written in {:?}", history.first(version));
    }
    for key in keys(&op.seen) {
        text += &format!(
            "; key {key} was {} then, changed next in {:?}",
            history.at(key, from),
            history.next_change(key, from)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key 0 is 1, key 1 is 2, key 0 is 3, key 0 is gone, both are 4.
    fn history() -> History {
        let mut history = History::new();
        history.step(&[1], &[(0, 1)], 100);
        history.step(&[2], &[(1, 2)], 200);
        history.step(&[3], &[(0, 3)], 300);
        history.step(&[], &[(0, ABSENT)], 400);
        history.step(&[4], &[(0, 4), (1, 4)], 500);
        history
    }

    fn op(client: u32, sent: u64, heard: u64, seen: Seen) -> Op {
        Op { client, sent, heard, seen }
    }

    fn count(ops: &[Op]) -> usize {
        violations(&history(), ops.to_vec(), &Ages::default()).len()
    }

    #[test]
    fn what_can_be_true_passes() {
        let all = |versions: [u64; 2]| Seen::All([(0, versions[0]), (1, versions[1])].into());
        assert_eq!(count(&[op(1, 0, 1, Seen::One(0, 1)), op(1, 2, 3, Seen::One(0, 3))]), 0);
        assert_eq!(count(&[op(1, 0, 1, Seen::One(0, ABSENT)), op(2, 2, 3, Seen::One(1, 2))]), 0);
        assert_eq!(count(&[op(1, 0, 1, Seen::Wrote(3)), op(2, 2, 3, Seen::One(0, ABSENT))]), 0);
        assert_eq!(
            count(&[op(1, 0, 1, all([3, 2])), op(1, 2, 3, all([ABSENT, 2])), op(1, 4, 5, all([4, 4]))]),
            0
        );
        // The second was sent before the first was heard: neither is before the other.
        assert_eq!(count(&[op(1, 0, 5, Seen::One(0, 3)), op(2, 4, 6, Seen::One(0, 1))]), 0);
        assert_eq!(
            count(&[op(1, 0, 1, Seen::Count([0, 0, 1].into(), 1)), op(1, 2, 3, Seen::Length(0, 1))]),
            0
        );
    }

    #[test]
    fn what_cannot_be_true_is_found() {
        let after = |first, second| [op(1, 0, 1, first), op(2, 2, 3, second)];
        // A key, two keys, a write, and a deletion that come back.
        assert_eq!(count(&after(Seen::One(0, 3), Seen::One(0, 1))), 1);
        assert_eq!(count(&after(Seen::One(1, 2), Seen::One(0, ABSENT))), 0);
        assert_eq!(count(&after(Seen::One(0, 4), Seen::One(1, 2))), 1);
        assert_eq!(count(&after(Seen::After(3), Seen::One(0, 1))), 1);
        assert_eq!(count(&after(Seen::One(0, 4), Seen::One(0, ABSENT))), 1);
        assert_eq!(count(&after(Seen::After(4), Seen::Count([0, 1].into(), 1))), 1);
        assert_eq!(count(&after(Seen::After(4), Seen::Length(0, 0))), 1);
        // A lost update: another version was between what was read and what was written.
        assert_eq!(count(&[op(1, 0, 1, Seen::Swapped(0, 1, 3))]), 0);
        assert_eq!(count(&[op(1, 0, 1, Seen::Swapped(0, 3, 4))]), 1);
        // A client's own replies, although they overlap in time.
        assert_eq!(count(&[op(1, 0, 5, Seen::One(0, 3)), op(1, 0, 6, Seen::One(0, 1))]), 1);
        // A read ahead of the client's own write that sees it already.
        assert_eq!(count(&[op(1, 0, 5, Seen::One(0, 3)), op(1, 0, 6, Seen::Wrote(3))]), 1);
        // Torn, never written, and nonsense.
        assert_eq!(count(&[op(1, 0, 1, Seen::All([(0, 3), (1, 4)].into()))]), 1);
        assert_eq!(count(&[op(1, 0, 1, Seen::After(9))]), 1);
        assert_eq!(count(&[op(1, 0, 1, Seen::Nonsense("?".into()))]), 1);
    }

    #[test]
    fn ages_are_bounded() {
        let ages =
            Ages { ends: HashMap::from([(3, End { earliest: 90, latest: 100 })]), max_staleness: None };
        let at = |sent| op(1, sent, sent + 1, Seen::One(0, 3));
        assert_eq!(violations(&history(), vec![at(100 + SLACK - 1)], &ages).len(), 0);
        assert_eq!(violations(&history(), vec![at(100 + SLACK)], &ages).len(), 1);
        let gone = op(1, 100, 101, Seen::One(0, ABSENT));
        let known = op(1, 99, 99, Seen::Wrote(3));
        assert_eq!(violations(&history(), vec![known.clone(), gone.clone()], &ages).len(), 0);
        let ages = Ages { ends: HashMap::new(), max_staleness: Some(50) };
        assert_eq!(violations(&history(), vec![at(400 + 49 + SLACK)], &ages).len(), 0);
        assert_eq!(violations(&history(), vec![at(400 + 50 + SLACK)], &ages).len(), 1);
    }

    #[test]
    fn a_write_that_is_executed_twice_is_found() {
        let mut history = history();
        history.step(&[4], &[(0, 4)], 600);
        assert_eq!(violations(&history, Vec::new(), &Ages::default()).len(), 1);
    }
}
