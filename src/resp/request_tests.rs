//! The parser against Redis, against redis-protocol, and cut at every byte.

use proptest::collection::vec;
use proptest::prelude::*;
use redis_protocol::resp2::{decode, types::OwnedFrame};

use super::*;
use crate::resp::oracle::Redis;
use crate::resp::{Proto, Writer};

/// Answers PING and ECHO as Redis does, as far as the bytes are requests, and appends the error that
/// ends them. The bytes come in pieces of `step`.
fn answers(input: &[u8], step: usize, authenticated: bool) -> Vec<u8> {
    let mut parser = RequestParser::new(RequestLimits::default());
    parser.set_authenticated(authenticated);
    let mut out = BytesMut::new();
    let (mut start, mut end) = (0, 0);
    loop {
        match parser.parse(&input[start..end]) {
            Ok(Parsed::Complete(n)) => {
                answer(parser.args(&input[start..end]), authenticated, &mut out);
                start += n;
            }
            Ok(Parsed::Incomplete) if end == input.len() => return out.to_vec(),
            Ok(Parsed::Incomplete) => end = input.len().min(end + step),
            Err(error) => {
                error.write_reply(&mut out);
                assert_eq!(parser.parse(&input[start..end]), Err(error), "a refusal is final");
                return out.to_vec();
            }
        }
    }
}

fn answer(args: Args<'_>, authenticated: bool, out: &mut BytesMut) {
    let mut writer = Writer::new(out, Proto::Resp2);
    match (args.get(0), args.get(1)) {
        (None, _) => {}
        (Some(_), _) if !authenticated => writer.error("NOAUTH Authentication required."),
        (Some(b"PING"), None) => writer.simple("PONG"),
        (Some(b"ECHO" | b"PING"), Some(text)) if args.len() == 2 => writer.bulk(text),
        (Some(name), None) => {
            let name = name.escape_ascii();
            writer.error(&format!("ERR unknown command '{name}', with args beginning with: "));
        }
        _ => panic!("cases use PING and ECHO only: {args:?}"),
    }
}

/// What clients send, well and badly. Redis and the parser must answer the same bytes.
#[rustfmt::skip]
const CASES: &[&[u8]] = &[
    b"*1\r\n$4\r\nPING\r\n", b"*2\r\n$4\r\nECHO\r\n$0\r\n\r\n*1\r\n$4\r\nPING\r\n", b"PING\r\nPING\n", b"\r\n\n\r\n PING \r\n",
    b"*0\r\n*-1\r\n*-10\r\nPING\r\n", b"*-9223372036854775808\r\nPING\r\n", b"*-9223372036854775809\r\n",
    b"*-0\r\n", b"*01\r\n", b"*+1\r\n", b"*\r\n", b"* 1\r\n", b"*1 \r\n", b"*a\r\n", b"*1\n\r\n", b"*2147483648\r\n",
    b"*18446744073709551617\r\n", b"*000000000000000000000000000000001\r\n", b"**1\r\n", b"*1\rX$4\rXPINGXX*1\r\n$4\r\nPING\r\n",
    b"*1\r\n\r\n", b"*1\r\n:4\r\n", b"*1\r\nPING\r\n", b"*1\r\n\n$4\r\n", b"*1\r\n*1\r\n$4\r\nPING\r\n", b"*1\r\n\xff\r\n", b"*1\r\n%\r\n",
    b"*1\r\n$-1\r\n", b"*1\r\n$\r\n", b"*1\r\n$x\r\n", b"*1\r\n$04\r\nPING\r\n", b"*1\r\n$+4\r\n", b"*1\r\n$4 \r\n", b"*1\r\n$-0\r\n",
    b"*1\r\n$536870913\r\n", b"*1\r\n$536870912\r\n", b"*1\r\n$9223372036854775807\r\n", b"*1\r\n$9223372036854775808\r\n",
    b"*2\r\n$4\r\nECHO\r\n$5\r\na\r\nb\n\r\nPING\r\n", b"*2\r\n$4\r\nECHO\r\n$3\r\nabcd\r\nPING\r\n", b"*2\r\n$4\r\nECHO\r\n$3\r\nab\r\nPPING\r\n",
    b"*1\0\r\n$4\r\nPING\r\n", b"*\0", b"*1\r\n$\x004\r\nPING\r\n", b"*1\r\n\0\r\n", b"PI\0NG\r\nPING\r\n", b"\0\r\n",
    b"ECHO \"a b\"\r\n", b"ECHO 'a b'\r\n", b"ECHO \"\\x41\\n\\r\\t\\a\\b\\q\\\\\\\"\\xg1\"\r\n", b"ECHO 'a\\'\\n'\r\n", b"ECHO \"\"\r\nECHO ''\r\n",
    b"ECHO \"a\r\n", b"ECHO 'a\r\n", b"ECHO \"a\"b\r\n", b"ECHO 'a'b\r\n", b"ECHO a\"b c\"\r\n", b"ECHO a'b c'\r\n", b"ECHO \"\\\r\n", b"ECHO \"a\\\"\n",
    b"ECHO \"a\"\x0b\r\n", b"ECHO a\x0cb\r\n", b"ECHO a\x0bb\r\n\x0c\x0bPING\r\n", b"ECHO \xff\xfe\r\n", b"PING\ra\r\n", b"PING\r\r\n",
    b"\"PING\"\r\n'PING'\r\n", b"\"PING\"\r\"I\"\r\n", b"*1\r\n$4\r\nPING\r\nPING\r\n*1\r\n$4\r\nPING\r\n\"\r\nPING\r\n", b"$4\r\n", b"+PING\r\n",
];

/// Cases of the length limits, which are built.
fn long_cases() -> Vec<Vec<u8>> {
    let repeat = |head: &[u8], byte: u8, n: usize, tail: &[u8]| [head, &vec![byte; n], tail].concat();
    vec![
        repeat(b"*", b'1', 65535, b""),
        repeat(b"*", b'1', 65536, b""),
        repeat(b"*", b'\0', 65536, b""),
        repeat(b"*1\r\n", b'$', 65536, b""),
        repeat(b"*1\r\n", b'$', 65537, b""),
        repeat(b"*1\r\n$", b'\0', 65536, b""),
        repeat(b"", b'a', 65536, b""),
        repeat(b"", b'a', 65537, b""),
        repeat(b"PING ", b' ', 65531, b"\nPING\r\n"),
        repeat(b"PING ", b' ', 65530, b"\r\nPING\r\n"),
        repeat(b"ECHO ", b'x', 60000, b"\r\nPING\r\n"),
        repeat(b"*2\r\n$4\r\nECHO\r\n$100000\r\n", b'x', 100000, b"\r\nPING\r\n"),
    ]
}

/// What Redis answers until it has read everything, or hangs up.
fn oracle(redis: &Redis, input: &[u8]) -> Vec<u8> {
    let mut connection = redis.connect(Proto::Resp2);
    connection.send(input);
    connection.until_closed()
}

fn compare(redis: &Redis, input: &[u8], authenticated: bool) {
    let expected = oracle(redis, input).escape_ascii().to_string();
    for step in [usize::MAX / 2, 1, 7] {
        let got = answers(input, step, authenticated).escape_ascii().to_string();
        let head = input[..input.len().min(80)].escape_ascii();
        assert_eq!(got, expected, "{head} ({} bytes) by {step}", input.len());
    }
}

#[test]
fn redis_answers_the_same() {
    let redis = Redis::start(&[]);
    CASES.iter().for_each(|input| compare(&redis, input, true));
    long_cases().iter().for_each(|input| compare(&redis, input, true));
}

#[test]
fn redis_refuses_the_same_of_clients_to_authenticate() {
    let redis = Redis::start(&["--requirepass", "secret"]);
    let refused: [&[u8]; 8] = [
        b"*11\r\n$4\r\nPING\r\n",
        b"*10\r\n$16385\r\n",
        b"*10\r\n$16384\r\n",
        b"*1\r\n$-1\r\n",
        b"*1\r\n$536870913\r\n",
        b"*2147483648\r\n",
        b"*-1\r\nPING\r\n",
        b"*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nPING\r\n$16385\r\n",
    ];
    refused.iter().for_each(|input| compare(&redis, input, false));
}

#[test]
fn a_request_is_an_array_whatever_it_came_as() {
    let cases: [(&[u8], &[u8]); 5] = [
        (b"GET 'a b'\r\n", b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n"),
        (b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n", b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n"),
        (b"*2\rx$3\r\nGETab$3\r\na b\r\n", b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n"),
        (b"*1\r\n$0\r_\r\n", b"*1\r\n$0\r\n\r\n"),
        (b"*1\r\n$0\r\n__", b"*1\r\n$0\r\n\r\n"),
    ];
    let mut parser = RequestParser::new(RequestLimits::default());
    for (input, array) in cases {
        assert_eq!(parser.parse(input), Ok(Parsed::Complete(input.len())));
        assert_eq!(parser.raw(input).escape_ascii().to_string(), array.escape_ascii().to_string());
        let args: Vec<_> = parser.args(input).iter().collect();
        let of_array = RequestParser::new(RequestLimits::default()).parse(array);
        assert_eq!(of_array, Ok(Parsed::Complete(array.len())), "{args:?}");
    }
}

#[test]
fn what_is_declared_is_known_before_it_arrives() {
    let mut parser = RequestParser::new(RequestLimits::default());
    let request = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000000\r\nxx";
    assert_eq!(parser.parse(request), Ok(Parsed::Incomplete));
    assert_eq!(parser.declared(), request.len() - 2 + 1_000_000 + 2);
    assert_eq!(parser.args(request).iter().collect::<Vec<_>>(), [b"SET" as &[u8], b"a"]);
    assert!(parser.ranges.capacity() < 16 && parser.scratch.capacity() == 0);

    let mut parser = RequestParser::new(RequestLimits::default());
    assert_eq!(parser.parse(b"*2147483647\r\n$1\r\na\r\n"), Ok(Parsed::Incomplete));
    assert!(parser.ranges.capacity() < 16, "nothing is allocated for what is announced");
}

#[test]
fn memory_of_a_large_request_is_given_back() {
    let mut parser = RequestParser::new(RequestLimits::default());
    let large = [b"*100000\r\n".to_vec(), b"$1\r\na\r\n".repeat(100_000)].concat();
    assert_eq!(parser.parse(&large), Ok(Parsed::Complete(large.len())));
    assert_eq!(parser.parse(&large), Ok(Parsed::Complete(large.len())));
    assert!(parser.ranges.capacity() >= 100_000, "large requests in a row do not allocate anew");
    assert_eq!(parser.parse(b"PING\r\n"), Ok(Parsed::Complete(6)));
    assert_eq!(parser.parse(b"PING\r\n"), Ok(Parsed::Complete(6)));
    assert!(parser.ranges.capacity() <= KEEP_RANGES && parser.scratch.capacity() <= KEEP_SCRATCH);
    parser.release();
    assert_eq!(parser.ranges.capacity() + parser.scratch.capacity(), 0);
}

#[test]
fn a_streamed_request_is_validated_to_its_end() {
    let mut parser = RequestParser::new(RequestLimits::default());
    let head = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$5\r\nab";
    assert_eq!(parser.parse(head), Ok(Parsed::Incomplete));
    parser.begin_stream();
    assert_eq!(parser.stream(head), Ok(Streamed { consumed: head.len(), done: false }));
    assert_eq!(parser.stream(b"cde\r"), Ok(Streamed { consumed: 4, done: false }));
    assert_eq!(parser.stream(b"\nPING\r\n"), Ok(Streamed { consumed: 1, done: true }));
    assert_eq!(parser.parse(b"PING\r\n"), Ok(Parsed::Complete(6)));
    assert_eq!(parser.stream(b"*1\r\n$1"), Ok(Streamed { consumed: 4, done: false }));
    assert_eq!(
        parser.stream(b"$x\r\n").map_err(|e| e.to_string()),
        Err("Protocol error: invalid bulk length".into())
    );
}

/// One command of a pipeline as an array.
fn array(args: &[Vec<u8>]) -> Vec<u8> {
    let args = args.iter().map(|arg| [format!("${}\r\n", arg.len()).as_bytes(), arg, b"\r\n"].concat());
    [format!("*{}\r\n", args.len()).into_bytes(), args.collect::<Vec<_>>().concat()].concat()
}

/// A completed request by redis-protocol.
fn decoded(raw: &[u8]) -> Vec<Vec<u8>> {
    let (frame, len) = decode::decode(raw).expect("an array").expect("a complete one");
    let OwnedFrame::Array(items) = frame else { panic!("a request is an array: {frame:?}") };
    assert_eq!(len, raw.len());
    let bytes =
        |item| if let OwnedFrame::BulkString(bytes) = item { bytes } else { panic!("of bulk strings") };
    items.into_iter().map(bytes).collect()
}

/// All requests that `input` holds, arriving in pieces of `step`, and how the input ends.
type Requests = (Vec<Vec<Vec<u8>>>, usize, Option<ProtocolError>);

fn requests(input: &[u8], step: usize) -> Requests {
    let mut parser = RequestParser::new(RequestLimits::default());
    let (mut all, mut start, mut end) = (Vec::new(), 0, 0);
    let mut declared = 0;
    loop {
        match parser.parse(&input[start..end]) {
            Ok(Parsed::Complete(n)) => {
                let buf = &input[start..end];
                let args: Vec<_> = parser.args(buf).iter().map(<[u8]>::to_vec).collect();
                if !args.is_empty() {
                    assert_eq!(decoded(parser.raw(buf)), args);
                }
                assert!(declared <= n, "no more is declared than comes");
                declared = 0;
                all.push(args);
                start += n;
            }
            Ok(Parsed::Incomplete) if end == input.len() => return (all, start, None),
            Ok(Parsed::Incomplete) => {
                declared = declared.max(parser.declared());
                end = input.len().min(end + step);
            }
            Err(error) => return (all, start, Some(error)),
        }
    }
}

/// How much of `input` streaming takes, in pieces, and whether it is refused.
fn streamed(input: &[u8], step: usize) -> (usize, bool) {
    let mut parser = RequestParser::new(RequestLimits::default());
    let (mut start, mut end, mut complete) = (0, 0, 0);
    loop {
        match parser.stream(&input[start..end]) {
            Ok(Streamed { consumed, done }) => {
                start += consumed;
                complete = if done { start } else { complete };
                if end == input.len() && !done {
                    return (complete, false);
                }
                end = if done { end } else { input.len().min(end + step) };
            }
            Err(_) => return (complete, true),
        }
    }
}

/// A request's length, arguments and form as an array.
type Understood = (usize, Vec<Vec<u8>>, Vec<u8>);

/// What the quick look makes of a request, and what the close one does.
fn both_ways(input: &[u8]) -> [Option<Understood>; 2] {
    [true, false].map(|quickly| {
        let mut parser = RequestParser::new(RequestLimits::default());
        // Ranges that are left from another request.
        assert_eq!(parser.parse(b"*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"), Ok(Parsed::Complete(25)));
        let len = match quickly {
            true => parser.parse_usual(input)?,
            false => match parser.parse_closely(input) {
                Ok(Parsed::Complete(len)) => len,
                _ => return None,
            },
        };
        let args = parser.args(input).iter().map(<[u8]>::to_vec).collect();
        Some((len, args, parser.raw(input).to_vec()))
    })
}

#[test]
fn a_quick_look_takes_what_most_clients_send() {
    let lens = [0, 1, 2, 9, 10, 99, 100, 999, 1000];
    for (count, len) in (1..12).flat_map(|count| lens.map(|len| (count, len))) {
        let input = array(&vec![vec![b'x'; len]; count]);
        let [quick, close] = both_ways(&input);
        assert_eq!(quick.is_some(), len < 1000, "{count} arguments of {len} bytes");
        assert!(close.is_some() && (quick.is_none() || quick == close), "{count} arguments of {len} bytes");
    }
    let mut parser = RequestParser::new(RequestLimits::default());
    parser.set_authenticated(false);
    let request = |count| array(&vec![vec![b'x']; count]);
    assert!(parser.parse_usual(&request(10)).is_some() && parser.parse_usual(&request(11)).is_none());
    parser.set_authenticated(true);
    assert!(parser.parse_usual(&request(11)).is_some());
    let small = RequestLimits { max_bulk: 998, ..RequestLimits::default() };
    assert!(RequestParser::new(small).parse_usual(&request(1)).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..Default::default() })]

    #[test]
    fn pipelines_are_what_was_sent_however_they_are_cut(
        commands in vec(vec(vec(any::<u8>(), 0..40), 1..6), 1..5), step in 1..9usize,
    ) {
        let input = commands.iter().map(|args| array(args)).collect::<Vec<_>>().concat();
        prop_assert_eq!(requests(&input, step), (commands.clone(), input.len(), None));
        prop_assert_eq!(requests(&input, input.len()), (commands, input.len(), None));
        prop_assert_eq!(streamed(&input, step), (input.len(), false));
    }

    #[test]
    fn damaged_pipelines_are_read_the_same_however_they_are_cut(
        commands in vec(vec(vec(any::<u8>(), 0..12), 1..4), 1..4),
        damage in vec((any::<prop::sample::Index>(), prop::sample::select(&b"*$\r\n\0-0159 '\"\\xa"[..])), 1..4),
    ) {
        let mut input = commands.iter().map(|args| array(args)).collect::<Vec<_>>().concat();
        for (at, byte) in damage {
            let at = at.index(input.len());
            input[at] = byte;
        }
        let whole = requests(&input, input.len());
        for step in [1, 2, 5] {
            prop_assert_eq!(&requests(&input, step), &whole);
            prop_assert_eq!(streamed(&input, step), (whole.1, whole.2.is_some()));
        }
    }

    #[test]
    fn a_quick_look_sees_what_a_close_one_does(
        command in vec(prop_oneof![vec(any::<u8>(), 0..12), vec(any::<u8>(), 90..110)], 1..4),
        damage in vec((any::<prop::sample::Index>(), prop::sample::select(&b"*$\r\n\0-0159a"[..])), 0..3),
    ) {
        let mut input = [array(&command), b"*1\r\n$4\r\nPING\r\n".to_vec()].concat();
        for (at, byte) in damage {
            let at = at.index(input.len());
            input[at] = byte;
        }
        for cut in 0..=input.len() {
            if let [Some(quick), close] = both_ways(&input[..cut]) {
                prop_assert_eq!(Some(quick), close);
            }
        }
    }

    #[test]
    fn noise_is_read_the_same_however_it_is_cut(
        input in vec(prop::sample::select(&b"*$\r\n\0-012 '\"\\xa"[..]), 0..60),
    ) {
        let whole = requests(&input, input.len());
        prop_assert_eq!(&requests(&input, 1), &whole);
        prop_assert_eq!(streamed(&input, 1), (whole.1, whole.2.is_some()));
    }
}
