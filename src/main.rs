//! The nearcache binary.

use std::process::ExitCode;

/// Its sizes can be asked, and it gives memory back.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    nearcache::run(nearcache::cli::parse_or_exit())
}
