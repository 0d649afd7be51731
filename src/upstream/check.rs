//! A read whose reply is compared with what L1 holds: a sampled hit (`cache.verify`), or any in a dry run.

use tracing::error;

use super::effect::L1;
use crate::command;
use crate::near::Verdict;
use crate::resp::{ArgVec, Args, Cursor, Kind};
use crate::store::EntryKey;

/// What is read. It is compared at its reply's place in the stream.
pub struct Check {
    /// The key and what is behind it, or all keys.
    args: ArgVec,
    /// The reply has an element for each key.
    each: bool,
    db: u32,
    command: u16,
    identity: u16,
}

impl Check {
    /// Remembers what is read.
    pub fn new(key: &EntryKey) -> Self {
        let args = std::iter::once(key.key).chain(key.rest.iter()).collect();
        Check { args, each: false, db: key.db, command: key.command, identity: key.identity }
    }

    /// Remembers what is read of several keys, each as `template` says.
    pub fn each(template: &EntryKey, keys: Args<'_>) -> Self {
        Check { args: keys.iter().collect(), each: true, ..Check::new(template) }
    }

    /// How many kept replies agree with the upstream's, and how many do not; those that are not kept any
    /// more are neither. To be called at the reply's place in the stream.
    pub fn judge(&self, l1: &L1, reply: &[u8], now: u64) -> (u64, u64) {
        // NOPERM, LOADING, BUSY and their like say nothing of the data; of those that do only this is about
        // what a key holds.
        if reply.first() == Some(&b'-') && !reply.starts_with(b"-WRONGTYPE") {
            return (0, 0);
        }
        let name = command::by_id(self.command).map_or("mget", |command| command.name);
        let args = self.args.args();
        let key =
            |key, rest| EntryKey { identity: self.identity, db: self.db, command: self.command, key, rest };
        let mut verdicts = (0, 0);
        let mut compare = |key: EntryKey, reply: &[u8]| match l1
            .verify(&key, reply, now, |kept, now| same_members(name, kept, now))
        {
            Verdict::Right => verdicts.0 += 1,
            Verdict::Gone => {}
            Verdict::Wrong => {
                verdicts.1 += 1;
                l1.pushed(key.key);
                let (key, db) = (String::from_utf8_lossy(key.key), key.db);
                error!(%key, db, command = name, "L1 held another reply than the upstream gave: it is dropped");
            }
        };
        if !self.each {
            compare(key(args.get(0).unwrap_or_default(), args.skip(1)), reply);
            return verdicts;
        }
        let mut cursor = Cursor::new(reply);
        if let Some(Kind::Array(_)) = cursor.read() {
            for name in args.iter() {
                if let Some(element) = cursor.skip() {
                    compare(key(name, args.skip(args.len())), element);
                }
            }
        }
        verdicts
    }
}

/// Sets and hashes have no order: Redis may list them otherwise at the next reading, though nothing has been
/// written. (Reads go on with the rehashing of a table that has grown, which rearranges it.)
fn same_members(command: &str, a: &[u8], b: &[u8]) -> bool {
    let members = |reply| {
        let mut cursor = Cursor::new(reply);
        let (size, pairs) = match cursor.read()? {
            Kind::Set(n) => (n, false),
            Kind::Map(n) => (n, true),
            Kind::Array(n) if matches!(command, "hkeys" | "hvals") => (n, false),
            _ => return None,
        };
        let mut member = || Some((cursor.skip()?, if pairs { cursor.skip()? } else { b"" }));
        let mut members: Vec<(&[u8], &[u8])> = (0..size).map_while(|_| member()).collect();
        members.sort_unstable();
        Some(members)
    };
    a.first() == b.first() && members(a).is_some_and(|members_of_a| Some(members_of_a) == members(b))
}

#[cfg(test)]
mod tests {
    use super::same_members;

    #[test]
    fn only_what_has_no_order_may_come_in_another() {
        let same = |command, a: &str, b: &str| same_members(command, a.as_bytes(), b.as_bytes());
        let (ab, ba, ac) = ("2\r\n+a\r\n+b\r\n", "2\r\n+b\r\n+a\r\n", "2\r\n+a\r\n+c\r\n");
        for (command, kind, unordered) in
            [("smembers", "~", true), ("hkeys", "*", true), ("hvals", "*", true), ("lrange", "*", false)]
        {
            let reply = |members: &str| format!("{kind}{members}");
            assert_eq!(same(command, &reply(ab), &reply(ba)), unordered, "{command}");
            assert!(!same(command, &reply(ab), &reply(ac)), "{command}");
        }
        let (a1_b2, b2_a1) = ("%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n", "%2\r\n+b\r\n:2\r\n+a\r\n:1\r\n");
        assert!(same("hgetall", a1_b2, b2_a1));
        assert!(!same("hgetall", a1_b2, "%2\r\n+b\r\n:1\r\n+a\r\n:2\r\n"));
        assert!(!same("hkeys", "*1\r\n+a\r\n", "_\r\n"));
    }
}
