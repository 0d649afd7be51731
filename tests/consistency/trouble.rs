//! Disturbances: flushes, slow scripts, killed connections, links in slivers, links that stall.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use super::mix::World;
use crate::support::Rng;
use crate::support::link::{Link, Weather};

/// How bad it gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trouble {
    /// Not at all.
    None,
    /// Replies come late and in slivers; Redis stops now and then.
    Slow,
    /// That, and connections are lost.
    Losses,
}

impl Trouble {
    /// Disturbances that a round must have seen.
    pub fn at_least(self) -> usize {
        if self == Trouble::None { 0 } else { 25 }
    }
}

/// Disturbs until the end.
pub fn disturb(world: &World) {
    let mut rng = Rng::new(world.round.seed ^ 99);
    while !world.stop.load(Relaxed) {
        thread::sleep(Duration::from_millis(rng.below(60) as u64));
        let link = rng.below(world.links.len());
        match world.round.trouble {
            Trouble::None => continue,
            Trouble::Losses if rng.chance(40) => lose(world, &mut rng, &world.links[link]),
            _ => slow(world, &mut rng, &world.links[link]),
        }
        world.troubles.fetch_add(1, Relaxed);
    }
}

fn slow(world: &World, rng: &mut Rng, link: &Link) {
    let pause = Duration::from_millis(20 + rng.below(150) as u64);
    let call = |words: &[&str]| {
        world.redis.client().call(words).unwrap();
    };
    match rng.below(10) {
        0..=1 => link.clear(),
        2..=5 => link.set(slivers(rng), slivers(rng)),
        6 => {
            // The replies stall, and the connection looks well.
            link.set(Weather::default(), Weather { hold: true, ..Weather::default() });
            thread::sleep(pause);
            link.clear();
        }
        7 => {
            world.redis.pause();
            thread::sleep(pause);
            world.redis.resume();
        }
        8 => call(&["CLIENT", "PAUSE", &pause.as_millis().to_string(), "ALL"]),
        _ => call(&["EVAL", SLOW, "0", &pause.as_micros().to_string()]),
    }
}

fn slivers(rng: &mut Rng) -> Weather {
    let (slice, delay) = *rng.pick(&[(0, 0), (0, 300), (13, 10), (40, 10), (100, 10), (1000, 100)]);
    Weather { slice, delay: Duration::from_micros(delay), ..Weather::default() }
}

fn lose(world: &World, rng: &mut Rng, link: &Link) {
    if rng.chance(50) {
        return link.cut();
    }
    let mut client = world.redis.client();
    let list = client.call(&["CLIENT", "LIST"]).unwrap();
    let list = String::from_utf8_lossy(list.text().unwrap_or_default()).into_owned();
    let ids: Vec<&str> = list
        .lines()
        .filter(|line| line.contains("name=nearcache"))
        .filter_map(|line| line.split(' ').next()?.strip_prefix("id="))
        .collect();
    if !ids.is_empty() {
        client.call(&["CLIENT", "KILL", "ID", ids[rng.below(ids.len())]]).unwrap();
    }
}

/// Keeps Redis busy for so many microseconds.
const SLOW: &str = "local t = redis.call('TIME') local e = t[1] * 1000000 + t[2] + ARGV[1] \
    repeat t = redis.call('TIME') until t[1] * 1000000 + t[2] > e return 1";
