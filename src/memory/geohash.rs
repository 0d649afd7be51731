//! Places as numbers: the geohash arithmetic behind the GEO commands.
//!
//! Longitude and latitude are each cut in two `step` times; the resulting bits, interleaved, number the
//! cells of a grid. With 26 steps that is a score of 52 bits, which a double holds exactly, and a
//! coarser cell is a range of scores. A search looks through the cell that it is centred in and that
//! cell's eight neighbours, of a size such that these cover it.
//!
//! All operations are done in Redis's order, so that the digits are Redis's too.

/// The steps of a score.
pub const STEPS: u32 = 26;
/// East and west of Greenwich.
pub const MAX_LON: f64 = 180.0;
/// Where the Mercator projection becomes a square.
pub const MAX_LAT: f64 = 85.05112878;
const EARTH_RADIUS_M: f64 = 6_372_797.560856;
const MERCATOR_MAX: f64 = 20_037_726.37;
const RADIANS: f64 = std::f64::consts::PI / 180.0;

const LON_BITS: u64 = 0xaaaa_aaaa_aaaa_aaaa;
const LAT_BITS: u64 = 0x5555_5555_5555_5555;

/// Degrees east and degrees north.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    /// Longitude.
    pub lon: f64,
    /// Latitude.
    pub lat: f64,
}

/// A cell of the grid with `step` bits for each coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    bits: u64,
    step: u32,
}

/// What a cell covers.
struct Area {
    lon: (f64, f64),
    lat: (f64, f64),
}

/// What is searched, around a place; in metres.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Up to a distance.
    Circle {
        /// The distance as given.
        radius: f64,
        /// Metres of the unit that it was given in.
        unit: f64,
    },
    /// Between meridians and parallels.
    Box {
        /// East to west, as given.
        width: f64,
        /// North to south, as given.
        height: f64,
        /// Metres of the unit that they were given in.
        unit: f64,
    },
}

/// The number of the cell that a place is in. `max_lat` is where the grid ends.
pub fn encode(place: Place, step: u32, max_lat: f64) -> u64 {
    let cells = (1u64 << step) as f64;
    let lat = (place.lat + max_lat) / (max_lat + max_lat) * cells;
    let lon = (place.lon + MAX_LON) / (MAX_LON + MAX_LON) * cells;
    spread(lat as u32) | spread(lon as u32) << 1
}

/// The place that a score stands for: the middle of its cell.
pub fn decode(score: f64) -> Place {
    let area = Cell { bits: to_bits(score), step: STEPS }.area();
    Place {
        lon: ((area.lon.0 + area.lon.1) / 2.0).clamp(-MAX_LON, MAX_LON),
        lat: ((area.lat.0 + area.lat.1) / 2.0).clamp(-MAX_LAT, MAX_LAT),
    }
}

/// A score as an integer, as the processor does it: what does not fit wraps.
fn to_bits(score: f64) -> u64 {
    const HALF: f64 = (1u64 << 63) as f64;
    if score < HALF {
        return score as i64 as u64;
    }
    if score < 2.0 * HALF { score as u64 } else { 0 }
}

/// Moves bit i to bit 2i.
fn spread(n: u32) -> u64 {
    let mut n = u64::from(n);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, LAT_BITS),
    ] {
        n = (n | n << shift) & mask;
    }
    n
}

/// Moves bit 2i to bit i.
fn gather(n: u64) -> u32 {
    let mut n = n & LAT_BITS;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        n = (n | n >> shift) & mask;
    }
    n as u32
}

impl Cell {
    fn at(place: Place, step: u32) -> Cell {
        Cell { bits: encode(place, step, MAX_LAT), step }
    }

    fn area(&self) -> Area {
        let side = |n: u32, max: f64| {
            let at = |n: u32| -max + f64::from(n) / (1u64 << self.step) as f64 * (max + max);
            (at(n), at(n.wrapping_add(1)))
        };
        Area { lon: side(gather(self.bits >> 1), MAX_LON), lat: side(gather(self.bits), MAX_LAT) }
    }

    /// The cell some columns east and some rows north, each -1, 0 or 1; around the world if need be.
    fn neighbour(&self, east: i32, north: i32) -> Cell {
        let unused = 64 - self.step * 2;
        let (lon_bits, lat_bits) = (LON_BITS >> unused, LAT_BITS >> unused);
        // The other coordinate's bits are set, so that a carry passes over them, or cleared, so that a
        // borrow does.
        let moved = |own: u64, other: u64, by: i32| match by {
            1 => own.wrapping_add(other + 1),
            -1 => (own | other).wrapping_sub(other + 1),
            _ => own,
        };
        let lon = moved(self.bits & LON_BITS, lat_bits, east);
        let lat = moved(self.bits & LAT_BITS, lon_bits, north);
        let lon = if east == 0 { lon } else { lon & lon_bits };
        let lat = if north == 0 { lat } else { lat & lat_bits };
        Cell { bits: lon | lat, step: self.step }
    }

    /// The scores in the cell: from the first to below the second.
    pub fn scores(&self) -> (f64, f64) {
        let shift = 2 * (STEPS - self.step);
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }
}

/// The distance along a great circle, in metres.
pub fn distance(a: Place, b: Place) -> f64 {
    let (lat1, lon1) = (a.lat * RADIANS, a.lon * RADIANS);
    let (lat2, lon2) = (b.lat * RADIANS, b.lon * RADIANS);
    let u = ((lat2 - lat1) / 2.0).sin();
    let v = ((lon2 - lon1) / 2.0).sin();
    2.0 * EARTH_RADIUS_M * (u * u + lat1.cos() * lat2.cos() * v * v).sqrt().asin()
}

impl Shape {
    /// The distance of a place from the centre, if the place is within.
    pub fn distance_within(&self, centre: Place, place: Place) -> Option<f64> {
        match *self {
            Shape::Circle { radius, unit } => {
                let distance = distance(centre, place);
                (distance <= radius * unit).then_some(distance)
            }
            Shape::Box { width, height, unit } => {
                let across = distance(place, Place { lon: centre.lon, lat: place.lat });
                let along = distance(place, Place { lon: place.lon, lat: centre.lat });
                let within = across <= width * unit / 2.0 && along <= height * unit / 2.0;
                within.then(|| distance(centre, place))
            }
        }
    }

    /// From the centre to the farthest point.
    fn reach(&self) -> f64 {
        match *self {
            Shape::Circle { radius, unit } => radius * unit,
            Shape::Box { width, height, unit } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt() * unit
            }
        }
    }

    /// The least and greatest longitudes and latitudes.
    fn bounds(&self, centre: Place) -> Area {
        let (width, height) = match *self {
            Shape::Circle { radius, unit } => (unit * radius, unit * radius),
            Shape::Box { width, height, unit } => (unit * (width / 2.0), unit * (height / 2.0)),
        };
        let lat = height / EARTH_RADIUS_M / RADIANS;
        // The side nearer to a pole spans more degrees.
        let far = if centre.lat < 0.0 { centre.lat - lat } else { centre.lat + lat };
        let lon = width / EARTH_RADIUS_M / (far * RADIANS).cos() / RADIANS;
        Area { lon: (centre.lon - lon, centre.lon + lon), lat: (centre.lat - lat, centre.lat + lat) }
    }

    /// The cells to look through, in order.
    pub fn cells(&self, centre: Place) -> impl Iterator<Item = Cell> {
        /// Itself; north, south, east, west; and between them.
        const AROUND: [(i32, i32); 9] =
            [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
        let bounds = self.bounds(centre);
        let mut cell = Cell::at(centre, steps(self.reach(), centre.lat));
        if cell.step > 1 && !covers(&cell, &bounds) {
            cell = Cell::at(centre, cell.step - 1);
        }
        let area = cell.area();
        // With large cells the ends of the world meet: none can be left out.
        let prune = cell.step >= 2;
        AROUND.into_iter().filter_map(move |(east, north)| {
            let needless = north < 0 && area.lat.0 < bounds.lat.0
                || north > 0 && area.lat.1 > bounds.lat.1
                || east < 0 && area.lon.0 < bounds.lon.0
                || east > 0 && area.lon.1 > bounds.lon.1;
            (!(prune && needless)).then(|| cell.neighbour(east, north))
        })
    }
}

/// Whether a cell and its neighbours cover what is within bounds.
fn covers(cell: &Cell, bounds: &Area) -> bool {
    cell.neighbour(0, 1).area().lat.1 >= bounds.lat.1
        && cell.neighbour(0, -1).area().lat.0 <= bounds.lat.0
        && cell.neighbour(1, 0).area().lon.1 >= bounds.lon.1
        && cell.neighbour(-1, 0).area().lon.0 <= bounds.lon.0
}

/// How fine the grid may be for nine cells to cover a distance.
fn steps(mut metres: f64, lat: f64) -> u32 {
    if metres == 0.0 {
        return STEPS;
    }
    let mut steps = 1i32;
    while metres < MERCATOR_MAX {
        metres *= 2.0;
        steps += 1;
    }
    // So that most searches need not go one coarser.
    steps -= 2;
    // Cells are narrower near the poles.
    if lat.abs() > 66.0 {
        steps -= if lat.abs() > 80.0 { 2 } else { 1 };
    }
    steps.clamp(1, STEPS as i32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_to_within_a_cell() {
        fastrand::seed(6);
        for _ in 0..10_000 {
            let place = Place {
                lon: (fastrand::f64() - 0.5) * 2.0 * MAX_LON,
                lat: (fastrand::f64() - 0.5) * 2.0 * MAX_LAT,
            };
            assert!(distance(place, decode(encode(place, STEPS, MAX_LAT) as f64)) < 0.6);
        }
    }

    #[test]
    fn the_cells_hold_all_that_is_in_a_circle() {
        fastrand::seed(7);
        for _ in 0..20_000 {
            let centre = Place { lon: fastrand::f64() * 200.0 - 100.0, lat: fastrand::f64() * 120.0 - 60.0 };
            let shape = Shape::Circle { radius: 10f64.powf(fastrand::f64() * 6.0), unit: 1.0 };
            let bounds = shape.bounds(centre);
            let at = |(low, high): (f64, f64)| low + fastrand::f64() * (high - low);
            let place = Place { lon: at(bounds.lon), lat: at(bounds.lat) };
            if shape.distance_within(centre, place).is_some() {
                let score = encode(place, STEPS, MAX_LAT) as f64;
                let mut cells = shape.cells(centre).map(|cell| cell.scores());
                assert!(
                    cells.any(|(from, to)| (from..to).contains(&score)),
                    "{centre:?} {place:?} {shape:?}"
                );
            }
        }
    }

    #[test]
    fn neighbours_go_around_the_world() {
        let cell = Cell::at(Place { lon: 179.9, lat: 0.0 }, 4);
        assert!(cell.neighbour(1, 0).area().lon.0 == -180.0);
        assert_eq!(cell.neighbour(1, 0).neighbour(-1, 0), cell);
        assert_eq!(cell.neighbour(0, 1).neighbour(0, -1), cell);
    }
}
