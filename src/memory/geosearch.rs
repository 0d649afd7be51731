//! Searching for places: GEOSEARCH, GEORADIUS and their kin, which are one command with many names.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, NOT_INTEGER, SYNTAX};
use super::geo::{place_arg, unit_arg, write_distance, write_place};
use super::geohash::{self, Place, Shape};
use super::number::{double, integer};
use super::pqsort::partial_sort;
use super::zset::ZSet;
use super::zsetranges::store;
use crate::resp::{Args, Writer};

/// The commands.
pub const ROWS: &[Row] = &[
    Row::read("GEOSEARCH", -7, KeyArgs::ONE, |ctx| search(ctx, Form::Search)),
    Row::write("GEOSEARCHSTORE", -8, KeyArgs::TWO, |ctx| search(ctx, Form::SearchStore)),
    Row::write("GEORADIUS", -6, KeyArgs::Find(radius_keys), |ctx| search(ctx, Form::Place)),
    Row::read("GEORADIUS_RO", -6, KeyArgs::ONE, |ctx| search(ctx, Form::PlaceRead)),
    Row::write("GEORADIUSBYMEMBER", -5, KeyArgs::Find(radius_keys), |ctx| search(ctx, Form::Member)),
    Row::read("GEORADIUSBYMEMBER_RO", -5, KeyArgs::ONE, |ctx| search(ctx, Form::MemberRead)),
];

/// The key, and whatever follows STORE or STOREDIST.
fn radius_keys(args: Args, visit: &mut dyn FnMut(&[u8])) {
    args.get(1).into_iter().for_each(&mut *visit);
    let is_store = |arg: &[u8]| arg.eq_ignore_ascii_case(b"store") || arg.eq_ignore_ascii_case(b"storedist");
    let options = args.skip(5);
    for (option, key) in options.iter().zip(options.skip(1).iter()) {
        if is_store(option) {
            visit(key);
        }
    }
}

/// The ways to ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Search,
    SearchStore,
    Place,
    PlaceRead,
    Member,
    MemberRead,
}

impl Form {
    fn is_search(self) -> bool {
        matches!(self, Form::Search | Form::SearchStore)
    }

    /// May have STORE options.
    fn stores(self) -> bool {
        matches!(self, Form::Place | Form::Member)
    }

    /// Where the key is.
    fn key_at(self) -> usize {
        if self == Form::SearchStore { 2 } else { 1 }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Near,
    Far,
}

/// A request, read.
#[derive(Default)]
struct Query<'a> {
    /// None if it is a member of a set that there is not.
    centre: Option<Place>,
    from_member: bool,
    from_place: bool,
    shape: Option<Shape>,
    with_distance: bool,
    with_hash: bool,
    with_place: bool,
    sort: Option<Sort>,
    /// 0: all.
    count: usize,
    any: bool,
    target: Option<&'a [u8]>,
    store_distance: bool,
}

/// Something found.
struct Found<'k> {
    member: &'k [u8],
    score: f64,
    place: Place,
    /// In metres.
    distance: f64,
}

fn circle_arg(radius: &[u8], unit: &[u8]) -> Result<Shape, Fault> {
    let radius = double(radius).ok_or(Fault::new("ERR need numeric radius"))?;
    if radius < 0.0 {
        return Err(Fault::new("ERR radius cannot be negative"));
    }
    Ok(Shape::Circle { radius, unit: unit_arg(unit)? })
}

fn box_arg(width: &[u8], height: &[u8], unit: &[u8]) -> Result<Shape, Fault> {
    let width = double(width).ok_or(Fault::new("ERR need numeric width"))?;
    let height = double(height).ok_or(Fault::new("ERR need numeric height"))?;
    if width < 0.0 || height < 0.0 {
        return Err(Fault::new("ERR height or width cannot be negative"));
    }
    Ok(Shape::Box { width, height, unit: unit_arg(unit)? })
}

/// Where a member is; none if there is no set at all.
fn member_place(set: Option<&ZSet>, member: &[u8]) -> Result<Option<Place>, Fault> {
    let missing = Fault::new("ERR could not decode requested zset member");
    set.map(|set| set.score(member).map(geohash::decode).ok_or(missing)).transpose()
}

impl<'a> Query<'a> {
    fn parse(args: Args<'a>, form: Form, set: Option<&ZSet>) -> Result<Query<'a>, Fault> {
        let mut query = Query::default();
        let arg = |i: usize| args.get(i).unwrap_or_default();
        let mut at = match form {
            Form::Place | Form::PlaceRead => {
                query.centre = Some(place_arg(arg(2), arg(3))?);
                query.shape = Some(circle_arg(arg(4), arg(5))?);
                6
            }
            Form::Member | Form::MemberRead => {
                // Without a set Redis does not look at the radius.
                if set.is_some() {
                    query.centre = member_place(set, arg(2))?;
                    query.shape = Some(circle_arg(arg(3), arg(4))?);
                }
                5
            }
            Form::Search => 2,
            Form::SearchStore => {
                query.target = Some(arg(1));
                3
            }
        };
        while at < args.len() {
            at += query.option(args.skip(at), form, set)?;
        }
        query.check(form, arg(0))?;
        Ok(query)
    }

    /// Reads one option; gives how many arguments it took.
    fn option(&mut self, args: Args<'a>, form: Form, set: Option<&ZSet>) -> Result<usize, Fault> {
        let arg = |i: usize| args.get(i).unwrap_or_default();
        let (name, more) = (arg(0).to_ascii_lowercase(), args.len() - 1);
        let search = form.is_search();
        match name.as_slice() {
            b"withdist" => self.with_distance = true,
            b"withhash" => self.with_hash = true,
            b"withcoord" => self.with_place = true,
            b"any" => self.any = true,
            b"asc" => self.sort = Some(Sort::Near),
            b"desc" => self.sort = Some(Sort::Far),
            b"storedist" if form == Form::SearchStore => self.store_distance = true,
            b"count" if more >= 1 => {
                let count = integer(arg(1)).ok_or(NOT_INTEGER)?;
                let positive = usize::try_from(count).ok().filter(|&count| count > 0);
                self.count = positive.ok_or(Fault::new("ERR COUNT must be > 0"))?;
                return Ok(2);
            }
            b"store" | b"storedist" if more >= 1 && form.stores() => {
                self.target = args.get(1);
                self.store_distance = name == b"storedist";
                return Ok(2);
            }
            b"frommember" if more >= 1 && search && !self.from_place => {
                self.centre = member_place(set, arg(1))?;
                self.from_member = true;
                return Ok(2);
            }
            b"fromlonlat" if more >= 2 && search && !self.from_member => {
                self.centre = Some(place_arg(arg(1), arg(2))?);
                self.from_place = true;
                return Ok(3);
            }
            b"byradius" if more >= 2 && search && !matches!(self.shape, Some(Shape::Box { .. })) => {
                self.shape = Some(circle_arg(arg(1), arg(2))?);
                return Ok(3);
            }
            b"bybox" if more >= 3 && search && !matches!(self.shape, Some(Shape::Circle { .. })) => {
                self.shape = Some(box_arg(arg(1), arg(2), arg(3))?);
                return Ok(4);
            }
            _ => return Err(SYNTAX),
        }
        Ok(1)
    }

    /// Whether the options go together.
    fn check(&self, form: Form, name: &[u8]) -> Result<(), Fault> {
        let extras = self.with_distance || self.with_hash || self.with_place;
        if self.target.is_some() && extras {
            return Err(Fault::new(if form == Form::SearchStore {
                "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            } else {
                "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            }));
        }
        let one_of = |options: &str| {
            let name = String::from_utf8_lossy(name);
            Err(Fault(format!("ERR exactly one of {options} can be specified for {name}").into()))
        };
        if form.is_search() && !(self.from_member || self.from_place) {
            return one_of("FROMMEMBER or FROMLONLAT");
        }
        if form.is_search() && self.shape.is_none() {
            return one_of("BYRADIUS and BYBOX");
        }
        if self.any && self.count == 0 {
            return Err(Fault::new("ERR the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// What is found, in the order in which it is wanted, and no more of it.
    fn run<'k>(&self, set: &'k ZSet) -> Vec<Found<'k>> {
        let (Some(centre), Some(shape)) = (self.centre, self.shape) else { return Vec::new() };
        let enough = if self.any { self.count } else { usize::MAX };
        let mut found = Vec::new();
        let mut last = None;
        for (i, cell) in shape.cells(centre).enumerate() {
            // Around the whole world the neighbours on both sides are the same one.
            if last == Some(cell) {
                continue;
            }
            last = (i > 0).then_some(cell);
            let (from, to) = cell.scores();
            let first = set.partition(|score, _| score < from);
            for (member, score) in set.iter(first, usize::MAX, false).take_while(|(_, score)| *score < to) {
                let place = geohash::decode(score);
                if let Some(distance) = shape.distance_within(centre, place) {
                    found.push(Found { member, score, place, distance });
                    if found.len() >= enough {
                        break;
                    }
                }
            }
            if found.len() >= enough {
                break;
            }
        }
        // The nearest ones are meant, unless any will do.
        let sort = self.sort.or((self.count > 0 && !self.any).then_some(Sort::Near));
        let wanted = if self.count > 0 { self.count.min(found.len()) } else { found.len() };
        if let Some(sort) = sort {
            let order = |a: &Found, b: &Found| match sort {
                Sort::Near => a.distance.total_cmp(&b.distance),
                Sort::Far => b.distance.total_cmp(&a.distance),
            };
            match wanted == found.len() {
                true => found.sort_by(order),
                false => partial_sort(&mut found, 0..wanted, &order),
            }
        }
        found.truncate(wanted);
        found
    }

    fn write(&self, w: &mut Writer, found: &[Found]) {
        let extras = [self.with_distance, self.with_hash, self.with_place];
        let extras = extras.into_iter().filter(|&wanted| wanted).count();
        w.array(found.len());
        for one in found {
            if extras > 0 {
                w.array(1 + extras);
            }
            w.bulk(one.member);
            if self.with_distance {
                write_distance(w, one.distance / self.unit());
            }
            if self.with_hash {
                w.int(one.score as i64);
            }
            if self.with_place {
                write_place(w, one.place);
            }
        }
    }

    fn unit(&self) -> f64 {
        match self.shape {
            Some(Shape::Circle { unit, .. } | Shape::Box { unit, .. }) => unit,
            None => 1.0,
        }
    }
}

fn search(ctx: &mut Ctx, form: Form) -> Result<(), Fault> {
    let key = ctx.arg(form.key_at());
    let set = ctx.keys.typed::<ZSet>(key)?;
    let query = Query::parse(ctx.args, form, set)?;
    let found = set.map_or(Vec::new(), |set| query.run(set));
    let Some(target) = query.target else {
        query.write(&mut ctx.w, &found);
        return Ok(());
    };
    let mut result = ZSet::default();
    for one in &found {
        let score = if query.store_distance { one.distance / query.unit() } else { one.score };
        result.set(one.member, score);
    }
    store(ctx, target, result);
    Ok(())
}
