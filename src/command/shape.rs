//! How the shape of a command's reply depends on its arguments.
//!
//! A shape is that of replies on the lane, where blocking commands are only in transactions. There BLMOVE
//! and BRPOPLPUSH of nothing answer `$-1`; their timeout, `*-1`, comes on a pinned connection, which speaks
//! its client's protocol.

use crate::resp::{Args, Shape};

/// What decides how a command's RESP3 reply becomes RESP2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShapeRule {
    /// The command alone.
    Always(Shape),
    /// LPOP and RPOP: a missing list is `$-1`, but `*-1` if a count was given.
    NullArrayIfCounted,
}

impl ShapeRule {
    pub(super) fn shape(self, args: &Args) -> Shape {
        match self {
            ShapeRule::Always(shape) => shape,
            ShapeRule::NullArrayIfCounted if args.len() > 2 => Shape::NullArray,
            ShapeRule::NullArrayIfCounted => Shape::Plain,
        }
    }
}
