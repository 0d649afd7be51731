//! Bitmaps.

use super::words::{
    ACCESS, DENYOOM, FAST, OW, READONLY, RO, RW, Row, UPDATE, VARIABLE_FLAGS, WRITE, cmd, key, keys_from,
};
use crate::command::Cache::SingleKey;
use crate::command::Class::{Cached, Lane};
use crate::command::keys::KeyRule::Bitfield;

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("bitcount",    -2, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.6.0", "Count set bits in a string", "O(N)"),
    cmd("bitfield",    -2, Lane, &[WRITE, DENYOOM], &[
            key(1, &[RW, ACCESS, UPDATE, VARIABLE_FLAGS])
                .notes("This command allows both access and modification of the key"),
        ]).key_rule(Bitfield)
        .doc("3.2.0", "Perform arbitrary bitfield integer operations on strings",
            "O(1) for each subcommand specified"),
    cmd("bitfield_ro", -2, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("6.0.0", "Perform arbitrary bitfield integer operations on strings. Read-only variant of \
            BITFIELD",
            "O(1) for each subcommand specified"),
    cmd("bitop",       -4, Lane, &[WRITE, DENYOOM], &[key(2, &[OW, UPDATE]), keys_from(3, &[RO, ACCESS])])
        .doc("2.6.0", "Perform bitwise operations between strings", "O(N)"),
    cmd("bitpos",      -3, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.8.7", "Find first bit set or clear in a string", "O(N)"),
    cmd("getbit",       3, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.2.0", "Returns the bit value at offset in the string value stored at key", "O(1)"),
    cmd("setbit",       4, Lane, &[WRITE, DENYOOM], &[key(1, &[RW, ACCESS, UPDATE])])
        .doc("2.2.0", "Sets or clears the bit at offset in the string value stored at key", "O(1)"),
];
