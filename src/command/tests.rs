//! Tests of the command table as a whole: names, arities, keys, against hand-picked requests.

use super::*;
use crate::resp::ArgVec;

fn request(line: &str) -> ArgVec {
    line.split(' ').collect()
}

fn known(line: &str) -> &'static Command {
    match lookup(&request(line).args()) {
        Lookup::Known(command) => command,
        other => panic!("{line}: {other:?}"),
    }
}

/// The arguments that are keys, `*` behind those written; None if that cannot be told.
fn keys(line: &str) -> Option<String> {
    let request = request(line);
    let args = request.args();
    let mut out = Vec::new();
    let found = known(line).keys(&args, |i, access| {
        let mark = if access.writes() { "*" } else { "" };
        out.push(format!("{}{mark}", String::from_utf8_lossy(&args[i])));
    });
    (found == KeysFound::All).then(|| out.join(" "))
}

#[test]
fn ids_are_dense_and_names_lead_to_them() {
    assert_eq!(all().len(), count());
    for (i, command) in all().iter().enumerate() {
        assert_eq!(usize::from(command.id), i);
        assert_eq!(by_name(command.name.as_bytes()).map(|c| c.id), Some(command.id), "{}", command.name);
        assert_eq!(known(&command.name.to_uppercase().replace('|', " ")).name, command.name);
        let of = command.container().map(|container| format!("{}|", container.name));
        assert_eq!(of.is_some(), command.name.contains('|'));
        assert!(of.is_none_or(|prefix| command.name.starts_with(&prefix)), "{}", command.name);
    }
}

#[test]
fn what_is_no_command_is_not_found() {
    for line in ["", "GETT", "GE", "client|list", "g\u{e9}t", &"x".repeat(100_000)] {
        assert!(matches!(lookup(&request(line).args()), Lookup::UnknownCommand), "{line:.20}");
    }
    assert!(matches!(lookup(&ArgVec::default().args()), Lookup::UnknownCommand));
    for line in ["CLIENT nosuch", "client ", "Config get|set", "object encodingg"] {
        assert!(matches!(lookup(&request(line).args()), Lookup::UnknownSubcommand(_)), "{line}");
    }
    // A container by itself is found, for its arity to refuse it.
    assert!(!known("CLIENT").arity_ok(1));
    // COMMAND is a container that may stand alone.
    assert!(known("COMMAND").arity_ok(1));
}

/// Whatever one byte of its name is: a request is recognized as another one of the same command exactly if
/// it names it, in any case, however much of the buffer is behind the name.
#[test]
fn a_command_knows_its_own_name() {
    for command in all() {
        let whole = !command.name.contains('|') && command.subcommands().is_empty();
        let name = command.name.as_bytes();
        let longer = [name, b"x"].concat();
        let wrong = (0..name.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte)));
        let mut names: Vec<_> = wrong
            .map(|(at, byte)| {
                let mut name = name.to_vec();
                name[at] = byte;
                name
            })
            .collect();
        names.extend([longer.clone(), longer[..name.len() - 1].to_vec(), command.name.to_uppercase().into()]);
        for given in names {
            let behind = [given.as_slice(), b"\r\n$1\r\na\r\n"].concat();
            let expected = whole && given.eq_ignore_ascii_case(name);
            for buf in [&given, &behind] {
                let ranges = [(0, given.len() as u32)];
                let args = Args::new(buf, &ranges);
                assert_eq!(command.is_named(&args), expected, "{} {}", command.name, given.escape_ascii());
            }
        }
        assert!(!command.is_named(&ArgVec::default().args()));
    }
}

#[test]
fn lengths_are_checked_by_arity() {
    for command in all() {
        for n in 0..20 {
            let least = command.arity.unsigned_abs() as usize;
            let right = if command.arity < 0 { n >= least } else { n == least };
            assert_eq!(command.arity_ok(n), right, "{} of {n}", command.name);
        }
    }
}

#[test]
fn only_reads_of_known_keys_are_cached() {
    for command in all().iter().filter(|command| command.cache != Cache::No) {
        let name = command.name;
        assert!(command.flags.has(Flags::READONLY), "{name} writes");
        assert!(!command.is_write() && !command.undeclared_keys(), "{name}");
        assert!(!command.key_specs.is_empty(), "{name} has no keys");
        assert!(command.key_specs.iter().all(|spec| !spec.access.writes()), "{name} writes a key");
        assert!(!command.tips.contains(&"nondeterministic_output"), "{name} is random");
        assert!(!command.flags.has(Flags::BLOCKING), "{name} may wait");
        assert_eq!(command.class == Class::Cached, command.cache != Cache::MultiKey, "{name}");
    }
    for command in all().iter().filter(|command| command.class == Class::Cached) {
        assert!(command.cache != Cache::No, "{}", command.name);
    }
}

#[test]
fn nothing_on_the_lane_may_wait() {
    for command in all() {
        if matches!(command.class, Class::Cached | Class::Lane | Class::Admin) {
            let streams = ["xread", "xreadgroup"].contains(&command.name);
            assert!(streams || !command.flags.has(Flags::BLOCKING), "{}", command.name);
            assert!(streams || !command.may_block(&request(command.name).args()), "{}", command.name);
        }
    }
    for (line, class) in [
        ("XREAD STREAMS block 0", Class::Lane),
        ("XREAD COUNT 5 BLOCK 0 STREAMS s 0", Class::Pinned),
        ("xreadgroup group block c block 0 streams s >", Class::Pinned),
        ("XREADGROUP GROUP block block STREAMS s >", Class::Lane),
        ("BLPOP a 0", Class::Pinned),
        ("WAIT 0 0", Class::Pinned),
        ("GET a", Class::Cached),
    ] {
        assert_eq!(known(line).class_of(&request(line).args()), class, "{line}");
        assert_eq!(known(line).may_block(&request(line).args()), class == Class::Pinned, "{line}");
    }
}

#[test]
fn words_of_options_are_not_taken_for_keys_nor_keys_for_words() {
    for (line, expected) in [
        ("GET GET", "GET"),
        ("XREAD COUNT 1 STREAMS streams STREAMS 0 0", "streams STREAMS"),
        ("XREADGROUP COUNT 1 GROUP STREAMS c STREAMS k >", "k"),
        ("SORT store BY store GET store LIMIT 0 1", "store"),
        ("SORT a STORE b GET c STORE d", "a d*"),
        ("GEORADIUS a 1 2 3 km STORE b STOREDIST c", "a c*"),
        ("GEORADIUS a 1 2 3 km STORE store", "a store*"),
        ("MIGRATE h p keys 0 10", "keys*"),
        ("MIGRATE h p  0 10 AUTH2 KEYS KEYS KEYS a b", "a* b*"),
        ("BITFIELD a GET u8 0 INCRBY u8 0 1", "a*"),
        ("BITFIELD a OVERFLOW GET GET u8 0", "a*"),
        ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", "d* a b"),
        ("EVAL script 0 a b", ""),
        ("PFCOUNT a b", "a* b*"),
        ("SPUBLISH channel message", ""),
        ("FLUSHALL", ""),
    ] {
        assert_eq!(keys(line).as_deref(), Some(expected), "{line}");
    }
}

#[test]
fn short_requests_have_no_keys() {
    for command in all() {
        let name = command.name.replace('|', " ");
        let words: Vec<&str> = name.split(' ').collect();
        // Of no length of nothing but these words may it panic or name an argument that is not there.
        for filler in ["", "1", "keys", "streams", "store", "get", "-1", "99999999999999999999"] {
            for more in 0..9 {
                let args: ArgVec = words.iter().copied().chain(std::iter::repeat_n(filler, more)).collect();
                let n = args.args().len();
                let _ = command.keys(&args.args(), |i, _| assert!(i > 0 && i < n, "{name} {filler} {more}"));
                command.shape(&args.args());
                command.may_block(&args.args());
            }
        }
    }
}

#[test]
fn writes_are_what_redis_flags_and_scripts() {
    for (line, write) in [
        ("SET a b", true),
        ("EVAL s 0", true),
        ("FCALL f 0", true),
        ("EVAL_RO s 0", false),
        ("GET a", false),
        ("FLUSHALL", true),
        ("SORT a", true),
        ("PFCOUNT a", false),
    ] {
        assert_eq!(known(line).is_write(), write, "{line}");
    }
}
