//! Where replies may differ, by how much, and why: everything else is compared byte by byte.

use crate::support::reply::Reply;

/// What a rule may look at beside the two replies.
pub struct Context<'a> {
    /// The command.
    pub args: &'a [Vec<u8>],
    /// The replies to the client's previous command.
    pub before: Option<(&'a Reply, &'a Reply)>,
}

/// A documented freedom of a command's reply.
pub struct Rule {
    /// What the coverage report calls it.
    pub name: &'static str,
    /// The commands it is for, as `COMMAND LIST` has them.
    pub commands: &'static [&'static str],
    /// Why the bytes may differ.
    pub reason: &'static str,
    /// Whether two replies that differ are still the same.
    pub same: fn(&Context, &Reply, &Reply) -> bool,
}

/// How far apart two clocks may be read: both servers run on this machine, one is asked after the other.
const CLOCK_MS: f64 = 30_000.0;

/// All rules.
pub const RULES: &[Rule] = &[
    Rule {
        name: "unordered",
        commands: &[
            "smembers",
            "sinter",
            "sunion",
            "sdiff",
            "keys",
            "hkeys",
            "hvals",
            "function|list",
            "command",
            "command|list",
            "command|info",
            "command|docs",
            "pubsub|channels",
            "acl|cat",
        ],
        reason: "sets and hash tables have no order; Redis seeds its hash function per process",
        same: |_, a, b| sorted(a) == sorted(b),
    },
    Rule {
        name: "unordered pairs",
        commands: &["hgetall", "config|get"],
        reason: "as above, but a field stays with its value",
        same: |_, a, b| a.kind() == b.kind() && pairs(a) == pairs(b),
    },
    Rule {
        name: "random members",
        commands: &["srandmember", "hrandfield", "zrandmember", "randomkey", "spop"],
        reason: "chosen at random: as many, and each one a member (the command before read them all)",
        same: random_members,
    },
    Rule {
        name: "scan",
        commands: &["scan", "sscan", "hscan", "zscan"],
        reason: "cursor and order follow the hash seed; a scan that ends at once has the same elements",
        same: scan,
    },
    Rule {
        name: "time left",
        commands: &["ttl", "expiretime"],
        reason: "the same relative time was set a moment later",
        same: |_, a, b| positive_and_near(a, b, CLOCK_MS / 1000.0),
    },
    Rule {
        name: "milliseconds left",
        commands: &["pttl", "pexpiretime"],
        reason: "the same relative time was set a moment later",
        same: |_, a, b| positive_and_near(a, b, CLOCK_MS),
    },
    Rule {
        name: "seconds passed",
        commands: &["lastsave"],
        reason: "asked a moment later",
        same: |_, a, b| a.kind() == b.kind() && near(a, b, CLOCK_MS / 1000.0),
    },
    Rule {
        name: "idle",
        commands: &["object|idletime"],
        reason: "asked a moment later; and Redis's small integers share one object each, which INCR and the \
                 like store without touching it: such a key may seem idle since the server started",
        same: |_, a, b| {
            let (redis, subject) = (a.number(), b.number());
            a.kind() == b.kind() && redis.is_some() && subject <= redis.map(|s| s + CLOCK_MS / 1000.0)
        },
    },
    Rule {
        name: "references",
        commands: &["object|refcount"],
        reason: "Redis shares its small integers, but not one that COPY made, and while a transaction is executed \
                 what it has stored is its argument as well",
        same: |_, a, b| {
            a.kind() == b':' && b.kind() == b':' && a.number() > Some(0.0) && b.number() > Some(0.0)
        },
    },
    Rule {
        name: "time",
        commands: &["time"],
        reason: "asked a moment later",
        same: |_, a, b| {
            a.items().len() == 2
                && b.items().len() == 2
                && near(&a.items()[0], &b.items()[0], CLOCK_MS / 1000.0)
        },
    },
    Rule {
        name: "stream clocks",
        commands: &["xpending", "xinfo|consumers", "xinfo|stream"],
        reason: "how long a message is pending or a consumer idle counts from when each server was asked",
        same: stream_clocks,
    },
    Rule {
        name: "sort",
        commands: &["sort", "sort_ro"],
        reason: "by a pattern without a star a set comes in the order of its hash table",
        same: |context, a, b| sorts_by_nothing(context.args) && same_shape(a, b),
    },
    Rule {
        name: "dump",
        commands: &["dump", "function|dump"],
        reason: "hash tables are written in their order, streams with times: same type and size",
        same: |_, a, b| match (a.text(), b.text()) {
            (Some(a), Some(b)) => a.len() == b.len() && a.first() == b.first(),
            _ => false,
        },
    },
    Rule {
        name: "about this process",
        commands: &[
            "info",
            "lolwut",
            "memory|usage",
            "memory|stats",
            "memory|malloc-stats",
            "memory|doctor",
            "latency|doctor",
            "latency|histogram",
            "client|id",
            "client|info",
            "client|list",
            "function|stats",
            "acl|log",
            "acl|genpass",
            "slowlog|get",
            "slowlog|len",
        ],
        reason: "says what this server is and has done, or draws: only the type is compared",
        same: |_, a, b| a.kind() == b.kind() && a.is_null() == b.is_null() && !a.is_error(),
    },
    Rule {
        name: "hello",
        commands: &["hello"],
        reason: "the id of the connection",
        same: |_, a, b| a.kind() == b.kind() && without_id(a) == without_id(b),
    },
];

/// The rule for a command, if its replies have any freedom.
pub fn rule_for(name: &str) -> Option<usize> {
    RULES.iter().position(|rule| rule.commands.contains(&name))
}

/// SORT with a BY pattern that names one key, which means not to sort.
fn sorts_by_nothing(args: &[Vec<u8>]) -> bool {
    let by = |pair: &[Vec<u8>]| pair[0].eq_ignore_ascii_case(b"by") && !pair[1].contains(&b'*');
    args.windows(2).any(by)
}

/// The reply with everything in it in one order.
fn sorted(reply: &Reply) -> Reply {
    match reply {
        Reply::Many(b'%', Some(items)) => {
            let mut pairs: Vec<Reply> = items
                .chunks(2)
                .map(|pair| Reply::Many(b'*', Some(pair.iter().map(sorted).collect())))
                .collect();
            pairs.sort();
            Reply::Many(b'%', Some(pairs))
        }
        Reply::Many(kind, Some(items)) => {
            let mut items: Vec<Reply> = items.iter().map(sorted).collect();
            items.sort();
            Reply::Many(*kind, Some(items))
        }
        other => other.clone(),
    }
}

fn pairs(reply: &Reply) -> Vec<&[Reply]> {
    let mut pairs: Vec<&[Reply]> = reply.items().chunks(2).collect();
    pairs.sort();
    pairs
}

fn leaves<'a>(reply: &'a Reply, out: &mut Vec<&'a Reply>) {
    match reply {
        Reply::Many(_, Some(items)) => items.iter().for_each(|item| leaves(item, out)),
        other => out.push(other),
    }
}

fn random_members(context: &Context, a: &Reply, b: &Reply) -> bool {
    let Some((all_a, all_b)) = context.before else { return false };
    let among = |reply: &Reply, all: &Reply| {
        let (mut chosen, mut members) = (Vec::new(), Vec::new());
        leaves(reply, &mut chosen);
        leaves(all, &mut members);
        chosen.iter().all(|one| members.iter().any(|member| member.text() == one.text()))
    };
    same_shape(a, b) && among(a, all_a) && among(b, all_b)
}

/// The same types and lengths all the way down; scalars may differ.
fn same_shape(a: &Reply, b: &Reply) -> bool {
    a.kind() == b.kind()
        && a.is_null() == b.is_null()
        && a.items().len() == b.items().len()
        && a.items().iter().zip(b.items()).all(|(a, b)| same_shape(a, b))
}

fn scan(context: &Context, a: &Reply, b: &Reply) -> bool {
    let ([cursor_a, found_a], [cursor_b, found_b]) = (a.items(), b.items()) else { return false };
    let whole = |cursor: &Reply| cursor.text() == Some(b"0");
    let name = context.args[0].to_ascii_lowercase();
    let start = if name == b"scan" { 1 } else { 2 };
    let from_start = context.args.get(start).is_some_and(|cursor| cursor == b"0");
    if from_start && whole(cursor_a) && whole(cursor_b) {
        let in_pairs = matches!(name.as_slice(), b"hscan" | b"zscan");
        return if in_pairs { pairs(found_a) == pairs(found_b) } else { sorted(found_a) == sorted(found_b) };
    }
    cursor_a.kind() == cursor_b.kind() && found_a.kind() == found_b.kind()
}

fn near(a: &Reply, b: &Reply, tolerance: f64) -> bool {
    matches!((a.number(), b.number()), (Some(a), Some(b)) if (a - b).abs() <= tolerance)
}

fn positive_and_near(a: &Reply, b: &Reply, tolerance: f64) -> bool {
    a.kind() == b.kind() && a.number() > Some(0.0) && b.number() > Some(0.0) && near(a, b, tolerance)
}

/// Equal but for integers that stand where a clock was read: third in a pending entry, behind `idle`,
/// `seen-time` and the like, and times since 1970 in XINFO STREAM FULL.
fn stream_clocks(context: &Context, a: &Reply, b: &Reply) -> bool {
    let pending = context.args[0].eq_ignore_ascii_case(b"xpending");
    let (items_a, items_b) = (a.items(), b.items());
    if items_a.is_empty() || items_a.len() != items_b.len() || a.kind() != b.kind() {
        return a == b;
    }
    items_a.iter().zip(items_b).enumerate().all(|(i, (one, other))| {
        let named = i % 2 == 1 && items_a[i - 1].text().is_some_and(|name| name == b"idle");
        let since_1970 = |reply: &Reply| reply.kind() == b':' && reply.number() > Some(1.6e12);
        let clock =
            named || (pending && i == 2 && items_a.len() == 4) || (since_1970(one) && since_1970(other));
        (clock && one.kind() == other.kind() && near(one, other, CLOCK_MS))
            || stream_clocks(context, one, other)
    })
}

fn without_id(reply: &Reply) -> Vec<Reply> {
    let mut items = reply.items().to_vec();
    if let Some(at) = items.iter().position(|item| item.text() == Some(b"id")) {
        items.drain(at..(at + 2).min(items.len()));
    }
    items
}

#[test]
fn rules_allow_their_freedom_and_no_more() {
    let decode =
        |text: &str| crate::support::reply::decode(text.as_bytes()).expect("valid").expect("whole").0;
    let same = |args: &[&str], a: &str, b: &str| {
        let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
        let name = std::str::from_utf8(&args[0]).expect("ascii");
        let all = decode("*2\r\n+a\r\n+b\r\n");
        let context = Context { args: &args, before: Some((&all, &all)) };
        (RULES[rule_for(name).expect("a rule")].same)(&context, &decode(a), &decode(b))
    };
    assert!(same(&["smembers", "k"], "*2\r\n+a\r\n+b\r\n", "*2\r\n+b\r\n+a\r\n"));
    assert!(!same(&["smembers", "k"], "*2\r\n+a\r\n+b\r\n", "*2\r\n+b\r\n+b\r\n"));
    assert!(!same(&["smembers", "k"], "*2\r\n+a\r\n+b\r\n", "~2\r\n+b\r\n+a\r\n"));
    assert!(same(&["hgetall", "k"], "*4\r\n+a\r\n+1\r\n+b\r\n+2\r\n", "*4\r\n+b\r\n+2\r\n+a\r\n+1\r\n"));
    assert!(!same(&["hgetall", "k"], "*4\r\n+a\r\n+1\r\n+b\r\n+2\r\n", "*4\r\n+b\r\n+1\r\n+a\r\n+2\r\n"));
    assert!(same(&["srandmember", "k"], "+a\r\n", "+b\r\n"));
    assert!(!same(&["srandmember", "k"], "+a\r\n", "+c\r\n"));
    assert!(!same(&["srandmember", "k", "2"], "*1\r\n+a\r\n", "*2\r\n+a\r\n+b\r\n"));
    assert!(same(&["ttl", "k"], ":1000\r\n", ":1001\r\n"));
    assert!(!same(&["ttl", "k"], ":1000\r\n", ":2000\r\n"));
    assert!(!same(&["ttl", "k"], ":-1\r\n", ":1\r\n"));
    assert!(!same(&["pttl", "k"], ":-1\r\n", ":-2\r\n"));
    assert!(same(&["sscan", "k", "0"], "*2\r\n+0\r\n*2\r\n+a\r\n+b\r\n", "*2\r\n+0\r\n*2\r\n+b\r\n+a\r\n"));
    assert!(!same(&["sscan", "k", "0"], "*2\r\n+0\r\n*2\r\n+a\r\n+b\r\n", "*2\r\n+0\r\n*1\r\n+b\r\n"));
    assert!(same(
        &["xpending", "k"],
        "*1\r\n*4\r\n+1-1\r\n+c\r\n:5\r\n:1\r\n",
        "*1\r\n*4\r\n+1-1\r\n+c\r\n:9\r\n:1\r\n"
    ));
    assert!(!same(
        &["xpending", "k"],
        "*1\r\n*4\r\n+1-1\r\n+c\r\n:5\r\n:1\r\n",
        "*1\r\n*4\r\n+1-1\r\n+c\r\n:5\r\n:2\r\n"
    ));
    assert!(!same(&["info"], "-ERR\r\n", "-OOPS\r\n"));
    assert!(same(&["dump", "k"], "$2\r\n\x02a\r\n", "$2\r\n\x02b\r\n"));
    assert!(!same(&["dump", "k"], "$2\r\n\x02a\r\n", "$2\r\n\x01a\r\n"));
}
