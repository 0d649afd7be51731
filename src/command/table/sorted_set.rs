//! Sorted sets.

use super::words::{
    ACCESS, BLOCKING, DELETE, DENYOOM, FAST, NOSCRIPT, OW, READONLY, RO, RW, Row, UPDATE, WRITE, cmd,
    counted, key, range,
};
use crate::command::Cache::{MultiKey, SingleKey};
use crate::command::Class::{Cached, Lane, Pinned};
use crate::resp::Shape::{NullArray, Pairs};

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("bzmpop",           -5, Pinned, &[WRITE, BLOCKING], &[counted(2, &[RW, ACCESS, DELETE])])
        .shape(NullArray)
        .doc("7.0.0", "Remove and return members with scores in a sorted set or block until one is \
            available",
            "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in \
            the sorted set, and M being the number of elements popped."),
    cmd("bzpopmax",         -3, Pinned, &[WRITE, NOSCRIPT, BLOCKING, FAST], &[
            range(1, -2, 1, &[RW, ACCESS, DELETE]),
        ]).shape(NullArray)
        .doc("5.0.0", "Remove and return the member with the highest score from one or more sorted sets, \
            or block until one is available",
            "O(log(N)) with N being the number of elements in the sorted set."),
    cmd("bzpopmin",         -3, Pinned, &[WRITE, NOSCRIPT, BLOCKING, FAST], &[
            range(1, -2, 1, &[RW, ACCESS, DELETE]),
        ]).shape(NullArray)
        .doc("5.0.0", "Remove and return the member with the lowest score from one or more sorted sets, or \
            block until one is available",
            "O(log(N)) with N being the number of elements in the sorted set."),
    cmd("zadd",             -4, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, UPDATE])])
        .doc("1.2.0", "Add one or more members to a sorted set, or update its score if it already exists",
            "O(log(N)) for each item added, where N is the number of elements in the sorted set."),
    cmd("zcard",             2, Cached, &[READONLY, FAST], &[key(1, &[RO])]).cache(SingleKey)
        .doc("1.2.0", "Get the number of members in a sorted set", "O(1)"),
    cmd("zcount",            4, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.0.0", "Count the members in a sorted set with scores within the given values",
            "O(log(N)) with N being the number of elements in the sorted set."),
    cmd("zdiff",            -3, Lane, &[READONLY], &[counted(1, &[RO, ACCESS])])
        .cache(MultiKey).shape(Pairs)
        .doc("6.2.0", "Subtract multiple sorted sets",
            "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is \
            the size of the first set, and K is the size of the result set."),
    cmd("zdiffstore",       -4, Lane, &[WRITE, DENYOOM], &[
            key(1, &[OW, UPDATE]),
            counted(2, &[RO, ACCESS]),
        ])
        .doc("6.2.0", "Subtract multiple sorted sets and store the resulting sorted set in a new key",
            "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is \
            the size of the first set, and K is the size of the result set."),
    cmd("zincrby",           4, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, ACCESS, UPDATE])])
        .doc("1.2.0", "Increment the score of a member in a sorted set",
            "O(log(N)) where N is the number of elements in the sorted set."),
    cmd("zinter",           -3, Lane, &[READONLY], &[counted(1, &[RO, ACCESS])])
        .cache(MultiKey).shape(Pairs)
        .doc("6.2.0", "Intersect multiple sorted sets",
            "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number \
            of input sorted sets and M being the number of elements in the resulting sorted set."),
    cmd("zintercard",       -3, Lane, &[READONLY], &[counted(1, &[RO, ACCESS])]).cache(MultiKey)
        .doc("7.0.0", "Intersect multiple sorted sets and return the cardinality of the result",
            "O(N*K) worst case with N being the smallest input sorted set, K being the number of input \
            sorted sets."),
    cmd("zinterstore",      -4, Lane, &[WRITE, DENYOOM], &[
            key(1, &[OW, UPDATE]),
            counted(2, &[RO, ACCESS]),
        ])
        .doc("2.0.0", "Intersect multiple sorted sets and store the resulting sorted set in a new key",
            "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number \
            of input sorted sets and M being the number of elements in the resulting sorted set."),
    cmd("zlexcount",         4, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.8.9", "Count the number of members in a sorted set between a given lexicographical range",
            "O(log(N)) with N being the number of elements in the sorted set."),
    cmd("zmpop",            -4, Lane, &[WRITE], &[counted(1, &[RW, ACCESS, DELETE])]).shape(NullArray)
        .doc("7.0.0", "Remove and return members with scores in a sorted set",
            "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in \
            the sorted set, and M being the number of elements popped."),
    cmd("zmscore",          -3, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("6.2.0", "Get the score associated with the given members in a sorted set",
            "O(N) where N is the number of members being requested."),
    cmd("zpopmax",          -2, Lane, &[WRITE, FAST], &[key(1, &[RW, ACCESS, DELETE])]).shape(Pairs)
        .doc("5.0.0", "Remove and return members with the highest scores in a sorted set",
            "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of \
            elements popped."),
    cmd("zpopmin",          -2, Lane, &[WRITE, FAST], &[key(1, &[RW, ACCESS, DELETE])]).shape(Pairs)
        .doc("5.0.0", "Remove and return members with the lowest scores in a sorted set",
            "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of \
            elements popped."),
    cmd("zrandmember",      -2, Lane, &[READONLY], &[key(1, &[RO, ACCESS])]).shape(Pairs)
        .doc("6.2.0", "Get one or multiple random elements from a sorted set",
            "O(N) where N is the number of elements returned")
        .tips(&["nondeterministic_output"]),
    cmd("zrange",           -4, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey).shape(Pairs)
        .doc("1.2.0", "Return a range of members in a sorted set",
            "O(log(N)+M) with N being the number of elements in the sorted set and M the number of \
            elements returned."),
    cmd("zrangebylex",      -4, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.8.9", "Return a range of members in a sorted set, by lexicographical range",
            "O(log(N)+M) with N being the number of elements in the sorted set and M the number of \
            elements being returned. If M is constant (e.g. always asking for the first 10 elements with \
            LIMIT), you can consider it O(log(N)).")
        .deprecated("6.2.0", "`ZRANGE` with the `BYLEX` argument"),
    cmd("zrangebyscore",    -4, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey).shape(Pairs)
        .doc("1.0.5", "Return a range of members in a sorted set, by score",
            "O(log(N)+M) with N being the number of elements in the sorted set and M the number of \
            elements being returned. If M is constant (e.g. always asking for the first 10 elements with \
            LIMIT), you can consider it O(log(N)).")
        .deprecated("6.2.0", "`ZRANGE` with the `BYSCORE` argument"),
    cmd("zrangestore",      -5, Lane, &[WRITE, DENYOOM], &[key(1, &[OW, UPDATE]), key(2, &[RO, ACCESS])])
        .doc("6.2.0", "Store a range of members from sorted set into another key",
            "O(log(N)+M) with N being the number of elements in the sorted set and M the number of \
            elements stored into the destination key."),
    cmd("zrank",             3, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.0.0", "Determine the index of a member in a sorted set", "O(log(N))"),
    cmd("zrem",             -3, Lane, &[WRITE, FAST], &[key(1, &[RW, DELETE])])
        .doc("1.2.0", "Remove one or more members from a sorted set",
            "O(M*log(N)) with N being the number of elements in the sorted set and M the number of \
            elements to be removed."),
    cmd("zremrangebylex",    4, Lane, &[WRITE], &[key(1, &[RW, DELETE])])
        .doc("2.8.9", "Remove all members in a sorted set between the given lexicographical range",
            "O(log(N)+M) with N being the number of elements in the sorted set and M the number of \
            elements removed by the operation."),
    cmd("zremrangebyrank",   4, Lane, &[WRITE], &[key(1, &[RW, DELETE])])
        .doc("2.0.0", "Remove all members in a sorted set within the given indexes",
            "O(log(N)+M) with N being the number of elements in the sorted set and M the number of \
            elements removed by the operation."),
    cmd("zremrangebyscore",  4, Lane, &[WRITE], &[key(1, &[RW, DELETE])])
        .doc("1.2.0", "Remove all members in a sorted set within the given scores",
            "O(log(N)+M) with N being the number of elements in the sorted set and M the number of \
            elements removed by the operation."),
    cmd("zrevrange",        -4, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey).shape(Pairs)
        .doc("1.2.0", "Return a range of members in a sorted set, by index, with scores ordered from high \
            to low",
            "O(log(N)+M) with N being the number of elements in the sorted set and M the number of \
            elements returned.")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` argument"),
    cmd("zrevrangebylex",   -4, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.8.9", "Return a range of members in a sorted set, by lexicographical range, ordered from \
            higher to lower strings.",
            "O(log(N)+M) with N being the number of elements in the sorted set and M the number of \
            elements being returned. If M is constant (e.g. always asking for the first 10 elements with \
            LIMIT), you can consider it O(log(N)).")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments"),
    cmd("zrevrangebyscore", -4, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey).shape(Pairs)
        .doc("2.2.0", "Return a range of members in a sorted set, by score, with scores ordered from high \
            to low",
            "O(log(N)+M) with N being the number of elements in the sorted set and M the number of \
            elements being returned. If M is constant (e.g. always asking for the first 10 elements with \
            LIMIT), you can consider it O(log(N)).")
        .deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"),
    cmd("zrevrank",          3, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.0.0", "Determine the index of a member in a sorted set, with scores ordered from high to \
            low",
            "O(log(N))"),
    cmd("zscan",            -3, Lane, &[READONLY], &[key(1, &[RO, ACCESS])])
        .doc("2.8.0", "Incrementally iterate sorted sets elements and associated scores",
            "O(1) for every call. O(N) for a complete iteration, including enough command calls for the \
            cursor to return back to 0. N is the number of elements inside the collection..")
        .tips(&["nondeterministic_output"]),
    cmd("zscore",            3, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("1.2.0", "Get the score associated with the given member in a sorted set", "O(1)"),
    cmd("zunion",           -3, Lane, &[READONLY], &[counted(1, &[RO, ACCESS])])
        .cache(MultiKey).shape(Pairs)
        .doc("6.2.0", "Add multiple sorted sets",
            "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the \
            number of elements in the resulting sorted set."),
    cmd("zunionstore",      -4, Lane, &[WRITE, DENYOOM], &[
            key(1, &[OW, UPDATE]),
            counted(2, &[RO, ACCESS]),
        ])
        .doc("2.0.0", "Add multiple sorted sets and store the resulting sorted set in a new key",
            "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the \
            number of elements in the resulting sorted set."),
];
