//! Why a command was refused, in Redis's words.

use std::borrow::Cow;

/// An error reply, its code included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub Cow<'static, str>);

impl Fault {
    /// An error with a fixed text.
    pub const fn new(text: &'static str) -> Fault {
        Fault(Cow::Borrowed(text))
    }

    /// `ERR wrong number of arguments for '<name>' command`; subcommands are named `object|freq`.
    pub fn arity(name: &str) -> Fault {
        Fault(format!("ERR wrong number of arguments for '{}' command", name.to_ascii_lowercase()).into())
    }

    /// `ERR invalid expire time in '<name>' command`
    pub fn expire_time(name: &[u8]) -> Fault {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        Fault(format!("ERR invalid expire time in '{name}' command").into())
    }

    /// The answer to a subcommand that does not exist.
    pub fn subcommand(command: &str, given: &[u8]) -> Fault {
        let given = quoted(&given[..given.len().min(128)]);
        Fault(format!("ERR unknown subcommand '{given}'. Try {command} HELP.").into())
    }
}

/// An argument within an error's text: like a C string, it ends at a zero byte.
pub fn quoted(argument: &[u8]) -> Cow<'_, str> {
    let end = argument.iter().position(|&b| b == 0).unwrap_or(argument.len());
    String::from_utf8_lossy(&argument[..end])
}

/// The key holds a value of another type.
pub const WRONG_TYPE: Fault = Fault::new("WRONGTYPE Operation against a key holding the wrong kind of value");
/// Options that the command does not have.
pub const SYNTAX: Fault = Fault::new("ERR syntax error");
/// Not a 64-bit integer.
pub const NOT_INTEGER: Fault = Fault::new("ERR value is not an integer or out of range");
/// Not a number.
pub const NOT_FLOAT: Fault = Fault::new("ERR value is not a valid float");
/// An integer that the command cannot take.
pub const OUT_OF_RANGE: Fault = Fault::new("ERR value is out of range");
/// An integer that must not be negative.
pub const NOT_POSITIVE: Fault = Fault::new("ERR value is out of range, must be positive");
/// The key must exist.
pub const NO_SUCH_KEY: Fault = Fault::new("ERR no such key");
/// A list has no element there.
pub const INDEX_RANGE: Fault = Fault::new("ERR index out of range");
/// 512 MB.
pub const TOO_LONG: Fault = Fault::new("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
/// 64 bits are full.
pub const OVERFLOW: Fault = Fault::new("ERR increment or decrement would overflow");
/// A float sum went out of the numbers.
pub const NAN_OR_INF: Fault = Fault::new("ERR increment would produce NaN or Infinity");
/// A database number that there is not.
pub const DB_RANGE: Fault = Fault::new("ERR DB index is out of range");
/// SCAN and its kin.
pub const BAD_CURSOR: Fault = Fault::new("ERR invalid cursor");
/// Memory is full and may not be freed by eviction.
pub const OOM: Fault = Fault::new("OOM command not allowed when used memory > 'maxmemory'.");
