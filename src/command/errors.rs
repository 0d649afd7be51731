//! The errors for requests that name no command or have the wrong length, in Redis's words.
//!
//! The texts are bytes, since they quote arguments, without the leading `-` and the line end.

use super::Command;
use crate::resp::Args;

/// At most so many bytes of a name, and about so many of the arguments, are quoted.
const QUOTED: usize = 128;

/// `ERR unknown command 'foo', with args beginning with: 'a' 'b' `
pub fn unknown_command_error(args: &Args) -> Vec<u8> {
    let mut quoted = Vec::new();
    for arg in args.skip(1).iter() {
        if quoted.len() >= QUOTED {
            break;
        }
        // Redis counts the quotes and the space of the arguments before, not those of this one.
        let room = QUOTED - quoted.len();
        quoted.push(b'\'');
        quoted.extend_from_slice(c_string(arg, room));
        quoted.extend_from_slice(b"' ");
    }
    let name = args.get(0).unwrap_or_default();
    one_line(&[b"ERR unknown command '", c_string(name, QUOTED), b"', with args beginning with: ", &quoted])
}

/// `ERR unknown subcommand 'foo'. Try CLIENT HELP.`
pub fn unknown_subcommand_error(container: &Command, args: &Args) -> Vec<u8> {
    let subcommand = args.get(1).unwrap_or_default();
    let container = container.name.to_ascii_uppercase();
    one_line(&[
        b"ERR unknown subcommand '",
        c_string(subcommand, QUOTED),
        b"'. Try ",
        container.as_bytes(),
        b" HELP.",
    ])
}

/// `ERR wrong number of arguments for 'client|list' command`
pub fn wrong_arity_error(command: &Command) -> Vec<u8> {
    one_line(&[b"ERR wrong number of arguments for '", command.name.as_bytes(), b"' command"])
}

/// What C's `%.*s` prints of an argument: at most `room` bytes, and nothing from a zero byte on.
fn c_string(arg: &[u8], room: usize) -> &[u8] {
    let arg = &arg[..arg.len().min(room)];
    &arg[..arg.iter().position(|&b| b == 0).unwrap_or(arg.len())]
}

/// The parts joined; line ends, which would break the protocol, become spaces.
fn one_line(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat().into_iter().map(|b| if b == b'\r' || b == b'\n' { b' ' } else { b }).collect()
}
