//! The `memsnap` program: arguments in, exit code out. `cli` has its verbs and output, the library does the work.

mod cli;

use std::io::Write;
use std::process::ExitCode;

use memsnap::program::heap::{self, Heap};

#[global_allocator]
static HEAP: Heap = Heap;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    if memsnap::program::watchdog::run_if_asked(&args) {
        return ExitCode::SUCCESS;
    }
    // A file that reaches `ulimit -f` is an error to report; the signal would end the process.
    memsnap::program::signal::ignore_sigxfsz();
    // Ctrl-Z must not leave other programs waiting for a lease.
    memsnap::program::stop::give_leases_back_first();
    // A mapped file that shrinks while it is read is an error to report.
    memsnap::program::guard::install();
    if !heap::stack_is_enough() {
        let least = heap::STACK >> 10;
        let message = format!("memsnap: the stack limit is below {least} KiB\n  hint: raise it (ulimit -s {least})\n");
        let _ = std::io::stderr().write_all(message.as_bytes());
        return ExitCode::from(2); // trouble, as in memsnap(1)
    }
    cli::main(args).into()
}
