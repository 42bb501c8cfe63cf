#!/usr/bin/env bash
# benches/unchanged.sh [PROGRAM [GIB]]: what `snap` and `diff FILE` of a file cost that did not change since it was read,
# cached and not: GIB of noise, and a sparse file of 1 TiB. Needs root (to empty the page cache), ext4, xfs or btrfs, and
# 2 times GIB of disk in TMPDIR. The whole command, the best and the median of 15 runs; the limit is 5 ms, and 10 ms for
# each GiB in the page cache.
set -euo pipefail
program=$(realpath "${1:-target/release/memsnap}") gib=${2:-4}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
head -c "${gib}G" /dev/urandom >noise
truncate -s 1T sparse
printf x | dd of=sparse bs=1 seek=512G conv=notrunc status=none
sync noise sparse
"$program" -q snap --compress none noise sparse >/dev/null
measure() { # WHAT
    for file in noise sparse; do
        for verb in snap diff; do
            python3 - "$1, $file, $verb" "$program" "$verb" --json "$file" <<'PYTHON'
import json, subprocess, sys, time
times = []
for _ in range(15):
    began = time.perf_counter()
    out = subprocess.run(sys.argv[2:], check=True, stdout=subprocess.PIPE).stdout
    times.append((time.perf_counter() - began) * 1e3)
    assert json.loads(out.splitlines()[-1])["read"] == "nothing", out
times.sort()
print(f"{sys.argv[1]}: {times[0]:.1f} ms, median {times[7]:.1f} ms")
PYTHON
        done
    done
}
cat noise >/dev/null
measure "cached"
echo 1 >/proc/sys/vm/drop_caches
measure "not cached"
