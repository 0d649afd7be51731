//! Whatever is one reply is rendered as one RESP2 reply, in every shape; whatever is none, is no harm.
//! Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz render`
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use nearcache::resp::{Shape, frame_len, render_resp2, render_resp2_exec};

const SHAPES: [Shape; 6] =
    [Shape::Plain, Shape::NullArray, Shape::NullArrays, Shape::Pairs, Shape::Streams, Shape::LastNullArray];

fuzz_target!(|input: &[u8]| {
    let complete = frame_len(input) == Ok(Some(input.len()));
    let mut out = BytesMut::new();
    for shape in SHAPES {
        out.clear();
        render_resp2(input, shape, &mut out);
        // Pushes never reach the renderer from within a reply.
        if complete && !input.contains(&b'>') {
            assert_eq!(frame_len(&out), Ok(Some(out.len())));
        }
        render_resp2_exec(input, std::iter::repeat(shape), &mut out);
    }
});
