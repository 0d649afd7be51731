//! Sorted sets combined: ZUNION, ZINTER, ZDIFF and their kin. Plain sets count as having scores of 1.
//!
//! What is asked for last is summed up last: floating sums depend on the order, and it is Redis's, the
//! smallest source first.

use std::collections::HashMap;

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, NOT_INTEGER, SYNTAX, WRONG_TYPE};
use super::number::{double, integer};
use super::value::Value;
use super::view::Keys;
use super::zset::{ZSet, compare};
use super::zsetranges::store;
use super::zsets::{write_header, write_member};

/// The commands.
pub const ROWS: &[Row] = &[
    Row::read("ZUNION", -3, KeyArgs::Counted(1), |ctx| combine(ctx, How::Union, Then::Reply)),
    Row::read("ZINTER", -3, KeyArgs::Counted(1), |ctx| combine(ctx, How::Inter, Then::Reply)),
    Row::read("ZDIFF", -3, KeyArgs::Counted(1), |ctx| combine(ctx, How::Diff, Then::Reply)),
    Row::read("ZINTERCARD", -3, KeyArgs::Counted(1), |ctx| combine(ctx, How::Inter, Then::Count)),
    Row::write("ZUNIONSTORE", -4, KeyArgs::DestCounted, |ctx| combine(ctx, How::Union, Then::Store)),
    Row::write("ZINTERSTORE", -4, KeyArgs::DestCounted, |ctx| combine(ctx, How::Inter, Then::Store)),
    Row::write("ZDIFFSTORE", -4, KeyArgs::DestCounted, |ctx| combine(ctx, How::Diff, Then::Store)),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Union,
    Inter,
    Diff,
}

/// What becomes of the result.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Reply,
    Count,
    Store,
}

/// How the scores of one member are combined.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn apply(self, total: &mut f64, value: f64) {
        *total = match self {
            // Infinities of both signs make 0.
            Aggregate::Sum => Some(*total + value).filter(|sum| !sum.is_nan()).unwrap_or(0.0),
            // Not `f64::min`: a NaN must not win, nor lose, differently from C's comparison.
            Aggregate::Min => {
                if value < *total {
                    value
                } else {
                    *total
                }
            }
            Aggregate::Max => {
                if value > *total {
                    value
                } else {
                    *total
                }
            }
        }
    }
}

/// One of the sets.
#[derive(Clone, Copy)]
struct Source<'a> {
    key: &'a [u8],
    len: usize,
    weight: f64,
}

/// A request, read.
struct Query<'a> {
    sources: Vec<Source<'a>>,
    aggregate: Aggregate,
    scores: bool,
    limit: usize,
}

type Scored = Vec<(Box<[u8]>, f64)>;

impl<'a> Query<'a> {
    fn parse(ctx: &mut Ctx<'a>, at: usize, how: How, then: Then) -> Result<Query<'a>, Fault> {
        let count = integer(ctx.arg(at)).ok_or(NOT_INTEGER)?;
        if count < 1 {
            let name = String::from_utf8_lossy(ctx.arg(0)).to_ascii_lowercase();
            return Err(Fault(format!("ERR at least 1 input key is needed for '{name}' command").into()));
        }
        let args = ctx.args.skip(at + 1);
        let count = usize::try_from(count).ok().filter(|&count| count <= args.len()).ok_or(SYNTAX)?;
        let mut sources = Vec::with_capacity(count);
        for key in args.iter().take(count) {
            let len = match ctx.keys.get(key) {
                None => 0,
                Some(Value::ZSet(set)) => set.len(),
                Some(Value::Set(set)) => set.len(),
                Some(_) => return Err(WRONG_TYPE),
            };
            sources.push(Source { key, len, weight: 1.0 });
        }
        let mut query = Query { sources, aggregate: Aggregate::Sum, scores: false, limit: usize::MAX };
        let mut options = args.skip(count);
        while let Some(option) = options.get(0) {
            let option = option.to_ascii_lowercase();
            let weighs = how != How::Diff && then != Then::Count;
            let taken = match option.as_slice() {
                b"weights" if weighs && options.len() > count => {
                    for (source, weight) in query.sources.iter_mut().zip(options.skip(1).iter()) {
                        source.weight =
                            double(weight).ok_or(Fault::new("ERR weight value is not a float"))?;
                    }
                    1 + count
                }
                b"aggregate" if weighs && options.len() > 1 => {
                    query.aggregate = match options[1].to_ascii_lowercase().as_slice() {
                        b"sum" => Aggregate::Sum,
                        b"min" => Aggregate::Min,
                        b"max" => Aggregate::Max,
                        _ => return Err(SYNTAX),
                    };
                    2
                }
                b"withscores" if then == Then::Reply => {
                    query.scores = true;
                    1
                }
                b"limit" if then == Then::Count && options.len() > 1 => {
                    let limit = integer(&options[1]).and_then(|n| usize::try_from(n).ok());
                    let limit = limit.ok_or(Fault::new("ERR LIMIT can't be negative"))?;
                    query.limit = if limit == 0 { usize::MAX } else { limit };
                    2
                }
                _ => return Err(SYNTAX),
            };
            options = options.skip(taken);
        }
        Ok(query)
    }
}

fn combine(ctx: &mut Ctx, how: How, then: Then) -> Result<(), Fault> {
    let mut query = Query::parse(ctx, if then == Then::Store { 2 } else { 1 }, how, then)?;
    if how != How::Diff {
        query.sources.sort_by_key(|source| source.len);
    }
    if then == Then::Count {
        ctx.w.int(count_common(&ctx.keys, &query) as i64);
        return Ok(());
    }
    let mut result = match how {
        How::Union => union(&mut ctx.keys, &query),
        How::Inter => intersection(&mut ctx.keys, &query),
        How::Diff => difference(&mut ctx.keys, &query),
    };
    match then {
        Then::Store => {
            let longest = result.iter().map(|(member, _)| member.len()).max().unwrap_or(0);
            let mut set = ZSet::for_members(result.len(), longest);
            for (member, score) in &result {
                set.set(member, *score);
            }
            store(ctx, ctx.arg(1), set);
        }
        Then::Reply | Then::Count => {
            result.sort_unstable_by(|a, b| compare((a.1, &a.0), (b.1, &b.0)));
            write_header(&mut ctx.w, result.len(), query.scores);
            for (member, score) in &result {
                write_member(&mut ctx.w, member, *score, query.scores);
            }
        }
    }
    Ok(())
}

/// Visits the members of a source.
fn each(keys: &mut Keys, key: &[u8], mut visit: impl FnMut(&[u8], f64)) {
    match keys.peek(key).map(|entry| &entry.value) {
        Some(Value::ZSet(set)) => set.all().for_each(|(member, score)| visit(member, score)),
        Some(Value::Set(set)) => set.each(|member| visit(member, 1.0)),
        _ => {}
    }
}

/// A member's score in a source.
fn score(value: &Value, member: &[u8]) -> Option<f64> {
    match value {
        Value::ZSet(set) => set.score(member),
        Value::Set(set) => set.contains(member).then_some(1.0),
        _ => None,
    }
}

fn weighted(score: f64, weight: f64) -> f64 {
    // Infinity times zero.
    Some(score * weight).filter(|product| !product.is_nan()).unwrap_or(0.0)
}

fn union(keys: &mut Keys, query: &Query) -> Scored {
    let mut sums: HashMap<Box<[u8]>, f64, ahash::RandomState> = HashMap::default();
    for source in &query.sources {
        each(keys, source.key, |member, score| {
            let score = weighted(score, source.weight);
            match sums.get_mut(member) {
                Some(sum) => query.aggregate.apply(sum, score),
                None => {
                    sums.insert(member.into(), score);
                }
            }
        });
    }
    sums.into_iter().collect()
}

fn intersection(keys: &mut Keys, query: &Query) -> Scored {
    let Some((first, others)) = query.sources.split_first() else { return Scored::new() };
    let mut result = Scored::with_capacity(first.len);
    each(keys, first.key, |member, score| result.push((member.into(), weighted(score, first.weight))));
    for other in others {
        let Some(value) = keys.peek(other.key).map(|entry| &entry.value) else { return Scored::new() };
        result.retain_mut(|(member, total)| match score(value, member) {
            Some(score) => {
                query.aggregate.apply(total, score * other.weight);
                true
            }
            None => false,
        });
    }
    result
}

/// How many members all sources have, the smallest first; no more are looked for than are asked for.
fn count_common(keys: &Keys, query: &Query) -> usize {
    let values: Option<Vec<&Value>> = query.sources.iter().map(|source| keys.found(source.key)).collect();
    let values = values.unwrap_or_default();
    let Some((first, others)) = values.split_first() else { return 0 };
    let common = |member: &[u8]| others.iter().all(|other| score(other, member).is_some());
    match first {
        Value::ZSet(set) => set.all().filter(|(member, _)| common(member)).take(query.limit).count(),
        Value::Set(set) => {
            let members = set.iter().filter(|member| common(member.bytes(&mut itoa::Buffer::new())));
            members.take(query.limit).count()
        }
        _ => 0,
    }
}

/// What the first has and no other: by looking its members up in the others, or by taking the others'
/// members out of it, whichever is less work (Redis's rule).
fn difference(keys: &mut Keys, query: &Query) -> Scored {
    let Some((first, others)) = query.sources.split_first() else { return Scored::new() };
    let lookups = first.len.saturating_mul(query.sources.len()) / 2;
    if lookups <= query.sources.iter().map(|source| source.len).sum() {
        let mut result = Scored::with_capacity(first.len);
        each(keys, first.key, |member, score| result.push((member.into(), score)));
        for other in others {
            if let Some(entry) = keys.peek(other.key) {
                result.retain(|(member, _)| score(&entry.value, member).is_none());
            }
        }
        return result;
    }
    let mut rest: HashMap<Box<[u8]>, f64, ahash::RandomState> = HashMap::default();
    each(keys, first.key, |member, score| {
        rest.insert(member.into(), score);
    });
    for other in others {
        each(keys, other.key, |member, _| {
            rest.remove(member);
        });
    }
    rest.into_iter().collect()
}
