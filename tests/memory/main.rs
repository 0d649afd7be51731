//! The memory engine against its oracle: the same commands on a real Redis, the same bytes in reply.

mod arguments;
mod blocking;
mod changes;
mod coverage;
mod generic;
mod geo;
mod globs;
mod groups;
mod hashes;
mod hlls;
mod lists;
mod oracle;
mod sets;
mod streams;
mod strings;
mod zsets;
