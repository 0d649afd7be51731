//! How each command's RESP3 reply becomes RESP2.

use crate::resp::Args;

/// A placeholder until the codec's own type is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyShape {
    /// Type by type: maps and sets become arrays, doubles bulk strings.
    Plain,
}

/// How a command's shape depends on its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShapeRule {
    /// It does not.
    Always(ReplyShape),
}

impl ShapeRule {
    pub(super) fn shape(self, _args: &Args) -> ReplyShape {
        match self {
            ShapeRule::Always(shape) => shape,
        }
    }
}
