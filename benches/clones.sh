#!/usr/bin/env bash
# benches/clones.sh [PROGRAM [GIB]]: what a snapshot costs where clones are kept, on xfs and btrfs in files that are mounted
# by loop devices. Needs root, and 3 times GIB of disk in TMPDIR. For each number of pages that changed, so far apart
# that each is a run of its own: the scan of all (--clone=never), then extents (--clone=keep), both after the same
# number of changes; the whole command, flush and clone included, and the two alone beside it.
set -euo pipefail
program=$(realpath "${1:-target/release/memsnap}") gib=${2:-4}
work=$(mktemp -d)
trap 'umount "$work"/*/ 2>/dev/null || true; rm -rf "$work"' EXIT
seconds() { python3 -c 'import subprocess,sys,time; t=time.time(); subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); print(f"{(time.time()-t)*1e3:8.0f} ms")' "$@"; }
change() { # FILE RUNS: one page in each of so many runs, flushed with the rest at the next snapshot
    python3 - "$@" <<'PYTHON'
import os, random, sys
path, runs = sys.argv[1], int(sys.argv[2])
file = os.open(path, os.O_RDWR)
pages = os.fstat(file).st_size // 4096
for i in range(runs):
    os.pwrite(file, os.urandom(4096), (pages // runs * i + random.randrange(max(1, pages // runs))) * 4096)
PYTHON
}
for fs in xfs btrfs; do
    truncate -s "$((gib * 3))G" "$work/$fs.image"
    "mkfs.$fs" -q -f "$work/$fs.image" >/dev/null
    mkdir "$work/$fs"
    mount -o loop "$work/$fs.image" "$work/$fs"
    cd "$work/$fs"
    head -c "${gib}G" /dev/urandom >f
    "$program" -q snap --compress none --clone=keep f >/dev/null
    echo "$fs, $gib GiB"
    for runs in 1 100 10000; do
        for how in never keep; do
            [ "$how" = never ] || { "$program" -q snap --clone=keep f >/dev/null; }
            change f "$runs"
            flush=$(seconds sync -d f)
            clone=$(seconds cp --reflink=always f clone)
            rm clone
            whole=$(seconds "$program" -q snap --compress none --require none "--clone=$how" f)
            stored=$("$program" log --json f | tail -1 | grep -o '"bytes_stored":[0-9]*')
            echo "  $runs runs, --clone=$how: $whole (flush $flush, clone $clone), $stored"
        done
    done
    cd /
    umount "$work/$fs"
    rm "$work/$fs.image"
done
