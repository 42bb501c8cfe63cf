//! Many small snapshots of a large sparse file: the store stays near the pages, and the newest image as near as the
//! first.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use memsnap::page::{PAGE, PAGE64};
use memsnap::store::Ref;

use super::ground::{Ground, noise};

const LEN: u64 = 1 << 30;
const PAGES_EACH: u64 = 100;
/// As many as fit into a run of all tests; MEMSNAP_MANY says another number: 1000 in `.ci/run`, 10000 is promised.
const SNAPSHOTS: u64 = 30;

fn bytes_below(dir: &Path) -> u64 {
    let below = |entry: std::fs::DirEntry| {
        let meta = entry.metadata().unwrap();
        if meta.is_dir() { bytes_below(&entry.path()) } else { meta.len() }
    };
    std::fs::read_dir(dir).unwrap().map(|entry| below(entry.unwrap())).sum()
}

/// Reads the first page of every 64 MiB and 64 pages that are stored, and all of the map.
fn read(ground: &Ground, number: u64, written: &HashMap<u64, u64>) -> Duration {
    let history = ground.history();
    let began = Instant::now();
    let image = history.image(history.resolve(&Ref::Number(number)).unwrap()).unwrap();
    let mut pages = history.packs().pages();
    let (mut stored, mut sampled) = (0, 0);
    let step = (written.len() as u64 / 64).max(1);
    for run in image.runs_in([memsnap::page::PageRange::of_len(LEN)]) {
        let run = run.unwrap();
        for n in 0..run.pages.len() {
            let memsnap::pack::Source::Pack(pack, source) = run.source.advance(n) else { break };
            stored += 1;
            if stored % step == 0 {
                let mut bytes = [0; PAGE];
                pages.read(pack, source, &mut bytes).unwrap();
                let seed = written[&(run.pages.start + n)];
                assert!(bytes[..] == noise(seed, PAGE)[..], "@{number} page {}", run.pages.start + n);
                sampled += 1;
            }
        }
    }
    assert_eq!(stored, written.len() as u64, "@{number} holds other pages");
    assert!(sampled > 0);
    began.elapsed()
}

#[test]
fn many_small_snapshots_of_a_large_file() {
    let count = std::env::var("MEMSNAP_MANY").ok().and_then(|n| n.parse().ok()).unwrap_or(SNAPSHOTS);
    // All that was read of the file and was not cached leaves the cache again: on a disk, each snapshot reads all of
    // it.
    let ground = if count <= 1000 { Ground::in_memory(b"") } else { Ground::new(b"") };
    ground.open().set_len(LEN).unwrap();
    let mut random = u64::from_le_bytes(noise(7, 8).try_into().unwrap());
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let (mut written, mut first) = (HashMap::new(), HashMap::new());
    let (mut pages, mut slowest, began) = (0, Duration::ZERO, Instant::now());
    for number in 1..=count {
        let file = ground.open();
        let mut now = HashMap::new();
        while (now.len() as u64) < PAGES_EACH {
            let (page, seed) = (next() % (LEN / PAGE64), next());
            now.insert(page, seed);
            file.write_all_at(&noise(seed, PAGE), page * PAGE64).unwrap();
        }
        drop(file);
        pages += PAGES_EACH;
        written.extend(now);
        let report = ground.snap().unwrap();
        assert_eq!((report.number, report.pages_changed), (number, PAGES_EACH));
        slowest = slowest.max(report.elapsed);
        if number == 1 {
            first = written.clone();
        }
    }
    let elapsed = began.elapsed();
    // Of both, the second reading: the first brings the store's files into the cache.
    read(&ground, 1, &first);
    read(&ground, count, &written);
    let (oldest, newest) = (read(&ground, 1, &first), read(&ground, count, &written));
    let stored = bytes_below(ground.history().dir());
    let cache = std::fs::metadata(ground.history().dir().join("digests")).map_or(0, |m| m.len());
    let factor = (stored - cache) as f64 / (pages * PAGE64) as f64;
    let per_page = |t: Duration, n: usize| t.as_secs_f64() * 1e6 / n as f64;
    eprintln!(
        "{count} snapshots of {PAGES_EACH} pages in {elapsed:.1?} (slowest {slowest:.1?}): stored {factor:.3} x the \
         pages; reading @1 {oldest:.1?} ({:.2} us a page), @{count} {newest:.1?} ({:.2} us a page)",
        per_page(oldest, first.len()),
        per_page(newest, written.len()),
    );
    assert!(factor <= 1.3, "the store is {factor:.3} x the pages");
    // The newest holds up to a thousand times the pages of the first: it may cost as much more a page, plus a
    // constant, but not what a chain of as many differences would.
    let most = Duration::from_millis(500) + oldest * 20 + Duration::from_micros(40) * written.len() as u32;
    assert!(newest < most, "reading the newest image took {newest:?}");
}
