//! Sorted set commands on ranges: by rank, by score, by the members' bytes.

use std::ops::Range;

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, SYNTAX};
use super::number::{double, int_arg};
use super::value::Kind;
use super::zset::ZSet;
use super::zsets::{after_removal, write_header, write_member};

/// The commands.
pub const ROWS: &[Row] = &[
    Row::read("ZRANGE", -4, KeyArgs::ONE, |ctx| zrange(ctx, None, None)),
    Row::read("ZREVRANGE", -4, KeyArgs::ONE, |ctx| zrange(ctx, Some(By::Rank), Some(true))),
    Row::read("ZRANGEBYSCORE", -4, KeyArgs::ONE, |ctx| zrange(ctx, Some(By::Score), Some(false))),
    Row::read("ZREVRANGEBYSCORE", -4, KeyArgs::ONE, |ctx| zrange(ctx, Some(By::Score), Some(true))),
    Row::read("ZRANGEBYLEX", -4, KeyArgs::ONE, |ctx| zrange(ctx, Some(By::Lex), Some(false))),
    Row::read("ZREVRANGEBYLEX", -4, KeyArgs::ONE, |ctx| zrange(ctx, Some(By::Lex), Some(true))),
    Row::write("ZRANGESTORE", -5, KeyArgs::TWO, zrangestore),
    Row::read("ZCOUNT", 4, KeyArgs::ONE, |ctx| zcount(ctx, By::Score)),
    Row::read("ZLEXCOUNT", 4, KeyArgs::ONE, |ctx| zcount(ctx, By::Lex)),
    Row::shrink("ZREMRANGEBYRANK", 4, KeyArgs::ONE, |ctx| zremrange(ctx, By::Rank)),
    Row::shrink("ZREMRANGEBYSCORE", 4, KeyArgs::ONE, |ctx| zremrange(ctx, By::Score)),
    Row::shrink("ZREMRANGEBYLEX", 4, KeyArgs::ONE, |ctx| zremrange(ctx, By::Lex)),
];

/// What the two ends of a range are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// A range, its lower end first.
enum Between<'a> {
    /// As given: negative ones count from the end.
    Ranks(i64, i64),
    Scores(ScoreEnd, ScoreEnd),
    Members(LexEnd<'a>, LexEnd<'a>),
}

#[derive(Clone, Copy)]
struct ScoreEnd {
    score: f64,
    exclusive: bool,
}

#[derive(Clone, Copy)]
enum LexEnd<'a> {
    Lowest,
    Highest,
    Member { bytes: &'a [u8], exclusive: bool },
}

impl ScoreEnd {
    fn parse(text: &[u8]) -> Option<ScoreEnd> {
        let (exclusive, number) = match text {
            [b'(', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        Some(ScoreEnd { score: loose_double(number)?, exclusive })
    }
}

/// Here Redis leaves it to C what is a number: nothing at all is 0, spaces may come first, and what is too
/// large is infinite.
fn loose_double(text: &[u8]) -> Option<f64> {
    let text = text.split(|&b| b == 0).next().filter(|text| !text.is_empty());
    let Some(text) = text else { return Some(0.0) };
    let start = text.iter().position(|&b| !b.is_ascii_whitespace() && b != 0x0b)?;
    let text = &text[start..];
    let number = double(text).or_else(|| std::str::from_utf8(text).ok()?.parse().ok())?;
    (!number.is_nan()).then_some(number)
}

impl<'a> LexEnd<'a> {
    fn parse(text: &'a [u8]) -> Option<LexEnd<'a>> {
        match text {
            [b'-'] | [b'-', 0, ..] => Some(LexEnd::Lowest),
            [b'+'] | [b'+', 0, ..] => Some(LexEnd::Highest),
            [b'(', bytes @ ..] => Some(LexEnd::Member { bytes, exclusive: true }),
            [b'[', bytes @ ..] => Some(LexEnd::Member { bytes, exclusive: false }),
            _ => None,
        }
    }

    /// Whether a member is above this lower end.
    fn admits_from(&self, member: &[u8]) -> bool {
        match *self {
            LexEnd::Lowest => true,
            LexEnd::Highest => false,
            LexEnd::Member { bytes, exclusive } => {
                if exclusive {
                    member > bytes
                } else {
                    member >= bytes
                }
            }
        }
    }

    /// Whether a member is below this upper end.
    fn admits_to(&self, member: &[u8]) -> bool {
        match *self {
            LexEnd::Lowest => false,
            LexEnd::Highest => true,
            LexEnd::Member { bytes, exclusive } => {
                if exclusive {
                    member < bytes
                } else {
                    member <= bytes
                }
            }
        }
    }
}

impl<'a> Between<'a> {
    fn parse(by: By, low: &'a [u8], high: &'a [u8]) -> Result<Between<'a>, Fault> {
        match by {
            By::Rank => Ok(Between::Ranks(int_arg(low)?, int_arg(high)?)),
            By::Score => match (ScoreEnd::parse(low), ScoreEnd::parse(high)) {
                (Some(low), Some(high)) => Ok(Between::Scores(low, high)),
                _ => Err(Fault::new("ERR min or max is not a float")),
            },
            By::Lex => match (LexEnd::parse(low), LexEnd::parse(high)) {
                (Some(low), Some(high)) => Ok(Between::Members(low, high)),
                _ => Err(Fault::new("ERR min or max not valid string range item")),
            },
        }
    }

    /// The ranks, from the lowest score up, of what is in the range. Given ranks count from the highest
    /// score down if `back`.
    fn span(&self, set: &ZSet, back: bool) -> Range<usize> {
        match *self {
            Between::Ranks(start, stop) => {
                let len = set.len() as i64;
                let at = |n: i64| if n < 0 { n.saturating_add(len) } else { n };
                let (start, stop) = (at(start).max(0), at(stop).min(len - 1));
                if start > stop {
                    return 0..0;
                }
                let (start, end) = (start as usize, stop as usize + 1);
                if back { set.len() - end..set.len() - start } else { start..end }
            }
            Between::Scores(low, high) => {
                let below = |s: f64| s < low.score || low.exclusive && s == low.score;
                let upto = |s: f64| s < high.score || !high.exclusive && s == high.score;
                let from = set.partition(|score, _| below(score));
                from..set.partition(|score, _| upto(score)).max(from)
            }
            Between::Members(low, high) => match set {
                ZSet::Packed(_) => lex_walk(set, low, high, back),
                ZSet::Large(_) => {
                    let from = set.partition(|_, member| !low.admits_from(member));
                    from..set.partition(|_, member| high.admits_to(member)).max(from)
                }
            },
        }
    }
}

/// What is between two members, by walking. Where scores differ the members are in no order and the
/// answer means little, but then it is what Redis answers.
fn lex_walk(set: &ZSet, low: LexEnd, high: LexEnd, back: bool) -> Range<usize> {
    let admits = |member: &[u8], first: bool| {
        if first != back { low.admits_from(member) } else { high.admits_to(member) }
    };
    let last = set.len().saturating_sub(1);
    let mut ends = set.iter(0, 1, false).chain(set.iter(last, 1, true));
    let overlap = ends.next().is_some_and(|(first, _)| high.admits_to(first))
        && ends.next().is_some_and(|(last, _)| low.admits_from(last));
    if !overlap {
        return 0..0;
    }
    let from = if back { last } else { 0 };
    let mut members = set.iter(from, set.len(), back).map(|(member, _)| member);
    let skipped = members.by_ref().take_while(|member| !admits(member, true)).count();
    let members = set.iter(if back { last.saturating_sub(skipped) } else { skipped }, set.len(), back);
    let count = if skipped == set.len() { 0 } else { members.take_while(|(m, _)| admits(m, false)).count() };
    if back { set.len() - skipped - count..set.len() - skipped } else { skipped..skipped + count }
}

/// A whole ZRANGE request.
struct Query<'a> {
    between: Between<'a>,
    back: bool,
    scores: bool,
    offset: i64,
    /// Negative: all.
    limit: i64,
}

impl<'a> Query<'a> {
    /// Reads the arguments from the source key on. `by` and `back` are given by the command's name, or
    /// else by its options.
    fn parse(
        ctx: &Ctx<'a>,
        at: usize,
        store: bool,
        by: Option<By>,
        back: Option<bool>,
    ) -> Result<Self, Fault> {
        let (mut offset, mut limit, mut scores) = (0, -1, false);
        let (mut chosen, mut reverse) = (by, back.unwrap_or(false));
        let mut i = at + 3;
        while let Some(option) = ctx.args.get(i) {
            match option.to_ascii_lowercase().as_slice() {
                b"withscores" if !store => scores = true,
                b"limit" if i + 2 < ctx.args.len() => {
                    (offset, limit) = (int_arg(ctx.arg(i + 1))?, int_arg(ctx.arg(i + 2))?);
                    i += 2;
                }
                // Once one direction or order is chosen, naming another is an error.
                b"rev" if back.is_none() && !reverse => reverse = true,
                b"bylex" if chosen.is_none() => chosen = Some(By::Lex),
                b"byscore" if chosen.is_none() => chosen = Some(By::Score),
                _ => return Err(SYNTAX),
            }
            i += 1;
        }
        let by = chosen.unwrap_or(By::Rank);
        if limit != -1 && by == By::Rank {
            return Err(Fault::new(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if scores && by == By::Lex {
            return Err(Fault::new("ERR syntax error, WITHSCORES not supported in combination with BYLEX"));
        }
        let (low, high) = (ctx.arg(at + 1), ctx.arg(at + 2));
        let between = if reverse && by != By::Rank {
            Between::parse(by, high, low)?
        } else {
            Between::parse(by, low, high)?
        };
        Ok(Query { between, back: reverse, scores, offset, limit })
    }

    /// The first rank and the number of members to go from there, in the query's direction.
    fn select(&self, set: &ZSet) -> (usize, usize) {
        let span = self.between.span(set, self.back);
        // A negative offset skips everything.
        let offset = match self.between {
            Between::Ranks(..) => 0,
            _ => usize::try_from(self.offset).unwrap_or(usize::MAX).min(span.len()),
        };
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let count = (span.len() - offset).min(limit);
        let first = if self.back { span.end.saturating_sub(offset + 1) } else { span.start + offset };
        (first, count)
    }
}

fn zrange(ctx: &mut Ctx, by: Option<By>, back: Option<bool>) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let query = Query::parse(ctx, 1, false, by, back)?;
    let Some(set) = ctx.keys.typed::<ZSet>(key)? else {
        ctx.w.array(0);
        return Ok(());
    };
    let (first, count) = query.select(set);
    write_header(&mut ctx.w, count, query.scores);
    for (member, score) in set.iter(first, count, query.back) {
        write_member(&mut ctx.w, member, score, query.scores);
    }
    Ok(())
}

fn zrangestore(ctx: &mut Ctx) -> Result<(), Fault> {
    let (target, source) = (ctx.arg(1), ctx.arg(2));
    let query = Query::parse(ctx, 2, true, None, None)?;
    let mut result = ZSet::default();
    if let Some(set) = ctx.keys.typed::<ZSet>(source)? {
        let (first, count) = query.select(set);
        for (member, score) in set.iter(first, count, query.back) {
            result.set(member, score);
        }
    }
    store(ctx, target, result);
    Ok(())
}

/// Puts a result where it is wanted, and answers with its size. An empty one removes the key.
pub fn store(ctx: &mut Ctx, target: &[u8], result: ZSet) {
    let len = result.len();
    if len == 0 {
        ctx.keys.delete(target);
    } else {
        ctx.keys.set(target, result.into_value());
    }
    ctx.w.int(len as i64);
}

fn zcount(ctx: &mut Ctx, by: By) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let between = Between::parse(by, ctx.arg(2), ctx.arg(3))?;
    let count = ctx.keys.typed::<ZSet>(key)?.map_or(0, |set| between.span(set, false).len());
    ctx.w.int(count as i64);
    Ok(())
}

fn zremrange(ctx: &mut Ctx, by: By) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let between = Between::parse(by, ctx.arg(2), ctx.arg(3))?;
    let mut removed = 0;
    if let Some(set) = ctx.keys.typed_mut::<ZSet>(key)? {
        let span = between.span(set, false);
        removed = span.len();
        set.remove_ranks(span);
    }
    if removed > 0 {
        after_removal(&mut ctx.keys, key);
    }
    ctx.w.int(removed as i64);
    Ok(())
}
