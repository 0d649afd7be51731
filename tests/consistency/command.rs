//! What clients send here, and what the replies say.

use super::check::Seen;
use super::history::{ABSENT, DBS, NAMES, Name, key};
use crate::support::Rng;
use crate::support::reply::{Reply, encode_into};

/// One entry of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// A reading command of one key or several.
    Read(&'static str, Vec<Name>),
    /// Reads of several keys within MULTI.
    ReadBlock(Vec<Name>),
    /// A version for all these keys, perhaps with a time to live (ms).
    Write(How, Vec<Name>, u64, Option<u64>),
    /// WATCH a string, read it, and write this version if nobody else has written it since.
    Swap(Name, u64),
    /// DEL.
    Delete(Vec<Name>),
    /// SELECT; the database may not exist.
    Select(u32),
    /// Anything whose reply says nothing of the keys.
    Other(Vec<String>),
    /// Anything whose reply, if it is no error, means that this version had been written before.
    Message(Vec<String>),
    /// Anything that writes this version.
    Marked(Vec<String>, u64),
    /// Anything that Redis executes after this version has been written.
    Behind(Vec<String>, u64),
}

/// The way a version is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum How {
    /// By the type's own command; several strings by MSET.
    Plain,
    /// The same with zeros before it, so that it has this many digits.
    Padded(usize),
    /// In a MULTI.
    Block,
    /// In a MULTI, with zeros before it, so that it has this many digits.
    PaddedBlock(usize),
    /// In a MULTI, in another database, which is the client's own from then on.
    BlockIn(u32),
    /// In a MULTI, behind this: FLUSHALL and its like.
    BlockAfter(&'static [&'static str]),
    /// By a script that declares the keys.
    Script,
    /// By one that does not.
    SecretScript,
}

/// A script that writes a version to keys of any type, from KEYS or from ARGV behind the version.
const SCRIPT: &str = "local keys = KEYS if #KEYS == 0 then keys = {} \
    for i = 2, #ARGV do keys[i - 1] = ARGV[i] end end \
    local n = ARGV[1] for _, k in ipairs(keys) do local t = string.sub(k, 1, 1) \
    if t == 's' then redis.call('SET', k, n) elseif t == 'h' then redis.call('HSET', k, 'a', n, 'b', n) \
    elseif t == 'l' then redis.call('RPUSH', k, n) else redis.call('ZADD', k, n, 'm') end end return n";

/// Reading commands of a key of this type, by the first letter of its name.
fn verbs(name: Name) -> &'static [&'static str] {
    match NAMES[usize::from(name)].as_bytes()[0] {
        b's' => &["GET", "GET", "GET", "STRLEN", "GETRANGE"],
        b'h' => &["HGETALL", "HGET", "HMGET", "HVALS"],
        b'l' => &["LRANGE", "LINDEX"],
        _ => &["ZRANGE", "ZSCORE"],
    }
}

/// The first of the reads that suit the key.
pub fn first_read(name: Name) -> Command {
    Command::Read(verbs(name)[0], vec![name])
}

/// A read that suits the key.
pub fn read(rng: &mut Rng, name: Name) -> Command {
    let verbs = verbs(name);
    Command::Read(verbs[rng.below(verbs.len())], vec![name])
}

fn text(name: Name) -> &'static str {
    NAMES[usize::from(name)]
}

impl Command {
    /// GET of this key.
    pub fn get(name: Name) -> Command {
        Command::Read("GET", vec![name])
    }

    /// SET of this key.
    pub fn set(name: Name, version: u64) -> Command {
        Command::Write(How::Plain, vec![name], version, None)
    }

    /// Appends the request; how many replies it has.
    pub fn encode(&self, out: &mut Vec<u8>) -> usize {
        let mut replies = 0;
        let mut add = |words: &[&str]| {
            encode_into(out, words);
            replies += 1;
        };
        match self {
            Command::Read(verb, names) => {
                let keys: Vec<&str> = names.iter().map(|&name| text(name)).collect();
                let rest: &[&str] = match *verb {
                    "GETRANGE" => &["0", "-1"],
                    "HGET" => &["a"],
                    "HMGET" => &["a", "b"],
                    "LRANGE" => &["-1", "-1"],
                    "LINDEX" => &["-1"],
                    "ZRANGE" => &["0", "-1", "WITHSCORES"],
                    "ZSCORE" => &["m"],
                    _ => &[],
                };
                add(&[&[*verb], &keys[..], rest].concat());
            }
            Command::ReadBlock(names) => {
                add(&["MULTI"]);
                names.iter().for_each(|&name| match verbs(name)[0] {
                    "LRANGE" => add(&["LRANGE", text(name), "-1", "-1"]),
                    "ZRANGE" => add(&["ZRANGE", text(name), "0", "-1", "WITHSCORES"]),
                    verb => add(&[verb, text(name)]),
                });
                add(&["EXEC"]);
            }
            Command::Write(how, names, version, px) => Self::write(*how, names, *version, *px, &mut add),
            Command::Swap(name, version) => {
                add(&["WATCH", text(*name)]);
                add(&["GET", text(*name)]);
                add(&["MULTI"]);
                add(&["SET", text(*name), &version.to_string()]);
                add(&["EXEC"]);
            }
            Command::Delete(names) => {
                let keys: Vec<&str> = names.iter().map(|&name| text(name)).collect();
                add(&[&["DEL"], &keys[..]].concat());
            }
            Command::Select(db) => add(&["SELECT", &db.to_string()]),
            Command::Other(words)
            | Command::Message(words)
            | Command::Marked(words, _)
            | Command::Behind(words, _) => {
                add(&words.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
        replies
    }

    fn write(how: How, names: &[Name], version: u64, px: Option<u64>, add: &mut dyn FnMut(&[&str])) {
        let width = if let How::Padded(width) | How::PaddedBlock(width) = how { width } else { 0 };
        let (n, ms) = (format!("{version:0width$}"), px.map(|px| px.to_string()));
        let keys: Vec<&str> = names.iter().map(|&name| text(name)).collect();
        match how {
            How::Script => {
                let count = keys.len().to_string();
                return add(&[&["EVAL", SCRIPT, &count], &keys[..], &[&n]].concat());
            }
            How::SecretScript => return add(&[&["EVAL", SCRIPT, "0", &n], &keys[..]].concat()),
            How::Plain | How::Padded(_)
                if names.len() > 1 && names.iter().all(|&name| text(name).starts_with('s')) =>
            {
                let pairs: Vec<&str> = names.iter().flat_map(|&name| [text(name), &n]).collect();
                return add(&[&["MSET"], &pairs[..]].concat());
            }
            How::Plain | How::Padded(_) => {}
            How::Block | How::PaddedBlock(_) => add(&["MULTI"]),
            How::BlockIn(db) => {
                add(&["MULTI"]);
                add(&["SELECT", &db.to_string()]);
            }
            How::BlockAfter(first) => {
                add(&["MULTI"]);
                add(first);
            }
        }
        for key in keys {
            match (key.as_bytes()[0], &ms) {
                (b's', None) => add(&["SET", key, &n]),
                (b's', Some(ms)) => add(&["SET", key, &n, "PX", ms]),
                (b'h', _) => add(&["HSET", key, "a", &n, "b", &n]),
                (b'l', _) => add(&["RPUSH", key, &n]),
                (_, _) => add(&["ZADD", key, &n, "m"]),
            }
        }
        if !matches!(how, How::Plain | How::Padded(_)) {
            add(&["EXEC"]);
        }
    }

    /// The database that the client is in afterwards, unless it was there before.
    pub fn moves_to(&self) -> Option<u32> {
        match self {
            Command::Select(db) | Command::Write(How::BlockIn(db), ..) => {
                Some(*db).filter(|&db| (db as usize) < DBS)
            }
            _ => None,
        }
    }

    /// What its replies say. `db` is the database that it was sent in.
    pub fn seen(&self, db: u32, replies: &[Reply]) -> Seen {
        let [.., reply] = replies else { return Seen::Nothing };
        // Behind a WATCH that failed EXEC is no transaction, or one that watches nothing.
        if reply.is_error() || matches!(self, Command::Swap(..)) && replies.iter().any(Reply::is_error) {
            return Seen::Nothing;
        }
        let what = match self {
            Command::Read("EXISTS", names) => reply
                .number()
                .map(|count| Seen::Count(names.iter().map(|&name| key(db, name)).collect(), count as u32)),
            Command::Read("STRLEN", names) => {
                reply.number().map(|len| Seen::Length(key(db, names[0]), len as u32))
            }
            Command::Read("MGET", names) => versions(db, names, reply),
            Command::ReadBlock(names) => versions(db, names, reply),
            Command::Read(_, names) => version(reply).map(|version| Seen::One(key(db, names[0]), version)),
            Command::Write(_, _, version, _) | Command::Marked(_, version) => Some(Seen::Wrote(*version)),
            Command::Swap(name, new) => version(&replies[1]).map(|old| match reply.is_null() {
                true => Seen::One(key(db, *name), old),
                false => Seen::Swapped(key(db, *name), old, *new),
            }),
            Command::Delete(names) => {
                Some(Seen::All(names.iter().map(|&name| (key(db, name), ABSENT)).collect()))
            }
            Command::Select(_) | Command::Other(_) => Some(Seen::Nothing),
            Command::Behind(_, version) => Some(Seen::After(*version)),
            Command::Message(_) => Some(last_number(reply).map_or(Seen::Nothing, Seen::After)),
        };
        what.unwrap_or_else(|| Seen::Nonsense(format!("{self:?} answered {reply:?}").into()))
    }
}

fn versions(db: u32, names: &[Name], reply: &Reply) -> Option<Seen> {
    let items = reply.items();
    let all: Option<Box<[_]>> =
        names.iter().zip(items).map(|(&name, item)| Some((key(db, name), version(item)?))).collect();
    (items.len() == names.len()).then_some(Seen::All(all?))
}

/// The one version that a reply is made of; all numbers in it must be the same.
fn version(reply: &Reply) -> Option<u64> {
    let mut numbers = Vec::new();
    collect(reply, &mut numbers);
    let first = numbers.first().copied().unwrap_or(ABSENT);
    numbers.iter().all(|&number| number == first).then_some(first)
}

/// All numbers of a reply; names of fields and members are none.
fn collect(reply: &Reply, numbers: &mut Vec<u64>) {
    reply.items().iter().for_each(|item| collect(item, numbers));
    if let Some(number) = reply.number().filter(|_| reply.items().is_empty()) {
        numbers.push(number as u64);
    }
}

/// The version at the end of a message or of what was popped.
pub fn last_number(reply: &Reply) -> Option<u64> {
    reply.items().last()?.number().map(|number| number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::reply::decode;

    fn seen(command: &Command, reply: &str) -> Seen {
        command.seen(1, &[decode(reply.as_bytes()).unwrap().unwrap().0])
    }

    #[test]
    fn replies_of_both_protocols_say_the_same() {
        let z = Command::Read("ZRANGE", vec![20]);
        let one = Seen::One(key(1, 20), 7);
        assert_eq!(seen(&z, "*2\r\n$1\r\nm\r\n$1\r\n7\r\n"), one);
        assert_eq!(seen(&z, "*1\r\n*2\r\n$1\r\nm\r\n,7\r\n"), one);
        assert_eq!(seen(&z, "*0\r\n"), Seen::One(key(1, 20), ABSENT));
        let h = Command::Read("HGETALL", vec![12]);
        assert_eq!(seen(&h, "%2\r\n$1\r\na\r\n$1\r\n7\r\n$1\r\nb\r\n$1\r\n7\r\n"), Seen::One(key(1, 12), 7));
        assert!(matches!(seen(&h, "*4\r\n$1\r\na\r\n$1\r\n7\r\n$1\r\nb\r\n$1\r\n8\r\n"), Seen::Nonsense(_)));
        let m = Command::Read("MGET", vec![0, 1]);
        assert_eq!(
            seen(&m, "*2\r\n$1\r\n7\r\n_\r\n"),
            Seen::All([(key(1, 0), 7), (key(1, 1), ABSENT)].into())
        );
        assert!(matches!(seen(&m, "*1\r\n_\r\n"), Seen::Nonsense(_)));
        assert_eq!(seen(&Command::get(0), "-ERR\r\n"), Seen::Nothing);
    }
}
