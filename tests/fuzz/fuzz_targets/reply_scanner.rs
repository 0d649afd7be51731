//! A reply's end is found where redis-protocol finds it, however the reply is cut.
//! Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz reply_scanner`
#![no_main]

use libfuzzer_sys::fuzz_target;
use nearcache::resp::{Cursor, ReplyError, ReplyScanner, Scan, frame_len};
use redis_protocol::resp3::decode::complete::decode;

/// The same as `frame_len`, byte by byte.
fn cut(input: &[u8]) -> Result<Option<usize>, ReplyError> {
    let mut scanner = ReplyScanner::frames();
    let mut start = 0;
    for end in 0..=input.len() {
        match scanner.feed(&input[start..end])? {
            Scan::Done(n) => return Ok(Some(start + n)),
            Scan::More(n) | Scan::Push(n) => start += n,
        }
    }
    Ok(None)
}

fuzz_target!(|input: &[u8]| {
    let ours = frame_len(input);
    assert_eq!(cut(input), ours);
    let mut cursor = Cursor::new(input);
    while cursor.read().is_some() {}
    // redis-protocol recurses, so that depth must be bounded here, and it counts pushes within aggregates.
    if input.len() < 512 && !input.contains(&b'>') {
        match (ours, decode(input)) {
            (Ok(Some(ours)), Ok(Some((_, theirs)))) => assert_eq!(ours, theirs),
            (Ok(Some(_)), Ok(None)) | (Ok(None), Ok(Some(_))) => panic!("complete for one only"),
            _ => {}
        }
    }
});
