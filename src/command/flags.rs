//! Redis's command flags and ACL categories as small sets of bits.

use std::fmt;

/// Declares a set type over a u64 whose members are listed in the order in which Redis names them.
macro_rules! set_type {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident $text:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(u64);

        impl $name {
            /// The empty set.
            pub const NONE: $name = $name(0);
            const NAMES: &'static [&'static str] = &[$($text),*];
            set_type!(@members $name 0; $($(#[$member_doc])* $member)*);

            /// The union of all in `list`.
            pub const fn of(list: &[$name]) -> $name {
                let mut bits = 0;
                let mut i = 0;
                while i < list.len() {
                    bits |= list[i].0;
                    i += 1;
                }
                $name(bits)
            }

            /// This and `other`.
            pub const fn and(self, other: $name) -> $name {
                $name(self.0 | other.0)
            }

            /// True if all members of `other` are in this set.
            pub const fn has(self, other: $name) -> bool {
                self.0 & other.0 == other.0
            }

            /// True if nothing is in this set.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// The members' names, as and in the order in which Redis writes them.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                Self::NAMES.iter().enumerate().filter(move |(i, _)| self.0 >> i & 1 == 1).map(|(_, name)| *name)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_set().entries(self.names()).finish()
            }
        }
    };
    (@members $name:ident $n:expr;) => {};
    (@members $name:ident $n:expr; $(#[$doc:meta])* $member:ident $($rest:tt)*) => {
        $(#[$doc])*
        pub const $member: $name = $name(1 << ($n));
        set_type!(@members $name $n + 1; $($rest)*);
    };
}
pub(super) use set_type;

set_type! {
    /// The flags that `COMMAND` shows.
    Flags {
        /// May modify data.
        WRITE "write"
        /// Never modifies data.
        READONLY "readonly"
        /// Refused when memory is short.
        DENYOOM "denyoom"
        /// Administrative.
        ADMIN "admin"
        /// About channels.
        PUBSUB "pubsub"
        /// Not from scripts.
        NOSCRIPT "noscript"
        /// May wait.
        BLOCKING "blocking"
        /// Allowed while the dataset is loading.
        LOADING "loading"
        /// Allowed on a replica with stale data.
        STALE "stale"
        /// Not shown to MONITOR.
        SKIP_MONITOR "skip_monitor"
        /// Not in the slow log.
        SKIP_SLOWLOG "skip_slowlog"
        /// Implies ASKING.
        ASKING "asking"
        /// O(1) or O(log n).
        FAST "fast"
        /// Allowed before AUTH.
        NO_AUTH "no_auth"
        /// May have no keys at all.
        NO_MANDATORY_KEYS "no_mandatory_keys"
        /// Not while loading asynchronously.
        NO_ASYNC_LOADING "no_async_loading"
        /// Not in MULTI.
        NO_MULTI "no_multi"
        /// The key positions depend on the arguments.
        MOVABLEKEYS "movablekeys"
        /// Allowed while a script runs too long.
        ALLOW_BUSY "allow_busy"
    }
}

set_type! {
    /// ACL categories.
    Acl {
        /// @keyspace
        KEYSPACE "keyspace"
        /// @read
        READ "read"
        /// @write
        WRITE "write"
        /// @set
        SET "set"
        /// @sortedset
        SORTEDSET "sortedset"
        /// @list
        LIST "list"
        /// @hash
        HASH "hash"
        /// @string
        STRING "string"
        /// @bitmap
        BITMAP "bitmap"
        /// @hyperloglog
        HYPERLOGLOG "hyperloglog"
        /// @geo
        GEO "geo"
        /// @stream
        STREAM "stream"
        /// @pubsub
        PUBSUB "pubsub"
        /// @admin
        ADMIN "admin"
        /// @fast
        FAST "fast"
        /// @slow
        SLOW "slow"
        /// @blocking
        BLOCKING "blocking"
        /// @dangerous
        DANGEROUS "dangerous"
        /// @connection
        CONNECTION "connection"
        /// @transaction
        TRANSACTION "transaction"
        /// @scripting
        SCRIPTING "scripting"
    }
}

impl Acl {
    /// The categories that follow from a command's flags, as Redis derives them.
    pub(super) const fn implied(flags: Flags, scripting: bool) -> Acl {
        let mut acl = if flags.has(Flags::FAST) { Acl::FAST } else { Acl::SLOW };
        if flags.has(Flags::WRITE) {
            acl = acl.and(Acl::WRITE);
        }
        if flags.has(Flags::READONLY) && !scripting {
            acl = acl.and(Acl::READ);
        }
        if flags.has(Flags::ADMIN) {
            acl = acl.and(Acl::ADMIN).and(Acl::DANGEROUS);
        }
        if flags.has(Flags::PUBSUB) {
            acl = acl.and(Acl::PUBSUB);
        }
        if flags.has(Flags::BLOCKING) {
            acl = acl.and(Acl::BLOCKING);
        }
        acl
    }
}
