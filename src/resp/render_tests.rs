//! Rendering without a server: what Redis does not send today, and what nobody should send.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::resp::frame_len;

const SHAPES: [Shape; 6] =
    [Shape::Plain, Shape::NullArray, Shape::NullArrays, Shape::Pairs, Shape::Streams, Shape::LastNullArray];

fn rendered(reply: &str, shape: Shape) -> String {
    let mut out = BytesMut::new();
    render_resp2(reply.as_bytes(), shape, &mut out);
    String::from_utf8(out.to_vec()).expect("text")
}

#[test]
fn types_are_rendered_as_they_are_specified() {
    let table = [
        ("+OK\r\n", "+OK\r\n"),
        ("-ERR x\r\n", "-ERR x\r\n"),
        ("!5\r\nE\r\nRR\r\n", "-E  RR\r\n"),
        (":-7\r\n", ":-7\r\n"),
        ("$3\r\nabc\r\n", "$3\r\nabc\r\n"),
        ("_\r\n", "$-1\r\n"),
        ("#t\r\n", ":1\r\n"),
        ("#f\r\n", ":0\r\n"),
        (",inf\r\n", "$3\r\ninf\r\n"),
        (",3.0000000000000004\r\n", "$18\r\n3.0000000000000004\r\n"),
        ("(12345678901234567890\r\n", "$20\r\n12345678901234567890\r\n"),
        ("=8\r\ntxt:a\r\nb\r\n", "$4\r\na\r\nb\r\n"),
        ("%1\r\n+a\r\n~1\r\n#t\r\n", "*2\r\n+a\r\n*1\r\n:1\r\n"),
        (">2\r\n+a\r\n_\r\n", "*2\r\n+a\r\n$-1\r\n"),
        ("*2\r\n|1\r\n+ttl\r\n%1\r\n:1\r\n:2\r\n:3\r\n:4\r\n", "*2\r\n:3\r\n:4\r\n"),
        ("|1\r\n+k\r\n+v\r\n_\r\n", "$-1\r\n"),
    ];
    for (resp3, resp2) in table {
        assert_eq!(rendered(resp3, Shape::Plain), resp2, "{resp3:?}");
    }
}

#[test]
fn nulls_of_a_resp2_upstream_stay_as_they_are() {
    for shape in SHAPES {
        for reply in ["$-1\r\n", "*-1\r\n", "*2\r\n*-1\r\n$-1\r\n"] {
            assert_eq!(rendered(reply, shape), reply, "{shape:?}");
        }
    }
}

#[test]
fn attributes_are_not_mistaken_for_pairs() {
    let reply = "|1\r\n+k\r\n+v\r\n*2\r\n|1\r\n+k\r\n+v\r\n*2\r\n+a\r\n,1\r\n*2\r\n+b\r\n,2\r\n";
    assert_eq!(rendered(reply, Shape::Pairs), "*4\r\n+a\r\n$1\r\n1\r\n+b\r\n$1\r\n2\r\n");
}

#[test]
fn only_arrays_of_one_length_are_flattened() {
    for reply in
        ["*2\r\n*1\r\n+a\r\n*0\r\n", "*2\r\n*1\r\n+a\r\n+b\r\n", "*2\r\n+a\r\n*1\r\n+b\r\n", "*0\r\n"]
    {
        assert_eq!(rendered(reply, Shape::Pairs), reply);
    }
}

#[test]
fn no_result_of_exec_is_lost_when_shapes_are_too_few() {
    let mut out = BytesMut::new();
    render_resp2_exec(b"*2\r\n_\r\n_\r\n", std::iter::once(Shape::NullArray), &mut out);
    assert_eq!(out, b"*2\r\n*-1\r\n$-1\r\n"[..]);
}

#[test]
fn counts_that_lie_end_the_rendering() {
    for reply in
        ["*1099511627776\r\nX", "%549755813888\r\n", "*1099511627776\r\n*9\r\n", "%9999999\r\n:1\r\nX"]
    {
        for shape in SHAPES {
            let mut out = BytesMut::new();
            render_resp2(reply.as_bytes(), shape, &mut out);
            render_resp2_exec(reply.as_bytes(), std::iter::repeat(shape), &mut out);
            assert!(out.len() < 256);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    /// Whatever is a reply becomes a reply of RESP2's five types; whatever is none, is no harm.
    #[test]
    fn the_rendering_is_one_resp2_reply(
        tokens in vec(prop::sample::select(vec![
            "*0\r\n", "*1\r\n", "*2\r\n", "%1\r\n", "%2\r\n", "~2\r\n", "|1\r\n", "+a\r\n", ":1\r\n", "_\r\n", "#t\r\n",
            ",1.5\r\n", "$1\r\na\r\n", "=5\r\ntxt:a\r\n", "(12\r\n", "!1\r\ne\r\n", "$-1\r\n", "*-1\r\n", "X", "\r\n",
        ]), 1..20),
    ) {
        let reply = tokens.concat();
        let complete = frame_len(reply.as_bytes()) == Ok(Some(reply.len()));
        for shape in SHAPES {
            let mut out = BytesMut::new();
            render_resp2(reply.as_bytes(), shape, &mut out);
            if complete {
                prop_assert_eq!(frame_len(&out), Ok(Some(out.len())), "{:?}", shape);
                let mut cursor = Cursor::new(&out);
                while let Some(kind) = cursor.read() {
                    let resp2 = matches!(kind, Kind::Simple(_) | Kind::Error(_) | Kind::Int(_) | Kind::Bulk(_)
                        | Kind::NullBulk | Kind::NullArray | Kind::Array(_));
                    prop_assert!(resp2, "{:?}", kind);
                }
            }
        }
    }
}
