//! GEO commands: sorted sets whose scores are places.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, SYNTAX};
use super::geohash::{self, MAX_LAT, MAX_LON, Place, STEPS};
use super::number::double_arg;
use super::zset::ZSet;
use super::zsets::{AddFlags, add};
use crate::resp::Writer;

/// The commands, but for searches.
pub const ROWS: &[Row] = &[
    Row::write("GEOADD", -5, KeyArgs::ONE, geoadd),
    Row::read("GEODIST", -4, KeyArgs::ONE, geodist),
    Row::read("GEOHASH", -2, KeyArgs::ONE, geohash),
    Row::read("GEOPOS", -2, KeyArgs::ONE, geopos),
];

/// Two arguments that are a place.
pub fn place_arg(lon: &[u8], lat: &[u8]) -> Result<Place, Fault> {
    let place = Place { lon: double_arg(lon)?, lat: double_arg(lat)? };
    if place.lon.abs() > MAX_LON || place.lat.abs() > MAX_LAT {
        let text = format!("ERR invalid longitude,latitude pair {:.6},{:.6}", place.lon, place.lat);
        return Err(Fault(text.into()));
    }
    Ok(place)
}

/// Metres of a unit.
pub fn unit_arg(text: &[u8]) -> Result<f64, Fault> {
    match text.to_ascii_lowercase().as_slice() {
        b"m" => Ok(1.0),
        b"km" => Ok(1000.0),
        b"ft" => Ok(0.3048),
        b"mi" => Ok(1609.34),
        _ => Err(Fault::new("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}

/// A distance in a reply.
pub fn write_distance(w: &mut Writer, distance: f64) {
    w.bulk(format!("{distance:.4}").as_bytes());
}

/// A place in a reply.
pub fn write_place(w: &mut Writer, place: Place) {
    w.array(2);
    for degrees in [place.lon, place.lat] {
        let digits = format!("{degrees:.17}");
        w.double_digits(digits.trim_end_matches('0').trim_end_matches('.').as_bytes());
    }
}

fn geoadd(ctx: &mut Ctx) -> Result<(), Fault> {
    let mut flags = AddFlags::default();
    let allowed = |option: &&[u8]| {
        [b"nx".as_slice(), b"xx", b"ch"].iter().any(|flag| option.eq_ignore_ascii_case(flag))
    };
    let options = ctx.args.skip(2).iter().take_while(|option| allowed(option) && flags.take(option)).count();
    let args = ctx.args.skip(2 + options);
    if !args.len().is_multiple_of(3) || flags.nx && flags.xx {
        return Err(SYNTAX);
    }
    let mut pairs = Vec::with_capacity(args.len() / 3);
    for i in (0..args.len()).step_by(3) {
        let place = place_arg(&args[i], &args[i + 1])?;
        pairs.push((geohash::encode(place, STEPS, MAX_LAT) as f64, args.get(i + 2).unwrap_or_default()));
    }
    if pairs.is_empty() {
        return Err(SYNTAX);
    }
    add(ctx, flags, &pairs)
}

fn geodist(ctx: &mut Ctx) -> Result<(), Fault> {
    let unit = match ctx.args.len() {
        4 => 1.0,
        5 => unit_arg(ctx.arg(4))?,
        _ => return Err(SYNTAX),
    };
    let (key, from, to) = (ctx.arg(1), ctx.arg(2), ctx.arg(3));
    let set = ctx.keys.typed::<ZSet>(key)?;
    match set.and_then(|set| Some((set.score(from)?, set.score(to)?))) {
        Some((from, to)) => {
            let metres = geohash::distance(geohash::decode(from), geohash::decode(to));
            write_distance(&mut ctx.w, metres / unit);
        }
        None => ctx.w.null(),
    }
    Ok(())
}

fn geohash(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, members) = (ctx.arg(1), ctx.args.skip(2));
    let set = ctx.keys.typed::<ZSet>(key)?;
    ctx.w.array(members.len());
    for member in members.iter() {
        match set.and_then(|set| set.score(member)) {
            Some(score) => ctx.w.bulk(&standard_hash(geohash::decode(score))),
            None => ctx.w.null(),
        }
    }
    Ok(())
}

/// The usual text of eleven characters, whose grid reaches to the poles.
fn standard_hash(place: Place) -> [u8; 11] {
    const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
    let bits = geohash::encode(place, STEPS, 90.0);
    std::array::from_fn(|i| match i {
        // There are 52 bits, two of the 55 that it takes are missing: Redis takes all five for 0.
        10 => ALPHABET[0],
        _ => ALPHABET[(bits >> (52 - (i + 1) * 5)) as usize & 0x1f],
    })
}

fn geopos(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, members) = (ctx.arg(1), ctx.args.skip(2));
    let set = ctx.keys.typed::<ZSet>(key)?;
    ctx.w.array(members.len());
    for member in members.iter() {
        match set.and_then(|set| set.score(member)) {
            Some(score) => write_place(&mut ctx.w, geohash::decode(score)),
            None => ctx.w.null_array(),
        }
    }
    Ok(())
}
