//! A client's bytes are read the same however they are cut, and what is forwarded is what was read.
//! Run: `cargo +nightly fuzz run --fuzz-dir tests/fuzz request_parser`
#![no_main]

use libfuzzer_sys::fuzz_target;
use nearcache::resp::{Parsed, ProtocolError, RequestLimits, RequestParser};
use redis_protocol::resp2::{decode::decode, types::OwnedFrame};

type Requests = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

fn requests(input: &[u8], step: usize) -> Requests {
    let mut parser = RequestParser::new(RequestLimits::default());
    let (mut all, mut start, mut end) = (Vec::new(), 0, 0);
    loop {
        let buf = &input[start..end];
        match parser.parse(buf) {
            Ok(Parsed::Complete(n)) => {
                let args: Vec<Vec<u8>> = parser.args(buf).iter().map(<[u8]>::to_vec).collect();
                if !args.is_empty() {
                    let items = args.iter().cloned().map(OwnedFrame::BulkString).collect();
                    let raw = parser.raw(buf);
                    let (frame, len) = decode(raw).expect("an array").expect("a complete one");
                    assert_eq!((frame, len), (OwnedFrame::Array(items), raw.len()));
                }
                all.push(args);
                start += n;
            }
            Ok(Parsed::Incomplete) if end == input.len() => return (all, None),
            Ok(Parsed::Incomplete) => end = input.len().min(end + step),
            Err(error) => return (all, Some(error)),
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let step = usize::from(input.first().copied().unwrap_or(0) % 16) + 1;
    assert_eq!(requests(input, step), requests(input, input.len().max(1)));
});
