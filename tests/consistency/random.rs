//! The rounds of random load that are run.

use std::collections::BTreeMap;
use std::time::Duration;

use nearcache::near::Rules;

use super::mix::{LITTLE, Outcome, Round, play};
use super::trouble::Trouble;

/// Commands of all rounds together, unless NEARCACHE_CONSISTENCY_READS asks for more.
const COMMANDS: usize = 320_000;

/// How errors may begin: what the commands deserve, and what a lost connection brings.
const EXPECTED: [&str; 5] =
    ["ERR source and destination objects are the", "ERR no such key", "UNCERTAIN", "MASTERDOWN", "CLOSED"];

/// The rounds of these seeds: each kind in turn.
fn rounds(seeds: &[u64], commands: usize) -> Vec<Round> {
    let ms = Duration::from_millis;
    let round = |(n, &seed): (usize, &u64)| {
        let base = Round {
            seed,
            proxies: 1,
            commands: commands / seeds.len(),
            writes: 2,
            trouble: Trouble::None,
            pause: ms(10),
            bulk: false,
            memory: "100mb",
            observe: false,
            staleness: ms(1000),
            rules: Rules::ALL,
        };
        // Where sessions give up fewer reads are parked, and less is fetched and evicted: each kind without that first.
        let base = Round { rules: Rules { gives_up: n >= 4, ..base.rules }, ..base };
        match n % 4 {
            0 => Round { writes: 5, pause: ms(3), observe: n == 4, ..base },
            1 => Round { writes: 15, trouble: Trouble::Slow, memory: LITTLE, staleness: ms(50), ..base },
            2 => Round { proxies: 2, commands: base.commands / 2, trouble: Trouble::Losses, ..base },
            _ => Round { trouble: Trouble::Losses, bulk: true, staleness: ms(100), ..base },
        }
    };
    seeds.iter().enumerate().map(round).collect()
}

/// What must have happened, in all rounds together, for the test to mean anything: a tenth of what is usual.
const AT_LEAST: &[(&str, u64)] = &[
    ("hits", 8_000),
    ("joins", 250),
    ("compared with Redis", 1_000),
    ("stored", 20_000),
    ("not stored", 4_000),
    ("flights detached", 3_000),
    ("removed by pushes", 7_000),
    ("removed by writes", 6_000),
    ("expired", 8),
    ("evicted", 100),
    ("epochs", 150),
    ("fences", 150),
    ("waits for freshness", 1),
    ("lanes lost", 10),
    ("reads repeated", 50),
];

#[test]
fn clients_cannot_tell_the_proxy_from_one_redis() {
    let asked = std::env::var("NEARCACHE_CONSISTENCY_READS").ok().and_then(|text| text.parse().ok());
    let drawn = fastrand::u64(..);
    let seeds = [1, 2, 3, 4, 5, 6, 7, drawn];
    let mut all = Outcome::default();
    for round in rounds(&seeds, asked.unwrap_or(COMMANDS)) {
        println!("{round:?}");
        let outcome = play(round);
        println!("{} commands, {:?}, errors {:?}", outcome.commands, outcome.counts, outcome.errors);
        assert!(
            outcome.violations.is_empty(),
            "seed {}: {} violations, the first: {:#?}",
            round.seed,
            outcome.violations.len(),
            &outcome.violations[..outcome.violations.len().min(4)]
        );
        add(&mut all, outcome);
    }
    let unexpected: BTreeMap<_, _> =
        all.errors.iter().filter(|(word, _)| !EXPECTED.contains(&word.as_str())).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    assert!(all.troubles > 100, "only {} disturbances", all.troubles);
    for (name, least) in AT_LEAST {
        assert!(all.counts[name] >= *least, "{name}: {:#?}", all.counts);
    }
    assert_eq!(all.counts["compared and wrong"], 0);
    println!("{:#?}", all.counts);
}

fn add(all: &mut Outcome, one: Outcome) {
    all.commands += one.commands;
    all.troubles += one.troubles;
    one.counts.into_iter().for_each(|(field, count)| *all.counts.entry(field).or_default() += count);
    one.errors.into_iter().for_each(|(word, count)| *all.errors.entry(word).or_default() += count);
}

/// What schedules show one by one, load shows as well where it does not take a rare moment.
#[test]
fn random_load_notices_that_a_rule_is_missing() {
    let all = Rules::ALL;
    let without = [
        Rules { push_removes: false, ..all },
        Rules { epochs: false, ..all },
        Rules { join_order: false, ..all },
        Rules { parking: false, ..all },
        Rules { parked_first: false, ..all },
        Rules { fences: false, ..all },
    ];
    for rules in without {
        let mut some = rounds(&[11, 12, 13, 14], 40_000).into_iter();
        let found = some.any(|round| !play(Round { rules, ..round }).violations.is_empty());
        assert!(found, "{rules:?}");
    }
}
