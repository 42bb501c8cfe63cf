# What is run by hand. `just` lists it.

_list:
    @just --list --unsorted

# What must hold before a change goes in: from a clean checkout.
ci:
    .ci/run

# While you work: unit tests and those of the program, but for attacks and file systems that are mounted. Tests wait more
# than they compute, so more run at once than there are cores.
fast:
    cargo test --quiet --lib --bin memsnap --test cli --test readme -- --test-threads 6 --skip attack --skip filesystems

# Everything at full size: hours.
nightly:
    .ci/nightly

# Writes the manual page, the completions and the golden outputs again.
bless:
    MEMSNAP_BLESS=1 cargo test --release --bin memsnap generated
    MEMSNAP_BLESS=1 cargo test --release --test cli golden
