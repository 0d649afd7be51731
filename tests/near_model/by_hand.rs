//! The classic races as fixed schedules: clean with all rules, a violation without the one each is
//! about. The letters a, b, c in the comments are clients 0, 1, 2.

use super::redis::{Cmd, MS};
use super::sim::{MAX_STALENESS, Sim};
use nearcache::near::Rules;

const K: (u8, u8) = (0, 0);
const OTHER: (u8, u8) = (0, 1);

/// Plays a schedule with and without a rule.
fn race(without: Rules, schedule: impl Fn(&mut Sim)) {
    for (rules, clean) in [(Rules::ALL, true), (without, false)] {
        let mut sim = Sim::new(rules, 3);
        schedule(&mut sim);
        sim.finish();
        let found = &sim.check.violations;
        assert_eq!(found.is_empty(), clean, "{found:#?} with {rules:?}");
    }
}

/// Everything on the wire is executed and applied.
fn drain(sim: &mut Sim) {
    while sim.serve() || sim.apply() {}
}

/// Client 0 reads, so that the key is cached.
fn cache(sim: &mut Sim, key: (u8, u8)) {
    sim.send(0, Cmd::Get(key));
    drain(sim);
}

#[test]
fn a_push_between_the_value_and_its_ttl() {
    race(Rules { push_detaches: false, ..Rules::ALL }, |sim| {
        sim.foreign(Cmd::Set(K, None));
        sim.send(0, Cmd::Get(K));
        sim.serve(); // CLIENT CACHING YES
        sim.serve(); // GET
        sim.foreign(Cmd::Set(K, None)); // the push uses the registration up
        drain(sim);
    });
}

#[test]
fn a_change_elsewhere_is_pushed() {
    race(Rules { push_removes: false, ..Rules::ALL }, |sim| {
        cache(sim, K);
        sim.foreign(Cmd::Set(K, None));
        drain(sim);
    });
}

#[test]
fn everything_is_flushed_elsewhere() {
    race(Rules { epochs: false, ..Rules::ALL }, |sim| {
        sim.foreign(Cmd::Set(K, None));
        cache(sim, K);
        sim.foreign(Cmd::FlushAll);
        drain(sim);
    });
}

#[test]
fn a_lost_lane_takes_its_registrations_along() {
    race(Rules { epochs: false, ..Rules::ALL }, |sim| {
        cache(sim, K);
        sim.reconnect();
        sim.foreign(Cmd::Set(K, None));
        drain(sim);
    });
}

#[test]
fn an_acknowledged_write_is_read_before_its_push_arrives() {
    let neither = Rules { write_removes: false, write_ends: false, ..Rules::ALL };
    race(neither, |sim| {
        cache(sim, K);
        sim.send(1, Cmd::Set(K, None));
        sim.serve();
        sim.apply(); // the reply; the push is behind it
        sim.send(2, Cmd::Get(K));
    });
}

#[test]
fn a_fetch_is_under_way_when_the_key_is_written() {
    let neither = Rules { write_detaches: false, write_ends: false, ..Rules::ALL };
    race(neither, |sim| {
        sim.send(0, Cmd::Get(K));
        sim.send(1, Cmd::Set(K, None));
        (0..4).for_each(|_| _ = sim.serve());
        (0..4).for_each(|_| _ = sim.apply()); // up to the write's reply
        sim.send(2, Cmd::Get(K));
    });
}

#[test]
fn a_hit_overtakes_the_clients_own_unanswered_read() {
    race(Rules { parking: false, ..Rules::ALL }, |sim| {
        cache(sim, K);
        sim.foreign(Cmd::Set(K, None)); // its push is not applied yet
        sim.foreign(Cmd::Set(OTHER, None));
        sim.send(1, Cmd::Get(OTHER)); // goes upstream and sees the second write
        sim.send(1, Cmd::Get(K)); // must not be answered by the entry from before the first
    });
}

#[test]
fn a_client_joins_a_fetch_from_before_its_own_write() {
    race(Rules { join_order: false, ..Rules::ALL }, |sim| {
        sim.send(0, Cmd::Get(K));
        sim.send(1, Cmd::Set(OTHER, None));
        sim.serve();
        sim.serve(); // client 0's GET has been executed
        sim.foreign(Cmd::Set(K, None));
        sim.foreign(Cmd::Set(OTHER, None));
        sim.send(1, Cmd::Get(K)); // behind the unanswered write
    });
}

#[test]
fn an_entry_outlives_its_keys_ttl() {
    race(Rules { ttl_limits: false, ..Rules::ALL }, |sim| {
        sim.redis.deletes_expired = false;
        sim.foreign(Cmd::Set(K, Some(5)));
        cache(sim, K);
        sim.pass(10 * MS);
        sim.send(1, Cmd::Get(K));
    });
}

#[test]
fn a_slow_reply_makes_the_ttl_look_longer() {
    race(Rules { from_send_time: false, ..Rules::ALL }, |sim| {
        sim.redis.deletes_expired = false;
        sim.foreign(Cmd::Set(K, Some(5)));
        sim.send(0, Cmd::Get(K));
        (0..3).for_each(|_| _ = sim.serve());
        sim.pass(4 * MS);
        drain(sim);
        sim.pass(3 * MS);
        sim.send(1, Cmd::Get(K));
    });
}

#[test]
fn a_key_expires_between_the_value_and_its_ttl() {
    race(Rules { ttl_agrees: false, ..Rules::ALL }, |sim| {
        sim.redis.deletes_expired = false;
        sim.foreign(Cmd::Set(K, Some(5)));
        sim.send(0, Cmd::Get(K));
        sim.serve();
        sim.serve();
        sim.pass(7 * MS);
        drain(sim);
        sim.send(1, Cmd::Get(K));
    });
}

#[test]
fn the_link_stalls() {
    race(Rules { staleness: false, ..Rules::ALL }, |sim| {
        cache(sim, K);
        sim.foreign(Cmd::Set(K, None)); // the push is stuck in the network
        sim.pass(MAX_STALENESS + MS);
        sim.send(1, Cmd::Get(K));
    });
}
