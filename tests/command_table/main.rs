//! Compares the command table with a real Redis: rows with COMMAND, keys with COMMAND GETKEYS, shapes
//! with what RESP2 and RESP3 clients are sent.

mod redis;
mod requests;

use std::collections::BTreeMap;

use bytes::BytesMut;
use nearcache::command::{self, Begin, Command, Find, KeySpec, KeysFound, Lookup};
use nearcache::resp::{ArgVec, render_resp2, render_resp2_exec};
use redis::{Connection, Redis, Value, words};
use requests::{MALFORMED, REPLIES, SEED, TIMEOUTS, UNSAID};

/// COMMAND's entries by name, those of subcommands included.
fn entries(list: &[Value], into: &mut BTreeMap<String, Value>) {
    for entry in list {
        into.insert(entry.list()[0].text().to_owned(), entry.clone());
        entries(entry.list()[9].list(), into);
    }
}

#[test]
fn rows_are_what_command_says() {
    let redis = Redis::start();
    let mut connection = redis.connect();
    connection.say("HELLO 3");
    let mut theirs = BTreeMap::new();
    entries(connection.say("COMMAND").list(), &mut theirs);
    let ours: Vec<&Command> = command::all().iter().filter(|row| !row.ours).collect();

    let missing: Vec<_> = theirs.keys().filter(|name| command::by_name(name.as_bytes()).is_none()).collect();
    assert!(missing.is_empty(), "not in our table: {missing:?}");
    for row in ours {
        let entry = theirs.get(row.name).unwrap_or_else(|| panic!("Redis has no {}", row.name)).list();
        let name = row.name;
        assert_eq!(i64::from(row.arity), entry[1].int(), "arity of {name}");
        assert_eq!(row.flags.names().collect::<Vec<_>>(), entry[2].texts(), "flags of {name}");
        let range = row.legacy_range();
        let positions = [range.first, range.last, range.step].map(i64::from);
        assert_eq!(positions, [3, 4, 5].map(|i| entry[i].int()), "key positions of {name}");
        let categories: Vec<_> = row.acl.names().map(|name| format!("@{name}")).collect();
        assert_eq!(categories, entry[6].texts(), "ACL categories of {name}");
        assert_eq!(row.tips, entry[7].texts(), "tips of {name}");
        let specs: Vec<Value> = row.key_specs.iter().map(described).collect();
        assert_eq!(specs, entry[8].list(), "key specs of {name}");
        let subcommands = entry[9].list().len();
        let known = row.subcommands().iter().filter(|sub| !sub.ours).count();
        assert_eq!(known, subcommands, "subcommands of {name}");
    }
}

/// A key spec as COMMAND writes it.
fn described(spec: &KeySpec) -> Value {
    let map = |pairs: Vec<(&str, Value)>| {
        Value::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let int = |n: u32| Value::Int(i64::from(n));
    let kind = |name: &str, spec| map(vec![("type", text(name)), ("spec", map(spec))]);
    let begin = match spec.begin {
        Begin::Index(i) => kind("index", vec![("index", Value::Int(i as i64))]),
        Begin::Keyword(word, from) => {
            kind("keyword", vec![("keyword", text(word)), ("startfrom", Value::Int(from.into()))])
        }
        Begin::Unknown => kind("unknown", vec![]),
    };
    let find = match spec.find {
        Find::Range { last, step, limit } => kind(
            "range",
            vec![("lastkey", Value::Int(last.into())), ("keystep", int(step)), ("limit", int(limit))],
        ),
        Find::Keynum { number, first, step } => {
            kind("keynum", vec![("keynumidx", int(number)), ("firstkey", int(first)), ("keystep", int(step))])
        }
        Find::Unknown => kind("unknown", vec![]),
    };
    let flags = Value::List(spec.access.names().map(text).collect());
    let mut pairs = vec![("flags", flags), ("begin_search", begin), ("find_keys", find)];
    if !spec.notes.is_empty() {
        pairs.push(("notes", text(spec.notes)));
    }
    map(pairs)
}

#[test]
fn docs_are_what_command_docs_says() {
    let redis = Redis::start();
    let mut connection = redis.connect();
    connection.say("HELLO 3");
    let docs = connection.say("COMMAND DOCS");
    for row in command::all().iter().filter(|row| !row.ours) {
        let doc = match row.container() {
            None => docs.at(row.name),
            Some(of) => docs.at(of.name).and_then(|doc| doc.at("subcommands")?.at(row.name)),
        };
        let doc = doc.unwrap_or_else(|| panic!("Redis says nothing of {}", row.name));
        let field = |name| doc.at(name).map(Value::text);
        let ours = row.doc;
        assert_eq!(Some(ours.summary), field("summary"), "summary of {}", row.name);
        assert_eq!(Some(ours.since), field("since"), "since of {}", row.name);
        assert_eq!(ours.complexity, field("complexity").unwrap_or_default(), "complexity of {}", row.name);
        assert_eq!(Some(row.group.name()), field("group"), "group of {}", row.name);
        assert_eq!(ours.deprecated.map(|(since, _)| since), field("deprecated_since"), "{}", row.name);
        assert_eq!(ours.deprecated.map(|(_, instead)| instead), field("replaced_by"), "{}", row.name);
        let flags = doc.at("doc_flags").map(Value::texts).unwrap_or_default();
        assert_eq!(ours.syscmd, flags.contains(&"syscmd"), "doc flags of {}", row.name);
    }
}

/// The row of a request, which the table must have.
fn row_of(line: &str) -> (&'static Command, ArgVec) {
    let args: ArgVec = words(line).into_iter().collect();
    match command::lookup(&args.args()) {
        Lookup::Known(row) => (row, args),
        other => panic!("{line}: {other:?}"),
    }
}

/// What is said of a request's keys.
#[derive(Debug, PartialEq)]
enum Keys {
    /// Each with its flags.
    Are(Vec<(String, String)>),
    Unknown,
}

#[test]
fn keys_are_what_getkeys_says() {
    let redis = Redis::start();
    let mut connection = redis.connect();
    connection.say("HELLO 3");
    for line in MALFORMED {
        assert_eq!(our_keys(line), Keys::Unknown, "{line}");
        let reply = connection.say(line);
        assert!(matches!(reply, Value::Error(_)), "{line}: {reply:?}");
    }
    let mut wrong = Vec::new();
    for line in REPLIES.iter().chain(UNSAID).filter(|line| line.contains(' ')) {
        let (ours, theirs) = (our_keys(line), their_keys(&mut connection, line));
        if ours != theirs {
            wrong.push(format!("{line}: {ours:?}, but Redis: {theirs:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn our_keys(line: &str) -> Keys {
    let (row, args) = row_of(line);
    let args = args.args();
    let mut keys = Vec::new();
    let found = row.keys(&args, |i, access| {
        keys.push((
            String::from_utf8_lossy(&args[i]).into_owned(),
            access.names().collect::<Vec<_>>().join(" "),
        ));
    });
    match found {
        KeysFound::All => Keys::Are(keys),
        KeysFound::Unknown => {
            assert!(keys.is_empty(), "{line}: reported {keys:?} before it gave up");
            Keys::Unknown
        }
    }
}

fn their_keys(connection: &mut Connection, line: &str) -> Keys {
    match connection.say(&format!("COMMAND GETKEYSANDFLAGS {line}")) {
        Value::Error(error) if error.contains("no key arguments") => Keys::Are(Vec::new()),
        Value::Error(_) => Keys::Unknown,
        pairs => {
            let pairs = pairs.list().iter().map(|pair| {
                let flags = pair.list()[1].texts().join(" ");
                (pair.list()[0].text().to_owned(), flags)
            });
            Keys::Are(pairs.collect())
        }
    }
}

#[test]
fn names_and_lengths_are_refused_in_the_words_of_redis() {
    let redis = Redis::start();
    let mut connection = redis.connect();
    let long = "x".repeat(200);
    let half = "y".repeat(70);
    let requests: &[&[&[u8]]] = &[
        &[b"nosuch"],
        &[b"NoSuch", b"a", b"b"],
        &[b"no\r\nsuch", b"a\r", b"\n"],
        &[b"no\0such", b"a\0b", b"\xff"],
        &[long.as_bytes(), long.as_bytes(), b"z"],
        &[b"nosuch", half.as_bytes(), half.as_bytes(), half.as_bytes()],
        &[b"nosuch", b"", b""],
        &[b"", b"a"],
        &[b"client|list"],
        &[b"client", b"nosuch", b"more"],
        &[b"Config", long.as_bytes()],
        &[b"xgroup", b"a\r\nb"],
        &[b"object", b""],
        &[b"client", b"lis\0t"],
        &[b"get"],
        &[b"GET", b"a", b"b"],
        &[b"client"],
        &[b"CLIENT", b"Getredir", b"x"],
        &[b"memory", b"usage"],
        &[b"eval", b"x"],
    ];
    for request in requests {
        let args: ArgVec = request.iter().collect();
        let args = args.args();
        let ours = match command::lookup(&args) {
            Lookup::Known(row) => {
                assert!(!row.arity_ok(args.len()), "{args:?}");
                command::wrong_arity_error(row)
            }
            Lookup::UnknownSubcommand(container) => command::unknown_subcommand_error(container, &args),
            Lookup::UnknownCommand => command::unknown_command_error(&args),
        };
        let ours = [b"-".as_slice(), &ours, b"\r\n"].concat();
        let theirs = connection.raw(request);
        assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
        assert_eq!(ours, theirs);
    }
}

#[test]
fn shapes_make_resp3_replies_those_of_resp2() {
    let redis = Redis::start();
    let (mut resp2, mut resp3) = (redis.connect(), redis.connect());
    resp3.say("HELLO 3");
    let mut wrong = Vec::new();
    let mut compare = |line: &str, two: &[u8], three: &[u8], rendered: &[u8]| {
        if two != rendered {
            let shown = [two, three, rendered].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            wrong.push(format!("{line}: RESP2, RESP3, RESP3 as RESP2: {shown:#?}"));
        }
    };
    for line in REPLIES {
        let (row, args) = row_of(line);
        let shape = row.shape(&args.args());
        let [two, three] = [&mut resp2, &mut resp3].map(|connection| {
            seed(connection);
            connection.raw(&words(line))
        });
        let mut rendered = BytesMut::new();
        render_resp2(&three, shape, &mut rendered);
        if !TIMEOUTS.contains(line) {
            compare(line, &two, &three, &rendered);
        }
        let [two, three] = [&mut resp2, &mut resp3].map(|connection| {
            seed(connection);
            assert_eq!(connection.say("MULTI"), Value::Text("OK".into()));
            assert_eq!(connection.say(line), Value::Text("QUEUED".into()), "{line}");
            connection.raw(&[b"EXEC"])
        });
        rendered.clear();
        render_resp2_exec(&three, std::iter::once(shape), &mut rendered);
        compare(&format!("in a transaction, {line}"), &two, &three, &rendered);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn seed(connection: &mut Connection) {
    connection.say("FLUSHALL");
    for line in SEED {
        let reply = connection.say(line);
        assert!(!matches!(reply, Value::Error(_)), "{line}: {reply:?}");
    }
}

#[test]
fn the_documentation_is_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/commands.md");
    let rendered = command::render_docs();
    if std::env::var_os("NEARCACHE_BLESS").is_some() {
        std::fs::write(path, &rendered).expect("docs/commands.md can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == rendered,
        "docs/commands.md is not the table's: run the test with NEARCACHE_BLESS=1"
    );
}
