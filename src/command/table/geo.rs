//! Geospatial indexes.

use super::words::{ACCESS, DENYOOM, OW, READONLY, RO, RW, Row, UPDATE, WRITE, cmd, key, option};
use crate::command::Cache::SingleKey;
use crate::command::Class::{Cached, Lane};
use crate::command::keys::KeyRule::GeoStore;
use crate::resp::Shape::NullArrays;

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("geoadd",               -5, Lane, &[WRITE, DENYOOM], &[key(1, &[RW, UPDATE])])
        .doc("3.2.0", "Add one or more geospatial items in the geospatial index represented using a sorted \
            set",
            "O(log(N)) for each item added, where N is the number of elements in the sorted set."),
    cmd("geodist",              -4, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("3.2.0", "Returns the distance between two members of a geospatial index", "O(log(N))"),
    cmd("geohash",              -2, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("3.2.0", "Returns members of a geospatial index as standard geohash strings",
            "O(log(N)) for each member requested, where N is the number of elements in the sorted set."),
    cmd("geopos",               -2, Cached, &[READONLY], &[key(1, &[RO, ACCESS])])
        .cache(SingleKey).shape(NullArrays)
        .doc("3.2.0", "Returns longitude and latitude of members of a geospatial index",
            "O(N) where N is the number of members requested."),
    cmd("georadius",            -6, Lane, &[WRITE, DENYOOM], &[
            key(1, &[RO, ACCESS]),
            option("STORE", 6, &[OW, UPDATE]),
            option("STOREDIST", 6, &[OW, UPDATE]),
        ]).key_rule(GeoStore)
        .doc("3.2.0", "Query a sorted set representing a geospatial index to fetch members matching a \
            given maximum distance from a point",
            "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area \
            delimited by center and radius and M is the number of items inside the index.")
        .deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"),
    cmd("georadius_ro",         -6, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("3.2.10", "A read-only variant for GEORADIUS",
            "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area \
            delimited by center and radius and M is the number of items inside the index.")
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
    cmd("georadiusbymember",    -5, Lane, &[WRITE, DENYOOM], &[
            key(1, &[RO, ACCESS]),
            option("STORE", 5, &[OW, UPDATE]),
            option("STOREDIST", 5, &[OW, UPDATE]),
        ]).key_rule(GeoStore)
        .doc("3.2.0", "Query a sorted set representing a geospatial index to fetch members matching a \
            given maximum distance from a member",
            "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area \
            delimited by center and radius and M is the number of items inside the index.")
        .deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` \
            arguments"),
    cmd("georadiusbymember_ro", -5, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("3.2.10", "A read-only variant for GEORADIUSBYMEMBER",
            "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area \
            delimited by center and radius and M is the number of items inside the index.")
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
    cmd("geosearch",            -7, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("6.2.0", "Query a sorted set representing a geospatial index to fetch members inside an area \
            of a box or a circle.",
            "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around \
            the shape provided as the filter and M is the number of items inside the shape"),
    cmd("geosearchstore",       -8, Lane, &[WRITE, DENYOOM], &[
            key(1, &[OW, UPDATE]),
            key(2, &[RO, ACCESS]),
        ])
        .doc("6.2.0", "Query a sorted set representing a geospatial index to fetch members inside an area \
            of a box or a circle, and store the result in another key.",
            "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around \
            the shape provided as the filter and M is the number of items inside the shape"),
];
