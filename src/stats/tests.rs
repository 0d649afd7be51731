//! Tests of the counters and histograms.

use super::*;
use std::time::Duration;

const NAMES: [&str; 3] = ["get", "set", "client|id"];
const US: Duration = Duration::from_micros(1);

fn command(stats: &Stats, name: &str) -> CommandCounters {
    let mut found = CommandCounters::default();
    stats.each_command(|n, c| {
        if n == name {
            found = c.clone();
        }
    });
    found
}

#[test]
fn counts_of_many_threads_add_up() {
    let stats = Stats::with_shards(&NAMES, Clock::start(), 4);
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let stats = &stats;
            scope.spawn(move || {
                let mut recorder = stats.recorder();
                for i in 0..10_000u64 {
                    recorder.command((i % 2) as u16, Served::Hit, US * ((i + thread) % 40) as u32);
                    recorder.bytes_in(3);
                    recorder.bytes_out(5);
                    if i % 100 == 0 {
                        recorder.failed(1);
                        recorder.flush();
                    }
                }
            });
        }
    });
    let snapshot = stats.snapshot();
    assert_eq!(snapshot.totals.commands(), 80_000);
    assert_eq!(snapshot.totals.served[Served::Hit as usize].count(), 80_000);
    assert_eq!((snapshot.totals.bytes_in, snapshot.totals.bytes_out), (240_000, 400_000));
    assert_eq!(command(&stats, "get").latency.count(), 40_000);
    assert_eq!(command(&stats, "set").latency.count(), 40_000);
    assert_eq!(command(&stats, "set").failed, 800);
    let sum: u64 = (0..8).map(|t| (0..10_000u64).map(|i| (i + t) % 40).sum::<u64>()).sum();
    assert_eq!(snapshot.totals.served[Served::Hit as usize].total(), US * sum as u32);
}

#[test]
fn a_recorder_shows_its_counts_at_flush_and_at_drop() {
    let stats = Stats::new(&NAMES, Clock::start());
    let mut recorder = stats.recorder();
    recorder.command(0, Served::Miss, US);
    assert_eq!(stats.snapshot().totals.commands(), 0);
    recorder.flush();
    recorder.flush();
    assert_eq!(stats.snapshot().totals.commands(), 1);
    recorder.bytes_in(9);
    drop(recorder);
    assert_eq!(stats.snapshot().totals.bytes_in, 9);
}

#[test]
fn a_batch_larger_than_the_buffer_loses_nothing() {
    let stats = Stats::new(&NAMES, Clock::start());
    let mut recorder = stats.recorder();
    for i in 0..1000u32 {
        recorder.command(0, Served::Forwarded, US * i);
    }
    recorder.commands(1, Served::Hit, US, u32::MAX);
    recorder.commands(1, Served::Hit, US, u32::MAX);
    recorder.flush();
    assert_eq!(command(&stats, "get").latency.count(), 1000);
    assert_eq!(command(&stats, "set").latency.count(), 2 * u64::from(u32::MAX));
}

#[test]
fn commands_without_a_row_count_in_the_totals() {
    let stats = Stats::new(&NAMES, Clock::start());
    let mut recorder = stats.recorder();
    recorder.command(UNLISTED, Served::Pinned, US);
    recorder.rejected(UNLISTED);
    recorder.flush();
    assert_eq!(stats.snapshot().totals.commands(), 1);
    stats.each_command(|name, _| panic!("{name} was never called"));
}

#[test]
fn rejected_calls_are_not_calls() {
    let stats = Stats::new(&NAMES, Clock::start());
    let mut recorder = stats.recorder();
    recorder.rejected(2);
    recorder.flush();
    let row = command(&stats, "client|id");
    assert_eq!((row.latency.count(), row.rejected, row.failed), (0, 1, 0));
    assert_eq!(stats.snapshot().totals.commands(), 0);
}

#[test]
fn errors_are_counted_by_prefix_as_redis_does() {
    let stats = Stats::new(&NAMES, Clock::start());
    let mut recorder = stats.recorder();
    for line in ["-WRONGTYPE Operation against", "-ERR x", "-noprefix", "custom y", "-ERR z"] {
        recorder.error_reply(line.as_bytes());
    }
    let mut seen = Vec::new();
    stats.each_error(|prefix, count| seen.push((prefix.to_owned(), count)));
    assert_eq!(seen, [("ERR".to_owned(), 4), ("WRONGTYPE".to_owned(), 1)]);
    assert_eq!(stats.snapshot().error_replies, 5);
}

#[test]
fn made_up_error_prefixes_are_bounded() {
    let stats = Stats::new(&NAMES, Clock::start());
    let mut recorder = stats.recorder();
    for i in 0..10_000 {
        recorder.error_reply(format!("-E{i} from a script").as_bytes());
    }
    let mut prefixes = 0;
    stats.each_error(|_, _| prefixes += 1);
    assert_eq!(prefixes, MAX_ERROR_PREFIXES);
    assert_eq!(stats.snapshot().error_replies, 10_000);
}

#[test]
fn a_reset_forgets_all_but_the_present_state() {
    let stats = Stats::new(&NAMES, Clock::start());
    let empty = stats.bytes();
    let mut recorder = stats.recorder();
    recorder.command(0, Served::Hit, US);
    recorder.error_reply(b"-ERR x");
    recorder.bytes_in(1);
    recorder.flush();
    stats.lane_round_trip(US, 1);
    stats.clients.connected_clients.inc();
    stats.clients.total_connections_received.inc();
    stats.lane.commands.add(9);
    assert!(stats.bytes() > empty);

    stats.reset();
    let snapshot = stats.snapshot();
    assert_eq!(snapshot.totals.commands() + snapshot.totals.bytes_in + snapshot.error_replies, 0);
    assert_eq!(snapshot.round_trip.count(), 0);
    assert_eq!(stats.clients.total_connections_received.get() + stats.lane.commands.get(), 0);
    assert_eq!(stats.clients.connected_clients.get(), 1);
    assert_eq!(stats.bytes(), empty);
    stats.each_command(|name, _| panic!("{name} was not reset"));
}

#[test]
fn ticks_give_a_rate() {
    let stats = Stats::new(&NAMES, Clock::start());
    let mut recorder = stats.recorder();
    for i in 0..=16u32 {
        recorder.commands(0, Served::Hit, US, 100);
        recorder.flush();
        stats.tick(stats.started + i * Duration::from_millis(100));
    }
    let rate = stats.snapshot().commands_per_second;
    assert!((rate - 1000.0).abs() < 0.1, "{rate}");
}

#[test]
fn served_names_follow_the_discriminants() {
    for (i, (served, _)) in Served::NAMES.iter().enumerate() {
        assert_eq!(*served as usize, i);
    }
}
