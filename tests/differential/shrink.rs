//! Makes a sequence that shows a difference as short as it can within a bounded time.

use std::time::{Duration, Instant};

use crate::grammar::Cmd;
use crate::sequence::{Batch, Sequence, Unit};

/// How long shrinking may take: it is for the reader of a failure, who waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// A unit, whose it is, and which batch it was in.
type Piece = (usize, usize, Unit);

/// The shortest sequence found that `differs`; `None` when the given one, played again, does not.
pub fn shrink(sequence: &Sequence, mut differs: impl FnMut(&Sequence) -> bool) -> Option<Sequence> {
    if !differs(sequence) {
        return None;
    }
    let deadline = Instant::now() + PATIENCE;
    let mut pieces: Vec<Piece> = Vec::new();
    for (number, batch) in sequence.batches.iter().enumerate() {
        pieces.extend(batch.units.iter().map(|unit| (batch.client, number, unit.clone())));
    }
    let mut attempt = |pieces: &[Piece]| Instant::now() < deadline && differs(&assemble(sequence, pieces));
    pieces = without(pieces, &mut attempt);
    let apart: Vec<Piece> =
        pieces.iter().enumerate().map(|(i, (client, _, unit))| (*client, i, unit.clone())).collect();
    if attempt(&apart) {
        pieces = apart;
    }
    for at in 0..pieces.len() {
        let (client, batch, unit) = pieces[at].clone();
        let mut with = |unit: &[Cmd]| {
            let mut changed = pieces.clone();
            changed[at] = (client, batch, unit.to_vec());
            attempt(&changed)
        };
        let shorter = without(unit, &mut with);
        pieces[at].2 = shorter;
    }
    Some(assemble(sequence, &pieces))
}

/// Removes halves, quarters, … and at last single items, as long as `attempt` still holds.
fn without<T: Clone>(mut items: Vec<T>, attempt: &mut impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut size = items.len().div_ceil(2);
    while size > 0 {
        let mut removed = false;
        let mut at = 0;
        while at < items.len() {
            let end = (at + size).min(items.len());
            let rest = [&items[..at], &items[end..]].concat();
            if !rest.is_empty() && attempt(&rest) {
                items = rest;
                removed = true;
            } else {
                at = end;
            }
        }
        if size == 1 && !removed {
            break;
        }
        size = if size == 1 { 1 } else { size / 2 };
    }
    items
}

fn assemble(like: &Sequence, pieces: &[Piece]) -> Sequence {
    let mut batches: Vec<(usize, Batch)> = Vec::new();
    for (client, number, unit) in pieces {
        match batches.last_mut() {
            Some((last, batch)) if last == number && batch.client == *client => {
                batch.units.push(unit.clone())
            }
            _ => batches.push((*number, Batch { client: *client, units: vec![unit.clone()] })),
        }
    }
    Sequence { batches: batches.into_iter().map(|(_, batch)| batch).collect(), ..like.clone() }
}

#[test]
fn shrinking_keeps_what_matters_and_nothing_else() {
    let cmd = |name: &str| Cmd { args: vec![name.into()], row: None, options: Vec::new() };
    let has = |sequence: &Sequence, name: &str| {
        sequence
            .batches
            .iter()
            .flat_map(|batch| batch.units.iter().flatten())
            .any(|cmd| cmd.args[0] == name.as_bytes())
    };
    let batches = (0..40)
        .map(|i| Batch {
            client: i % 3,
            units: vec![vec![cmd(&format!("c{i}")), cmd("filler")], vec![cmd("filler")]],
        })
        .collect();
    let sequence = Sequence { seed: 0, proto: 2, depth: 3, batches };
    let short =
        shrink(&sequence, |candidate| has(candidate, "c7") && has(candidate, "c31")).expect("it differs");
    assert_eq!(short.len(), 2, "{short}");
    assert!(shrink(&sequence, |_| false).is_none());
}
