//! Places.

use super::oracle::{check_random, check_table};

#[test]
fn geo_commands_answer_as_in_redis() {
    check_table(
        r#"
        GEOADD g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
        GEOADD g 13.361389 38.115556 Palermo
        GEOADD g CH 13.5 38.2 Palermo 1 1 new
        GEOADD g NX 1 1 Palermo 2 2 newer
        GEOADD g XX CH 13.361389 38.115556 Palermo 3 3 none
        GEOADD g NX XX 1 1 a
        GEOADD g GT 1 1 a
        GEOADD g INCR 1 1 a
        GEOADD g 1 1
        GEOADD g 1 1 a 2
        GEOADD g CH CH CH
        GEOADD g x 1 a
        GEOADD g 1 x a
        GEOADD g 181 1 a
        GEOADD g 1 86 a
        GEOADD g 1 1 a -180.5 -85.06 b
        GEOADD g nan 1 a
        GEOADD g inf 1 a
        EXISTS nothing
        GEOADD nothing XX 1 1 a
        EXISTS nothing
        GEOADD edge 180 85.05112878 ne -180 -85.05112878 sw 180 -85.05112878 se -180 85.05112878 nw 0 0 mid
        ZRANGE edge 0 -1 WITHSCORES
        GEOPOS edge ne sw se nw mid
        GEOHASH edge ne sw se nw mid
        GEODIST edge ne sw
        GEODIST edge ne nw km
        ZRANGE g 0 -1 WITHSCORES
        GEOPOS g Palermo Catania missing
        GEOPOS g
        GEOPOS none a b
        GEOHASH g Palermo Catania missing
        GEOHASH none a
        GEODIST g Palermo Catania
        GEODIST g Palermo Catania km
        GEODIST g Palermo Catania KM
        GEODIST g Palermo Catania mi
        GEODIST g Palermo Catania ft
        GEODIST g Palermo Catania yd
        GEODIST g Palermo Catania km km
        GEODIST g Palermo Palermo
        GEODIST g Palermo missing
        GEODIST none a b
        GEODIST none a b yd
        ZADD odd -1 minus -1e300 far inf most -inf least 1.5 half 1e19 large 9007199254740991 wide 18446744073709551615 all
        GEOPOS odd minus far most least half large wide all
        GEOHASH odd minus far most least half large wide all
        GEODIST odd minus half
        GEOSEARCH odd FROMLONLAT 0 0 BYRADIUS 40000 km WITHHASH ASC
        GEORADIUS g 15 37 200 km
        GEORADIUS g 15 37 200 km WITHDIST
        GEORADIUS g 15 37 200 km WITHCOORD
        GEORADIUS g 15 37 200 km WITHHASH
        GEORADIUS g 15 37 200 km WITHDIST WITHCOORD WITHHASH
        GEORADIUS g 15 37 200 km ASC COUNT 1
        GEORADIUS g 15 37 200 km DESC COUNT 1
        GEORADIUS g 15 37 200 km COUNT 1 ANY
        GEORADIUS g 15 37 200 km ANY
        GEORADIUS g 15 37 200 km COUNT 0
        GEORADIUS g 15 37 200 km COUNT -1
        GEORADIUS g 15 37 200 km COUNT x
        GEORADIUS g 15 37 200 km COUNT
        GEORADIUS g 15 37 200 km WHAT
        GEORADIUS g 15 37 -1 km
        GEORADIUS g 15 37 x km
        GEORADIUS g 15 37 200 yd
        GEORADIUS g x 37 200 km
        GEORADIUS g 200 37 200 km
        GEORADIUS g 15 37 0 km
        GEORADIUS g 15 37 30000 km ASC
        GEORADIUS none 15 37 200 km
        GEORADIUS none 15 37 200 km STORE g2
        GEORADIUS none x 37 200 km
        GEORADIUS g 15 37 200 km STORE to
        ZRANGE to 0 -1 WITHSCORES
        GEORADIUS g 15 37 200 km STOREDIST to
        ZRANGE to 0 -1 WITHSCORES
        GEORADIUS g 15 37 200 km STOREDIST to STORE to2
        ZRANGE to2 0 -1 WITHSCORES
        GEORADIUS g 15 37 200 km STORE to WITHDIST
        GEORADIUS g 15 37 200 km STORE
        GEORADIUS g 15 37 200 km COUNT 1 STORE to
        ZRANGE to 0 -1 WITHSCORES
        GEORADIUS g 15 37 0 km STORE to
        EXISTS to
        GEORADIUS_RO g 15 37 200 km WITHDIST
        GEORADIUS_RO g 15 37 200 km STORE to
        GEORADIUSBYMEMBER g Palermo 200 km WITHDIST
        GEORADIUSBYMEMBER g missing 200 km
        GEORADIUSBYMEMBER none missing 200 km
        GEORADIUSBYMEMBER none missing x yd
        GEORADIUSBYMEMBER none missing x yd STORE g2
        GEORADIUSBYMEMBER none missing x yd WHAT
        GEORADIUSBYMEMBER g Palermo x km
        GEORADIUSBYMEMBER g Palermo 200 km STORE to
        ZRANGE to 0 -1 WITHSCORES
        GEORADIUSBYMEMBER_RO g Palermo 200 km
        GEORADIUSBYMEMBER_RO g Palermo 200 km STORE to
        GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km ASC
        GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHDIST
        GEOSEARCH g FROMLONLAT 15 37 BYBOX 400 100 km ASC WITHDIST WITHCOORD
        GEOSEARCH g FROMMEMBER Palermo BYRADIUS 200 km ASC
        GEOSEARCH g FROMMEMBER missing BYRADIUS 200 km ASC
        GEOSEARCH none FROMMEMBER missing BYRADIUS 200 km ASC
        GEOSEARCH g FROMMEMBER Palermo FROMMEMBER Catania BYRADIUS 100 km
        GEOSEARCH g FROMMEMBER Palermo FROMLONLAT 1 1 BYRADIUS 100 km
        GEOSEARCH g FROMLONLAT 1 1 FROMMEMBER Palermo BYRADIUS 100 km
        GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km BYBOX 1 1 km
        GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 1 km BYRADIUS 200 km
        GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 1
        GEOSEARCH g FROMLONLAT 15 37 ASC ASC ASC
        geosearch g BYRADIUS 200 km ASC ASC
        GEOSEARCH g FROMLONLAT 15 37 BYBOX x 1 km
        GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 x km
        GEOSEARCH g FROMLONLAT 15 37 BYBOX -1 1 km
        GEOSEARCH g FROMLONLAT 15 37 BYBOX 1 1 yd
        GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km STORE to
        GEOSEARCH g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST
        GEOSEARCHSTORE to g FROMLONLAT 15 37 BYRADIUS 200 km
        ZRANGE to 0 -1 WITHSCORES
        GEOSEARCHSTORE to g FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST ASC
        ZRANGE to 0 -1 WITHSCORES
        GEOSEARCHSTORE to g FROMLONLAT 15 37 BYRADIUS 200 km WITHDIST
        GEOSEARCHSTORE to g FROMLONLAT 15 37 BYRADIUS 200 km STORE x
        GEOSEARCHSTORE to none FROMLONLAT 15 37 BYRADIUS 200 km
        EXISTS to
        SET text x
        GEOADD text 1 1 a
        GEOPOS text a
        GEOHASH text a
        GEODIST text a b
        GEORADIUS text 1 1 1 km
        GEORADIUS text x 1 1 km
        GEOSEARCH text FROMLONLAT x 1 BYRADIUS 1 km
        GEOSEARCHSTORE to text FROMLONLAT 1 1 BYRADIUS 1 km
        GEOSEARCHSTORE text g FROMLONLAT 15 37 BYRADIUS 200 km
        TYPE text
        "#,
    );
}

#[test]
fn random_searches_find_what_redis_finds() {
    check_random(4, 5000, |rng| {
        let key = ["a", "b"][rng.usize(0..2)];
        // Half of it close together, half all over the world and to its edges.
        let wide = rng.bool();
        let (lon, lat) = if wide {
            (rng.f64() * 360.0 - 180.0, rng.f64() * 170.0 - 85.0)
        } else {
            (rng.f64() * 4.0 + 10.0, rng.f64() * 3.0 + 45.0)
        };
        let member = format!("m{}", rng.u32(0..400));
        let reach = 10f64.powf(rng.f64() * 4.5 - 0.5);
        let (width, height) = (reach * (rng.f64() + 0.1), reach * (rng.f64() + 0.1));
        let unit = ["km", "mi"][rng.usize(0..2)];
        // Without an order, Redis's own order shows.
        let options =
            ["", "ASC", "DESC WITHDIST", "COUNT 5", "COUNT 3 ANY", "WITHCOORD WITHHASH WITHDIST ASC COUNT 4"];
        let options = options[rng.usize(0..options.len())];
        match rng.u32(0..12) {
            0 => format!("GEOSEARCH {key} FROMLONLAT {lon} {lat} BYRADIUS {reach} {unit} {options}"),
            1 => format!("GEOSEARCH {key} FROMLONLAT {lon} {lat} BYBOX {width} {height} {unit} {options}"),
            2 => format!("GEOSEARCH {key} FROMMEMBER {member} BYBOX {width} {height} {unit} {options}"),
            3 => format!("GEORADIUSBYMEMBER {key} {member} {reach} {unit} {options}"),
            4 => format!("GEODIST {key} {member} m{} {unit}", rng.u32(0..400)),
            5 => format!("GEOPOS {key} {member}"),
            6 => format!("GEOHASH {key} {member}"),
            7 if rng.bool() => format!("ZREM {key} {member}"),
            8 => format!("GEOSEARCHSTORE to {key} FROMLONLAT {lon} {lat} BYRADIUS {reach} {unit} STOREDIST"),
            _ => format!("GEOADD {key} {lon} {lat} {member}"),
        }
    });
}
