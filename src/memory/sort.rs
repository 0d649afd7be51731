//! SORT and SORT_RO.

use std::ops::Range;

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, SYNTAX, WRONG_TYPE};
use super::list::List;
use super::number::{double, int_arg};
use super::pqsort::partial_sort;
use super::value::{Kind, Value};
use super::view::Keys;
use super::zset::ZSet;
use crate::resp::Args;

/// The commands.
pub const ROWS: &[Row] = &[
    Row::write("SORT", -2, KeyArgs::Sort, |ctx| sort(ctx, false)),
    Row::read("SORT_RO", -2, KeyArgs::Sort, |ctx| sort(ctx, true)),
];

/// The keys of a SORT; false when patterns make it look at any others.
pub fn keys(args: Args, visit: &mut dyn FnMut(&[u8])) -> bool {
    args.get(1).into_iter().for_each(&mut *visit);
    for i in 2..args.len() {
        let next = args.get(i + 1);
        if args[i].eq_ignore_ascii_case(b"store") {
            next.into_iter().for_each(&mut *visit);
        }
        let pattern = args[i].eq_ignore_ascii_case(b"by") || args[i].eq_ignore_ascii_case(b"get");
        if pattern && next.is_some_and(|pattern| pattern.contains(&b'*')) {
            return false;
        }
    }
    true
}

#[derive(Default)]
struct Options<'a> {
    descending: bool,
    alpha: bool,
    limit: Option<(i64, i64)>,
    by: Option<&'a [u8]>,
    unsorted: bool,
    gets: Vec<&'a [u8]>,
    store: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(ctx: &Ctx<'a>, read_only: bool) -> Result<Self, Fault> {
        let (args, mut options, mut i) = (ctx.args, Options::default(), 2);
        while let Some(name) = args.get(i) {
            let next = args.get(i + 1);
            match (name.to_ascii_lowercase().as_slice(), next) {
                (b"asc", _) => options.descending = false,
                (b"desc", _) => options.descending = true,
                (b"alpha", _) => options.alpha = true,
                (b"limit", Some(start)) if i + 2 < args.len() => {
                    options.limit = Some((int_arg(start)?, int_arg(ctx.arg(i + 2))?));
                    i += 2;
                }
                (b"store", Some(key)) if !read_only => {
                    options.store = Some(key);
                    i += 1;
                }
                (b"by", Some(pattern)) => {
                    options.by = Some(pattern);
                    // A pattern without a star says not to sort, and a later one does not unsay it.
                    options.unsorted |= !pattern.contains(&b'*');
                    i += 1;
                }
                (b"get", Some(pattern)) => {
                    options.gets.push(pattern);
                    i += 1;
                }
                _ => return Err(SYNTAX),
            }
            i += 1;
        }
        Ok(options)
    }
}

/// An element and what it is compared by.
struct Item {
    element: Vec<u8>,
    score: f64,
    text: Option<Vec<u8>>,
}

fn sort(ctx: &mut Ctx, read_only: bool) -> Result<(), Fault> {
    let mut options = Options::parse(ctx, read_only)?;
    let mut by = options.by;
    let mut unsorted = options.unsorted;
    let key = ctx.arg(1);
    if let Ok(Some(zset)) = ctx.keys.typed_mut::<ZSet>(key) {
        // As in Redis, where OBJECT ENCODING tells of it.
        zset.unpack();
    }
    let (mut elements, in_order, is_set) = match ctx.keys.get(key) {
        None => (Vec::new(), false, false),
        Some(value) => elements(value)?,
    };
    if unsorted && is_set && options.store.is_some() {
        // So that what is stored does not depend on the order in the table.
        (unsorted, options.alpha, by) = (false, true, None);
    }
    if unsorted {
        if options.descending && in_order {
            elements.reverse();
        }
    } else {
        elements = sorted(&mut ctx.keys, elements, by, &options)?;
    }
    elements.truncate(wanted(elements.len(), options.limit).end);
    elements.drain(..wanted(elements.len(), options.limit).start);
    match options.store {
        None => write(ctx, &elements, &options.gets),
        Some(target) => store(ctx, target, &elements, &options.gets),
    }
    Ok(())
}

/// The elements, whether their order means something, whether they are a set's.
fn elements(value: &Value) -> Result<(Vec<Vec<u8>>, bool, bool), Fault> {
    let mut elements = Vec::new();
    match value {
        Value::List(list) => elements.extend(list.iter_from(list.seek(0)).map(<[u8]>::to_vec)),
        Value::Set(set) => set.each(|member| elements.push(member.to_vec())),
        Value::ZSet(zset) => {
            each_scored(zset, |member, _| elements.push(member.to_vec()));
            elements.reverse();
        }
        _ => return Err(WRONG_TYPE),
    }
    let is_set = matches!(value, Value::Set(_));
    Ok((elements, !is_set, is_set))
}

fn sorted(
    keys: &mut Keys,
    elements: Vec<Vec<u8>>,
    by: Option<&[u8]>,
    options: &Options,
) -> Result<Vec<Vec<u8>>, Fault> {
    let mut items = Vec::with_capacity(elements.len());
    for element in elements {
        let weight = match by {
            Some(pattern) => look_up(keys, pattern, &element),
            None => Some(element.clone()),
        };
        let (score, text) = match (options.alpha, weight) {
            (true, text) => (0.0, text),
            (false, None) => (0.0, None),
            (false, Some(text)) => {
                let score = weight_of(&text);
                let bad = Fault::new("ERR One or more scores can't be converted into double");
                (score.ok_or(bad)?, None)
            }
        };
        items.push(Item { element, score, text });
    }
    let order = |a: &Item, b: &Item| {
        let order = if options.alpha {
            compare(a.text.as_deref(), b.text.as_deref(), options.store.is_some())
        } else {
            a.score.total_cmp(&b.score).then_with(|| a.element.cmp(&b.element))
        };
        if options.descending { order.reverse() } else { order }
    };
    match wanted(items.len(), options.limit) {
        all if all.len() == items.len() => items.sort_by(order),
        some => partial_sort(&mut items, some, &order),
    }
    Ok(items.into_iter().map(|item| item.element).collect())
}

/// A number as C's strtod reads it: spaces may come first, a zero byte ends it, nothing is zero.
fn weight_of(text: &[u8]) -> Option<f64> {
    let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
    match &text[..end] {
        [] => Some(0.0),
        text => double(text.trim_ascii_start()),
    }
}

/// As Redis compares: what is stored by all bytes, what is only shown like C strings, which end at a zero
/// byte. What is missing comes first.
fn compare(a: Option<&[u8]>, b: Option<&[u8]>, whole: bool) -> std::cmp::Ordering {
    let shown = |text: &'_ [u8]| text.iter().take_while(|&&b| whole || b != 0).count();
    a.map(|a| &a[..shown(a)]).cmp(&b.map(|b| &b[..shown(b)]))
}

/// Which of so many elements LIMIT selects.
fn wanted(len: usize, limit: Option<(i64, i64)>) -> Range<usize> {
    let Some((start, count)) = limit else { return 0..len };
    let start = usize::try_from(start).unwrap_or(0).min(len);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    start..start.saturating_add(count).min(len)
}

/// The value that a pattern leads to: `#` is the element itself, `*` stands for it, `->` names a field.
fn look_up(keys: &mut Keys, pattern: &[u8], element: &[u8]) -> Option<Vec<u8>> {
    if pattern == b"#" {
        return Some(element.to_vec());
    }
    let star = pattern.iter().position(|&b| b == b'*')?;
    let behind = &pattern[star + 1..];
    let arrow = behind.windows(2).position(|w| w == b"->").filter(|arrow| arrow + 2 < behind.len());
    let (behind, field) = match arrow {
        Some(arrow) => (&behind[..arrow], Some(&behind[arrow + 2..])),
        None => (behind, None),
    };
    let key = [&pattern[..star], element, behind].concat();
    match (keys.get(&key)?, field) {
        (Value::Hash(hash), Some(field)) => hash.get(field).map(<[u8]>::to_vec),
        (value, None) => value.text().map(|mut text| text.bytes().to_vec()),
        _ => None,
    }
}

fn write(ctx: &mut Ctx, elements: &[Vec<u8>], gets: &[&[u8]]) {
    ctx.w.array(elements.len() * gets.len().max(1));
    for element in elements {
        if gets.is_empty() {
            ctx.w.bulk(element);
        }
        for pattern in gets {
            match look_up(&mut ctx.keys, pattern, element) {
                Some(value) => ctx.w.bulk(&value),
                None => ctx.w.null(),
            }
        }
    }
}

fn store(ctx: &mut Ctx, target: &[u8], elements: &[Vec<u8>], gets: &[&[u8]]) {
    let mut list = List::default();
    for element in elements {
        if gets.is_empty() {
            list.push(element, false);
        }
        for pattern in gets {
            list.push(&look_up(&mut ctx.keys, pattern, element).unwrap_or_default(), false);
        }
    }
    let len = list.len();
    if len == 0 {
        ctx.keys.delete(target);
    } else {
        ctx.keys.set(target, list.into_value());
    }
    ctx.w.int(len as i64);
}

/// Visits a sorted set's members from the highest score down.
pub fn each_scored(zset: &ZSet, mut visit: impl FnMut(&[u8], f64)) {
    zset.iter(zset.len().saturating_sub(1), zset.len(), true)
        .for_each(|(member, score)| visit(member, score));
}

/// A sorted set of these members; none if one is there twice or a score is no number.
pub fn from_scored(pairs: Vec<(Vec<u8>, f64)>) -> Option<Value> {
    let mut zset = ZSet::default();
    let sound = pairs.iter().all(|(member, score)| !score.is_nan() && zset.set(member, *score));
    (sound && !zset.is_empty()).then(|| zset.into_value())
}
