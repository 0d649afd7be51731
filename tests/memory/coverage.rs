//! That no command is forgotten, and that each takes as many arguments as it does in Redis.

use nearcache::resp::Proto;

use super::oracle::{Pair, Redis, engine};

/// The groups of Redis's commands that the engine has.
const GROUPS: &[&str] =
    &["keyspace", "string", "bitmap", "list", "hash", "set", "sortedset", "hyperloglog", "geo", "stream"];

/// Commands of these groups that are not the engine's, and why.
const ELSEWHERE: &[&str] = &[
    // Opens connections to other servers; for cluster nodes only.
    "migrate",
    "restore-asking",
    // A test of Redis itself.
    "pfselftest",
    // Answered by the proxy.
    "asking",
    "readonly",
    "readwrite",
];

#[test]
fn no_command_is_forgotten() {
    let redis = Redis::start();
    let mut connection = redis.connect();
    let engine = engine();
    let mut count = 0;
    for group in GROUPS {
        let reply = connection.call(&format!("COMMAND LIST FILTERBY ACLCAT {group}"));
        let reply = String::from_utf8(reply).expect("names are text");
        for name in reply.split("\r\n").filter(|line| !line.starts_with(['$', '*']) && !line.is_empty()) {
            count += 1;
            let name = name.split('|').next().unwrap_or(name);
            assert!(engine.knows(name.as_bytes()) || ELSEWHERE.contains(&name), "{name}");
        }
    }
    assert!(count > 100, "{count}");
}

/// Every command with one argument to eight, all the same: counts, syntax errors and simple cases.
#[test]
fn every_command_with_any_number_of_arguments() {
    for proto in [Proto::Resp2, Proto::Resp3] {
        let mut pair = Pair::new(proto);
        let mut differences = String::new();
        for word in ["x", "1000", "-1", "\"\""] {
            for name in pair.names() {
                // Its reply depends on chance, on the clock or on the encoding; or it would wait.
                // (A cursor that SCAN never gave leads anywhere.)
                let free = ["RANDOMKEY", "MEMORY", "DUMP", "PTTL", "EXPIRETIME", "PEXPIRETIME"];
                if free.contains(&name)
                    || name == "SCAN" && word == "-1"
                    || name.starts_with('B') && !name.starts_with("BIT") && word != "x"
                {
                    continue;
                }
                for count in 0..8 {
                    let line = format!("{name}{}", format!(" {word}").repeat(count));
                    differences += &pair.difference(&line).unwrap_or_default();
                }
            }
            pair.check("FLUSHALL");
        }
        assert!(differences.is_empty(), "{proto:?}\n{differences}");
    }
}
