//! The rounds of random load that are run.

use std::collections::BTreeMap;
use std::time::Duration;

use nearcache::near::Rules;

use super::mix::{Outcome, Round, play};
use super::trouble::Trouble;

/// Commands of all rounds together, unless NEARCACHE_CONSISTENCY_READS asks for more.
const COMMANDS: usize = 600_000;

/// Words with which an error may begin when connections are lost.
const EXPECTED: [&str; 3] = ["ERR", "UNCERTAIN", "MASTERDOWN"];

fn rounds(seeds: &[u64], commands: usize) -> Vec<Round> {
    let kinds = [
        (1, 4, Trouble::None, 1000),
        (1, 15, Trouble::Slow, 100),
        (2, 4, Trouble::Losses, 1000),
        (1, 1, Trouble::Losses, 100),
    ];
    let round = |(n, &seed): (usize, &u64)| {
        let (proxies, writes, trouble, staleness) = kinds[n % kinds.len()];
        let staleness = Duration::from_millis(staleness);
        let commands = commands / seeds.len() / proxies;
        Round { seed, proxies, commands, writes, trouble, staleness, rules: Rules::ALL }
    };
    seeds.iter().enumerate().map(round).collect()
}

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
    assert!(all.commands > COMMANDS / 2, "only {} commands", all.commands);
    assert!(all.troubles > 100, "only {} disturbances", all.troubles);
    assert!(all.counts["l1_hits"] > 10_000, "{:?}", all.counts);
    assert!(all.counts["l1_coalesced"] > 500, "{:?}", all.counts);
}

fn add(all: &mut Outcome, one: Outcome) {
    all.commands += one.commands;
    all.troubles += one.troubles;
    one.counts.into_iter().for_each(|(field, count)| *all.counts.entry(field).or_default() += count);
    one.errors.into_iter().for_each(|(word, count)| *all.errors.entry(word).or_default() += count);
}
