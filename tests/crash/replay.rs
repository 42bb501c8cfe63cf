//! The power goes while a disk writes: what a disk with a volatile cache may hold then is everything from before
//! some flush, and of what came after it, up to the next flush, anything: none, all, the first few, any others.

use std::collections::HashSet;

use crate::blocks::Blocks;
use crate::case::{finish, noise};
use crate::disk::{Disk, Event, needs_fuse};
use crate::mount::{Device, Fs, Mount, needs_mounts};
use crate::points::Findings;
use crate::power::without_syncs;
use crate::scene::Scene;
use crate::scenes::scene;
use crate::stage::Stage;
use crate::tour::{chosen, nothing_found};
use crate::trace::{Subject, needs_strace};
use crate::util::{by_size, nightly};

/// The requests to a disk while the victim ran, and until it was unmounted.
struct Recording {
    before: Blocks,
    events: Vec<Event>,
}

/// What a disk may hold after a cut.
struct Image {
    what: String,
    blocks: Blocks,
    /// The victim had ended with success.
    acknowledged: bool,
    /// An end of an epoch: tried in any case.
    plain: bool,
}

/// Tries at most `limit` different images of what the scene's command writes.
pub(crate) fn replayed(scene: &Scene, fs: Fs, subject: &Subject, limit: usize, seed: u64) -> Findings {
    let known = scene.know();
    // Its device is there first, so that it has another number: so may a disk after a restart.
    let mut stage = Stage::of(fs);
    let recording = record(scene, fs, subject);
    let mut findings = Findings::default();
    for image in sample(images(&recording, seed), limit) {
        let what = format!("{} on {fs:?}, {}", scene.name, image.what);
        let said = stage.lay(&image.blocks).and_then(|case| scene.check(&case, &known, image.acknowledged));
        findings.note(&what, said);
    }
    findings
}

/// Runs the victim on a disk that is watched.
fn record(scene: &Scene, fs: Fs, subject: &Subject) -> Recording {
    let disk = Disk::new(fs.len()).unwrap();
    fs.make(&disk.file());
    let device = Device::new(&disk.file()).unwrap();
    // The kernel must believe that the disk has a cache, or it sends no flushes; a write that is to be on the disk when
    // it is answered must come as a write and a flush.
    assert_eq!((device.queue("write_cache").as_str(), device.queue("fua").as_str()), ("write back", "0"));
    let mut mount = Mount::new(fs, device).unwrap();
    let case = mount.case();
    scene.prepare(&case);
    mount.sync();
    let before = disk.watch();
    finish(&mut subject.command(&case, scene.words)).exits(0);
    disk.acknowledge();
    mount.sync();
    mount.down();
    let events = disk.log();
    assert!(events.iter().any(|event| matches!(event, Event::Flush)), "{}: no flush came", scene.name);
    Recording { before, events }
}

/// Everything that is tried of a recording, each image once.
fn images(recording: &Recording, seed: u64) -> Vec<Image> {
    let mut epochs = recording.events.split(|event| matches!(event, Event::Flush)).enumerate();
    let (mut flushed, mut acknowledged) = (recording.before.clone(), false);
    let (mut seen, mut images) = (HashSet::new(), Vec::new());
    for (number, epoch) in &mut epochs {
        acknowledged |= epoch.iter().any(|event| matches!(event, Event::Acknowledged));
        let writes: Vec<(u64, &[u8])> = epoch
            .iter()
            .filter_map(|event| if let Event::Write { at, bytes } = event { Some((*at, &bytes[..])) } else { None })
            .collect();
        for (kind, chosen) in subsets(writes.len(), seed ^ (number as u64) << 32) {
            let mut blocks = flushed.clone();
            writes
                .iter()
                .zip(&chosen)
                .filter(|(_, chosen)| **chosen)
                .for_each(|((at, bytes), _)| blocks.put(*at, bytes));
            if seen.insert((blocks.digest(&recording.before), acknowledged)) {
                let n = chosen.iter().filter(|chosen| **chosen).count();
                let what = format!("after flush {number} {n} of {} writes ({kind})", writes.len());
                images.push(Image { what, blocks, acknowledged, plain: kind == "none" || kind == "all" });
            }
        }
        writes.iter().for_each(|(at, bytes)| flushed.put(*at, bytes));
    }
    images
}

/// Which of `n` writes have come to the disk.
fn subsets(n: usize, seed: u64) -> Vec<(&'static str, Vec<bool>)> {
    let some = |most: usize| (0..n).step_by(n.div_ceil(most).max(1));
    let mut out = vec![("none", vec![false; n]), ("all", vec![true; n])];
    out.extend(some(8).map(|end| ("the first", (0..n).map(|i| i <= end).collect())));
    out.extend(some(6).map(|one| ("all but one", (0..n).map(|i| i != one).collect())));
    out.extend(some(6).map(|one| ("one", (0..n).map(|i| i == one).collect())));
    let random = |round| noise(seed ^ round, n);
    out.extend((1..=8).map(|round| ("random", random(round).iter().map(|byte| byte & 1 == 0).collect())));
    out
}

/// The plain ones, and of the others as many, evenly, as fit.
fn sample(images: Vec<Image>, limit: usize) -> Vec<Image> {
    let (mut plain, rest): (Vec<_>, Vec<_>) = images.into_iter().partition(|image| image.plain);
    let room = limit.saturating_sub(plain.len()).min(rest.len());
    let total = rest.len();
    plain.extend(
        rest.into_iter()
            .enumerate()
            .filter(|(i, _)| i * room / total != (i + 1) * room / total)
            .map(|(_, image)| image),
    );
    plain.truncate(limit);
    plain
}

/// At most `limit` images for each scene, where everything is run.
fn everywhere(fs: Fs, limit: usize) {
    if needs_mounts() && needs_strace() && needs_fuse() {
        let limit = by_size(20, 60, limit);
        nothing_found(&format!("disk with {fs:?}"), &chosen(&["snap later", "revert"]), |scene| {
            replayed(scene, fs, &Subject::sound(), limit, 1)
        });
    }
}

#[test]
fn disks_with_ext4() {
    everywhere(Fs::Ext4, 80);
}

#[test]
fn disks_with_ext4_without_order() {
    if nightly() {
        everywhere(Fs::Ext4Writeback, 40);
    }
}

#[test]
fn disks_with_xfs() {
    if nightly() {
        everywhere(Fs::Xfs, 80);
    }
}

/// The harness notices a program that leaves its fsyncs out.
#[test]
fn a_disk_that_is_not_waited_for_is_noticed() {
    if needs_mounts() && needs_strace() && needs_fuse() {
        let (dir, subject) = without_syncs();
        let found = replayed(&scene("snap later"), Fs::Ext4, &subject, 20, 1);
        assert!(!found.failures.is_empty(), "{found:?}");
        drop(dir);
    }
}
