//! The `memsnap` program: arguments in, exit code out. What it says is in `cli`, what it does in the library.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use memsnap::program::heap::{self, Heap};

#[global_allocator]
static HEAP: Heap = Heap;

fn main() -> ExitCode {
    // A file that reaches `ulimit -f` is an error to report, not a reason to die.
    memsnap::program::signal::ignore_sigxfsz();
    // No program may have to wait for a lease of one that is stopped.
    memsnap::program::stop::give_leases_back_first();
    // A mapped file that shrinks while it is read is an error to report, too.
    memsnap::program::guard::install();
    if !heap::stack_is_enough() {
        let least = heap::STACK >> 10;
        let said = format!("memsnap: the stack limit is below {least} KiB\n  hint: raise it (ulimit -s {least})\n");
        let _ = std::io::stderr().write_all(said.as_bytes());
        return ExitCode::from(2); // trouble, as in memsnap(1)
    }
    cli::main(std::env::args_os().collect()).into()
}
