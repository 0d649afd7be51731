//! What the codec costs per request and per reply, beside redis-protocol's decoder.

#![allow(missing_docs)] // of what criterion_group generates

use std::fmt::Write;
use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nearcache::resp::{Parsed, ReplyScanner, RequestLimits, RequestParser, Scan, Shape, render_resp2};
use redis_protocol::{resp2, resp3};

/// How deep a client pipelines.
const DEPTH: usize = 64;

fn requests(c: &mut Criterion) {
    let pipeline = b"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000042\r\n".repeat(DEPTH);
    let mut group = c.benchmark_group("64 GETs");
    group.throughput(Throughput::Elements(DEPTH as u64));
    group.bench_function("parse", |b| {
        let mut parser = RequestParser::new(RequestLimits::default());
        b.iter(|| {
            let mut rest = black_box(&pipeline[..]);
            while let Ok(Parsed::Complete(n)) = parser.parse(rest) {
                black_box(&parser.args(rest)[1]);
                rest = &rest[n..];
            }
            assert!(rest.is_empty());
        });
    });
    let bytes = Bytes::from(pipeline.clone());
    group.bench_function("redis-protocol", |b| {
        b.iter(|| {
            let mut rest = black_box(bytes.clone());
            while let Ok(Some((frame, n))) = resp2::decode::decode_bytes(&rest) {
                black_box(&frame);
                rest = rest.slice(n..);
            }
            assert!(rest.is_empty());
        });
    });
    group.finish();
}

fn scan(replies: &[u8]) -> usize {
    let mut scanner = ReplyScanner::new();
    let (mut rest, mut count) = (replies, 0);
    while let Ok(Scan::Done(n)) = scanner.feed(rest) {
        rest = &rest[n..];
        count += 1;
    }
    count
}

fn replies(c: &mut Criterion) {
    let hash = (0..10).fold(String::from("%10\r\n"), |mut out, i| {
        write!(out, "$6\r\nfield{i}\r\n$8\r\nvalue00{i}\r\n").expect("a string takes all");
        out
    });
    let cases = [
        ("values of 100 bytes", format!("$100\r\n{}\r\n", "x".repeat(100))),
        ("OK", "+OK\r\n".to_owned()),
        ("hashes of 10 fields", hash),
    ];
    for (name, reply) in cases {
        let replies = Bytes::from(reply.repeat(DEPTH));
        let mut group = c.benchmark_group(format!("64 replies: {name}"));
        group.throughput(Throughput::Elements(DEPTH as u64));
        group.bench_function("scan", |b| b.iter(|| assert_eq!(scan(black_box(&replies)), DEPTH)));
        group.bench_function("redis-protocol", |b| {
            b.iter(|| {
                let mut rest = black_box(replies.clone());
                while let Ok(Some((frame, n))) = resp3::decode::complete::decode_bytes(&rest) {
                    black_box(&frame);
                    rest = rest.slice(n..);
                }
            });
        });
        group.finish();
    }
}

fn rendering(c: &mut Criterion) {
    let reply = (0..100).fold(String::from("*100\r\n"), |mut out, i| {
        write!(out, "*2\r\n$8\r\nmember{i:02}\r\n,{i}.5\r\n").expect("a string takes all");
        out
    });
    let mut group = c.benchmark_group("ZRANGE of 100 WITHSCORES");
    group.throughput(Throughput::Elements(100));
    let mut out = BytesMut::with_capacity(8192);
    group.bench_function("render", |b| {
        b.iter(|| {
            out.clear();
            render_resp2(black_box(reply.as_bytes()), Shape::Pairs, &mut out);
            black_box(&out);
        });
    });
    let bytes = Bytes::from(reply.clone());
    group.bench_function("redis-protocol, decoding only", |b| {
        b.iter(|| black_box(resp3::decode::complete::decode_bytes(&bytes)).is_ok());
    });
    group.finish();
}

criterion_group!(benches, requests, replies, rendering);
criterion_main!(benches);
