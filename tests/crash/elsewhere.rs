//! The power goes just after a verb has ended, and the disk is mounted in another place: what was finished is finished.

use std::fs::File;

use crate::blocks::Blocks;
use crate::case::Case;
use crate::grounds;
use crate::mount::{Device, Fs, Mount, needs_btrfs, needs_mounts, scratch};
use crate::trace::needs_strace;

/// Plays `prepare` on a new file system, and gives what is on its disk at that moment, mounted elsewhere.
fn cut_after(fs: Fs, prepare: impl FnOnce(&Case)) -> Mount {
    let (mut mount, image) = Mount::empty(fs, 0);
    std::fs::create_dir(mount.at().join("ground")).unwrap();
    mount.sync();
    prepare(&mount.case());
    let on_disk = Blocks::of(&image).unwrap();
    mount.down();
    let dir = scratch();
    let path = dir.path().join("image");
    let copy = File::create_new(&path).unwrap();
    copy.set_len(fs.len()).unwrap();
    on_disk.lay(&copy).unwrap();
    Mount::new(fs, Device::new(&path).unwrap()).unwrap()
}

fn a_finished_change_is_whole(fs: Fs) {
    for words in ["revert --yes f@1", "edit --yes f --at 0 --hex 0102"] {
        let mut whole = Vec::new();
        let mount = cut_after(fs, |case| {
            grounds::changed(case);
            case.ok(words);
            whole = case.read("f");
        });
        let case = mount.case();
        assert!(case.read("f") == whole, "{fs:?}: {words}");
        // Also for a store that knows nothing of the change.
        case.ok("snap --store other f");
        case.ok("recover --yes f").says("no change was interrupted");
        case.ok("snap f");
        case.ok("undo --yes f");
    }
}

#[test]
fn a_finished_change_on_ext4() {
    if needs_mounts() {
        a_finished_change_is_whole(Fs::Ext4);
    }
}

#[test]
fn a_finished_change_on_btrfs() {
    if needs_btrfs() {
        a_finished_change_is_whole(Fs::Btrfs);
    }
}

/// An interrupted one is recovered there, and no store takes the file before.
#[test]
fn an_interrupted_change_on_btrfs() {
    if !needs_btrfs() || !needs_strace() {
        return;
    }
    let mount = cut_after(Fs::Btrfs, |case| {
        grounds::interrupted(case);
        File::open(case.path("f")).unwrap().sync_all().unwrap();
    });
    let case = mount.case();
    case.exits("snap --store other f", 2).says("interrupted").says("`memsnap recover ");
    case.ok("recover --yes f");
    case.ok("diff f@1 f");
    case.ok("snap --store other f");
}
