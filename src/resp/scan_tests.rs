//! The scanner and the cursor against redis-protocol, cut at every byte, damaged, and with pushes in
//! their midst.
//!
//! redis-protocol's language differs in that it does not look at the two bytes behind a string, takes
//! signs and leading zeros in lengths, and streamed types; it refuses aggregates
//! as keys of maps and members of sets, verbatim formats but txt and mkd, and RESP2's nulls. It counts a push
//! within an aggregate as one of its values, which Redis does not. So for damaged input, unless it has a `>`,
//! only this is asked: what both accept, both give the same length.

use proptest::collection::vec;
use proptest::prelude::*;
use redis_protocol::resp3::decode::complete::decode;

use super::*;
use crate::resp::{Cursor, Kind};

/// What one reply of the protocol looks like on the wire.
fn scalar() -> impl Strategy<Value = Vec<u8>> {
    let text = "[a-zA-Z ]{0,20}";
    let string = |kind: char| {
        vec(any::<u8>(), 0..40).prop_map(move |bytes| {
            [format!("{kind}{}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat()
        })
    };
    prop_oneof![
        text.prop_map(|text| format!("+{text}\r\n").into_bytes()),
        text.prop_map(|text| format!("|1\r\n+k\r\n*1\r\n:2\r\n+{text}\r\n").into_bytes()),
        text.prop_map(|text| format!("-ERR {text}\r\n").into_bytes()),
        any::<i64>().prop_map(|n| format!(":{n}\r\n").into_bytes()),
        any::<f64>().prop_map(|n| format!(",{n}\r\n").into_bytes()),
        prop::sample::select(vec![",inf\r\n", ",-inf\r\n", "_\r\n", "#t\r\n", "#f\r\n", "=6\r\ntxt:ab\r\n"])
            .prop_map(|text| text.as_bytes().to_vec()),
        "[1-9][0-9]{20,40}".prop_map(|digits| format!("({digits}\r\n").into_bytes()),
        string('$'),
        string('!'),
    ]
}

fn reply() -> impl Strategy<Value = Vec<u8>> {
    let aggregate = |kind: char| {
        move |items: Vec<Vec<u8>>| {
            [format!("{kind}{}\r\n", items.len()).into_bytes(), items.concat()].concat()
        }
    };
    scalar().prop_recursive(4, 40, 6, move |inner| {
        // Keys and members are unique, for redis-protocol makes hash tables of them.
        let pairs = vec(inner.clone(), 0..5).prop_map(move |values| {
            let n = values.len();
            let pairs =
                values.into_iter().enumerate().map(|(i, v)| [format!(":{i}\r\n").into_bytes(), v].concat());
            [format!("%{n}\r\n").into_bytes(), pairs.collect::<Vec<_>>().concat()].concat()
        });
        prop_oneof![
            vec(inner, 0..6).prop_map(aggregate('*')),
            (0..6usize).prop_map(move |n| aggregate('~')(
                (0..n).map(|i| format!(":{i}\r\n").into_bytes()).collect()
            )),
            pairs,
        ]
    })
}

type Frames = Vec<Vec<u8>>;

/// The replies and the pushes that are found when the bytes come in pieces.
fn scan(input: &[u8], step: usize) -> Result<(Frames, Frames), ReplyError> {
    let mut scanner = ReplyScanner::new();
    let (mut replies, mut pushes, mut reply) = (Vec::new(), Vec::new(), Vec::new());
    let (mut start, mut end) = (0, step.min(input.len()));
    loop {
        let scan = scanner.feed(&input[start..end])?;
        let (Scan::More(n) | Scan::Done(n) | Scan::Push(n)) = scan;
        reply.extend_from_slice(&input[start..start + n]);
        start += n;
        match scan {
            Scan::Done(_) => replies.push(std::mem::take(&mut reply)),
            Scan::Push(_) => {
                if let Some(n) = frame_len(&input[start..end])? {
                    pushes.push(input[start..start + n].to_vec());
                    start += n;
                    continue;
                }
            }
            Scan::More(_) => assert_eq!(scanner.in_reply(), !reply.is_empty()),
        }
        if start == input.len() && !scanner.in_reply() {
            return Ok((replies, pushes));
        }
        if !matches!(scan, Scan::Done(_)) {
            assert!(end < input.len(), "the input is complete");
            end = input.len().min(end + step);
        }
    }
}

/// Where a value or a nested value may begin, but the first.
fn boundaries(reply: &[u8]) -> Vec<usize> {
    let mut cursor = Cursor::new(reply);
    let mut all = Vec::new();
    while cursor.read().is_some() {
        all.push(cursor.position());
    }
    assert_eq!(cursor.position(), reply.len());
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn replies_end_where_redis_protocol_says(reply in reply()) {
        let (_, len) = decode(&reply).expect("valid").expect("complete");
        prop_assert_eq!(len, reply.len());
        prop_assert_eq!(frame_len(&reply), Ok(Some(len)));
        for cut in 0..len {
            prop_assert_eq!(frame_len(&reply[..cut]), Ok(None));
        }
    }

    #[test]
    fn replies_are_found_however_they_are_cut(
        replies in vec(reply(), 1..5), step in 1..12usize,
        at in vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
    ) {
        let push = b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n";
        let mut input = replies.clone();
        let mut sent = 0;
        for (reply, boundary) in at {
            let reply = reply.index(replies.len());
            let bounds = boundaries(&replies[reply]);
            if input[reply].len() == replies[reply].len() {
                let at = bounds[boundary.index(bounds.len())];
                if at < replies[reply].len() {
                    input[reply].splice(at..at, push.iter().copied());
                    sent += 1;
                }
            }
        }
        input.push(push.to_vec());
        let input = input.concat();
        for step in [step, input.len()] {
            let (found, pushes) = scan(&input, step).expect("valid");
            prop_assert_eq!(&found, &replies);
            prop_assert_eq!(pushes.len(), sent + 1);
            prop_assert!(pushes.iter().all(|found| found == push));
        }
    }

    #[test]
    fn damaged_replies_never_panic_and_end_where_redis_protocol_says(
        reply in reply(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..3),
        symbol in (any::<prop::sample::Index>(), prop::sample::select(&b"+-:$*%~|>=!#,(_\r\n0159?"[..])),
    ) {
        let mut reply = reply;
        for (at, byte) in damage.into_iter().chain([symbol]) {
            let at = at.index(reply.len());
            reply[at] = byte;
        }
        let ours = frame_len(&reply);
        let theirs = decode(&reply);
        match (&ours, &theirs) {
            _ if reply.contains(&b'>') => {}
            (Ok(Some(ours)), Ok(Some((_, theirs)))) => prop_assert_eq!(ours, theirs),
            (Ok(Some(_)), Ok(None)) => prop_assert!(false, "complete for us only"),
            (Ok(None), Ok(Some(_))) => prop_assert!(false, "complete for redis-protocol only"),
            _ => {}
        }
        // However it is cut, the same is found.
        let mut scanner = ReplyScanner::frames();
        let (mut start, mut cut) = (0, Ok(None));
        for end in 0..=reply.len() {
            match scanner.feed(&reply[start..end]) {
                Ok(Scan::Done(n)) => { cut = Ok(Some(start + n)); break }
                Ok(Scan::More(n) | Scan::Push(n)) => start += n,
                Err(error) => { cut = Err(error); break }
            }
        }
        prop_assert_eq!(cut, ours);
        let mut cursor = Cursor::new(&reply);
        while cursor.read().is_some() {}
    }

    #[test]
    fn the_cursor_skips_what_it_would_have_read(reply in reply()) {
        let mut reading = Cursor::new(&reply);
        let mut pending = 1;
        while pending > 0 {
            let kind = reading.read().expect("complete");
            pending += kind.values();
            pending -= usize::from(!matches!(kind, Kind::Attribute(_)));
        }
        prop_assert!(reading.rest().is_empty());
        let mut skipping = Cursor::new(&reply);
        prop_assert_eq!(skipping.skip(), Some(&reply[..]));
        prop_assert_eq!(skipping.skip(), None);
    }
}

#[test]
fn every_type_is_read() {
    let table: [(&[u8], Kind<'_>); 21] = [
        (b"+OK\r\n", Kind::Simple(b"OK")),
        (b"+\r\n", Kind::Simple(b"")),
        (b"-ERR x\r\n", Kind::Error(b"ERR x")),
        (b":-5\r\n", Kind::Int(-5)),
        (b":9223372036854775807\r\n", Kind::Int(i64::MAX)),
        (b"$2\r\n\r\n\r\n", Kind::Bulk(b"\r\n")),
        (b"$0\r\n\r\n", Kind::Bulk(b"")),
        (b"_\r\n", Kind::Null),
        (b"$-1\r\n", Kind::NullBulk),
        (b"*-1\r\n", Kind::NullArray),
        (b"#t\r\n", Kind::Bool(true)),
        (b"#f\r\n", Kind::Bool(false)),
        (b",1.5e3\r\n", Kind::Double(b"1.5e3")),
        (b"(123\r\n", Kind::BigNumber(b"123")),
        (b"!3\r\nERR\r\n", Kind::BlobError(b"ERR")),
        (b"=5\r\nmkd:x\r\n", Kind::Verbatim(b"mkd", b"x")),
        (b"*0\r\n", Kind::Array(0)),
        (b"%0\r\n", Kind::Map(0)),
        (b"~0\r\n", Kind::Set(0)),
        (b">0\r\n", Kind::Push(0)),
        (b"|0\r\n+a\r\n", Kind::Attribute(0)),
    ];
    for (bytes, kind) in table {
        assert_eq!(frame_len(bytes), Ok(Some(bytes.len())), "{}", bytes.escape_ascii());
        assert_eq!(Cursor::new(bytes).read(), Some(kind));
    }
}

#[test]
fn what_is_no_reply_is_refused_with_its_reason() {
    let table: [(&[u8], ReplyError); 20] = [
        (b"HTTP/1.1 400\r\n", ReplyError::UnknownType(b'H')),
        (b"*1\r\n\r\n", ReplyError::UnknownType(b'\r')),
        (b"$x\r\n", ReplyError::Number(b'$')),
        (b"$-2\r\n", ReplyError::Number(b'$')),
        (b"%-1\r\n", ReplyError::Number(b'%')),
        (b"*00\r\n", ReplyError::Number(b'*')),
        (b":\r\n", ReplyError::Number(b':')),
        (b":9223372036854775808\r\n", ReplyError::Number(b':')),
        (b"$1111111111111111111111111", ReplyError::Number(b'$')),
        (b"$9223372036854775807\r\n", ReplyError::TooLarge),
        (b"*1099511627777\r\n", ReplyError::TooLarge),
        (b"$1\r\nabc", ReplyError::LineEnd),
        (b"$1\rx", ReplyError::LineEnd),
        (b"*1\n\r\n", ReplyError::Number(b'*')),
        (b":1\n\r\n", ReplyError::Number(b':')),
        (b"#x", ReplyError::Constant),
        (b"_x", ReplyError::Constant),
        (b"=3\r\ntxt\r\n", ReplyError::Verbatim),
        (b"*?\r\n", ReplyError::Streamed),
        (b"$?\r\n", ReplyError::Streamed),
    ];
    for (bytes, error) in table {
        assert_eq!(ReplyScanner::new().feed(bytes), Err(error), "{}", bytes.escape_ascii());
        assert!(Cursor::new(bytes).skip().is_none());
    }
}

#[test]
fn depth_costs_nothing() {
    let mut reply = b"*1\r\n".repeat(100_000);
    assert_eq!(frame_len(&reply), Ok(None));
    reply.extend_from_slice(b"+OK\r\n");
    assert_eq!(frame_len(&reply), Ok(Some(reply.len())));
}

#[test]
fn counts_cannot_overflow() {
    let mut scanner = ReplyScanner { pending: u64::MAX - 9, ..ReplyScanner::new() };
    assert_eq!(scanner.feed(b"*10\r\n"), Ok(Scan::More(5)));
    assert_eq!(scanner.feed(b"*2\r\n"), Err(ReplyError::TooLarge));
}

#[test]
fn half_a_line_end_is_text() {
    assert_eq!(frame_len(b"+a\rb\nc\n\r\r\n+"), Ok(Some(10)));
    assert_eq!(Cursor::new(b"+a\rb\nc\n\r\r\n+").read(), Some(Kind::Simple(b"a\rb\nc\n\r")));
    assert_eq!(frame_len(b"+\n\r"), Ok(None));
}
