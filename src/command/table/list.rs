//! Lists.

use super::words::{
    ACCESS, BLOCKING, DELETE, DENYOOM, FAST, INSERT, NOSCRIPT, READONLY, RO, RW, Row, UPDATE, WRITE, cmd,
    counted, key, range,
};
use crate::command::Cache::SingleKey;
use crate::command::Class::{Cached, Lane, Pinned};
use crate::resp::Shape::NullArray;

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("blmove",      6, Pinned, &[WRITE, DENYOOM, NOSCRIPT, BLOCKING], &[
            key(1, &[RW, ACCESS, DELETE]),
            key(2, &[RW, INSERT]),
        ])
        .doc("6.2.0", "Pop an element from a list, push it to another list and return it; or block until \
            one is available",
            "O(1)"),
    cmd("blmpop",     -5, Pinned, &[WRITE, BLOCKING], &[counted(2, &[RW, ACCESS, DELETE])]).shape(NullArray)
        .doc("7.0.0", "Pop elements from a list, or block until one is available",
            "O(N+M) where N is the number of provided keys and M is the number of elements returned."),
    cmd("blpop",      -3, Pinned, &[WRITE, NOSCRIPT, BLOCKING], &[range(1, -2, 1, &[RW, ACCESS, DELETE])])
        .shape(NullArray)
        .doc("2.0.0", "Remove and get the first element in a list, or block until one is available",
            "O(N) where N is the number of provided keys."),
    cmd("brpop",      -3, Pinned, &[WRITE, NOSCRIPT, BLOCKING], &[range(1, -2, 1, &[RW, ACCESS, DELETE])])
        .shape(NullArray)
        .doc("2.0.0", "Remove and get the last element in a list, or block until one is available",
            "O(N) where N is the number of provided keys."),
    cmd("brpoplpush",  4, Pinned, &[WRITE, DENYOOM, NOSCRIPT, BLOCKING], &[
            key(1, &[RW, ACCESS, DELETE]),
            key(2, &[RW, INSERT]),
        ])
        .doc("2.2.0", "Pop an element from a list, push it to another list and return it; or block until \
            one is available",
            "O(1)")
        .deprecated("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
    cmd("lindex",      3, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("1.0.0", "Get an element from a list by its index",
            "O(N) where N is the number of elements to traverse to get to the element at index. This makes \
            asking for the first or the last element of the list O(1)."),
    cmd("linsert",     5, Lane, &[WRITE, DENYOOM], &[key(1, &[RW, INSERT])])
        .doc("2.2.0", "Insert an element before or after another element in a list",
            "O(N) where N is the number of elements to traverse before seeing the value pivot. This means \
            that inserting somewhere on the left end on the list (head) can be considered O(1) and \
            inserting somewhere on the right end (tail) is O(N)."),
    cmd("llen",        2, Cached, &[READONLY, FAST], &[key(1, &[RO])]).cache(SingleKey)
        .doc("1.0.0", "Get the length of a list", "O(1)"),
    cmd("lmove",       5, Lane, &[WRITE, DENYOOM], &[key(1, &[RW, ACCESS, DELETE]), key(2, &[RW, INSERT])])
        .doc("6.2.0", "Pop an element from a list, push it to another list and return it", "O(1)"),
    cmd("lmpop",      -4, Lane, &[WRITE], &[counted(1, &[RW, ACCESS, DELETE])]).shape(NullArray)
        .doc("7.0.0", "Pop elements from a list",
            "O(N+M) where N is the number of provided keys and M is the number of elements returned."),
    cmd("lpop",       -2, Lane, &[WRITE, FAST], &[key(1, &[RW, ACCESS, DELETE])]).counted_null_array()
        .doc("1.0.0", "Remove and get the first elements in a list",
            "O(N) where N is the number of elements returned"),
    cmd("lpos",       -3, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("6.0.6", "Return the index of matching elements on a list",
            "O(N) where N is the number of elements in the list, for the average case. When searching for \
            elements near the head or the tail of the list, or when the MAXLEN option is provided, the \
            command may run in constant time."),
    cmd("lpush",      -3, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, INSERT])])
        .doc("1.0.0", "Prepend one or multiple elements to a list",
            "O(1) for each element added, so O(N) to add N elements when the command is called with \
            multiple arguments."),
    cmd("lpushx",     -3, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, INSERT])])
        .doc("2.2.0", "Prepend an element to a list, only if the list exists",
            "O(1) for each element added, so O(N) to add N elements when the command is called with \
            multiple arguments."),
    cmd("lrange",      4, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("1.0.0", "Get a range of elements from a list",
            "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end \
            (HEAD or TAIL) for large lists; and N is the number of elements in the specified range."),
    cmd("lrem",        4, Lane, &[WRITE], &[key(1, &[RW, DELETE])])
        .doc("1.0.0", "Remove elements from a list",
            "O(N+M) where N is the length of the list and M is the number of elements removed."),
    cmd("lset",        4, Lane, &[WRITE, DENYOOM], &[key(1, &[RW, UPDATE])])
        .doc("1.0.0", "Set the value of an element in a list by its index",
            "O(N) where N is the length of the list. Setting either the first or the last element of the \
            list is O(1)."),
    cmd("ltrim",       4, Lane, &[WRITE], &[key(1, &[RW, DELETE])])
        .doc("1.0.0", "Trim a list to the specified range",
            "O(N) where N is the number of elements to be removed by the operation."),
    cmd("rpop",       -2, Lane, &[WRITE, FAST], &[key(1, &[RW, ACCESS, DELETE])]).counted_null_array()
        .doc("1.0.0", "Remove and get the last elements in a list",
            "O(N) where N is the number of elements returned"),
    cmd("rpoplpush",   3, Lane, &[WRITE, DENYOOM], &[key(1, &[RW, ACCESS, DELETE]), key(2, &[RW, INSERT])])
        .doc("1.2.0", "Remove the last element in a list, prepend it to another list and return it", "O(1)")
        .deprecated("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
    cmd("rpush",      -3, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, INSERT])])
        .doc("1.0.0", "Append one or multiple elements to a list",
            "O(1) for each element added, so O(N) to add N elements when the command is called with \
            multiple arguments."),
    cmd("rpushx",     -3, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, INSERT])])
        .doc("2.2.0", "Append an element to a list, only if the list exists",
            "O(1) for each element added, so O(N) to add N elements when the command is called with \
            multiple arguments."),
];
