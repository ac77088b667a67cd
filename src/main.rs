//! Starts the command line.

use std::process::ExitCode;

/// Rows are made on the threads that read and let go of on those that answer, which costs much with most systems' own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gitleads::cli::main()
}
