//! File systems of all kinds, mounted for one test each: docs/filesystems.md says what works on which.

use super::case::{Case, Ran, finish, has, is_root, program, skip};
use super::util::chmod;

/// What the shell scripts end with where a file system is not to be had; the reason is on stderr.
const NOT_HERE: i32 = 77;

/// A target with a hole, two of its states, and every verb on it; the store is in `$1`.
const WORK: &str = r#"
head -c 400000 /dev/urandom >f; truncate -s 900000 f 2>/dev/null || head -c 500000 /dev/zero >>f
chmod 600 f || true; cp f one
"$M" --store "$1" snap -q --require none --tag gold f
printf changed | dd of=f conv=notrunc bs=1 seek=5000 status=none; cp f two
"$M" --store "$1" snap -q --require none f
"$M" --store "$1" revert -q --yes f@gold; cmp f one
"$M" --store "$1" undo -q --yes f; cmp f two
"$M" --store "$1" restore -q f@1 -o out; cmp out one
"$M" --store "$1" restore -q f@1 -o out && exit 1 || [ $? = 2 ]
"$M" --store "$1" restore -q f@2 --force --yes -o out; cmp out two
"$M" --store "$1" delta make -q f@1 f@2 -o d
"$M" --store "$1" apply -q --yes one d -o patched; cmp patched two
"$M" --store "$1" apply -q --yes one d; cmp one two
"$M" --store "$1" edit -q --yes f --at 0 --hex 00
"$M" vec create -q v --type u8; "$M" vec push -q v 1 2 3; "$M" vec create -q v --type u8 && exit 1 || [ $? = 2 ]
"$M" --store "$1" verify -q
if find "$1" . -name 'tmp-*' | grep .; then exit 1; fi
"#;

/// Runs a script in a name space of mounts of its own, which take `setup` to make at `m`. None where that is not possible:
/// a missing program is a failure where all must run (`MEMSNAP_CI`), what the kernel lacks is not.
pub(crate) fn mounted(programs: &[&str], setup: &str, script: &str) -> Option<(Case, Ran)> {
    if !is_root() || !has("unshare") {
        skip("only root may mount");
        return None;
    }
    if let Some(missing) = programs.iter().find(|name| !has(name)) {
        skip(&format!("{missing} is not there"));
        return None;
    }
    let case = Case::in_memory();
    std::fs::create_dir(case.path("m")).unwrap();
    let setup = format!("set -e; ( {setup} ) >setup 2>&1 || {{ cat setup >&2; exit {NOT_HERE}; }}");
    let all = format!("{setup}\nmountpoint -q m || exit 78\ncd m\n{script}");
    let mut command = case.command("unshare");
    let ran = finish(command.args(["-m", "sh", "-c", &all, "sh", ".memsnap"]).env("M", program()));
    if ran.code == Some(NOT_HERE) || ran.err.contains("unshare") {
        let why: Vec<_> = ran.err.lines().filter(|line| !line.trim().is_empty()).collect();
        eprintln!("skipped: {}", why.join("; "));
        return None;
    }
    Some((case, ran))
}

/// All verbs work there, with the store beside the file.
#[track_caller]
fn works(programs: &[&str], setup: &str) {
    if let Some((_case, ran)) = mounted(programs, setup, WORK) {
        ran.exits(0);
    }
}

/// Nothing is stored there, and what the error says helps: another place for the store.
#[track_caller]
fn refused(programs: &[&str], setup: &str, says: &[&str]) {
    let script = "echo x >f; \"$M\" snap f && exit 1 || [ $? = 2 ]; ! ls .memsnap/f-*/*.snap 2>/dev/null";
    if let Some((_case, ran)) = mounted(programs, setup, script) {
        let ran = ran.exits(0).says("--store");
        assert!(says.iter().all(|text| ran.err.contains(text)), "{ran:?}");
    }
    let elsewhere = WORK.replace("\"$1\"", "../elsewhere");
    if let Some((_case, ran)) = mounted(programs, setup, &elsewhere) {
        ran.exits(0);
    }
}

const IMAGE: &str = "truncate -s 512M image";

/// exFAT by a program, which wants a block device: that goes when it is unmounted.
fn exfat(options: &str) -> String {
    format!(
        "{IMAGE}; mkfs.exfat image >/dev/null; d=$(losetup -f --show image)
         mount.exfat-fuse {options} $d m || r=1; losetup -d $d; exit ${{r:-0}}"
    )
}

#[test]
fn xfs() {
    works(&["mkfs.xfs"], &format!("{IMAGE}; mkfs.xfs -q image; mount -o loop image m"));
}

#[test]
fn btrfs() {
    works(&["mkfs.btrfs"], &format!("{IMAGE}; mkfs.btrfs -q image; mount -o loop image m"));
}

#[test]
fn in_memory() {
    works(&[], "mount -t tmpfs none m");
    works(&[], "mount -t ramfs none m");
}

#[test]
fn overlayfs() {
    let setup =
        "mkdir l u; mount -t tmpfs none u; mkdir u/u u/w; mount -t overlay -o lowerdir=l,upperdir=u/u,workdir=u/w x m";
    works(&[], setup);
}

/// A program that hands on another directory, and what the kernel remembers of it may be a second old.
#[test]
fn bindfs() {
    works(&["bindfs"], "mkdir under; chmod 755 under; bindfs under m");
    works(&["bindfs"], "mkdir under; chmod 755 under; bindfs -o attr_timeout=60,entry_timeout=60 under m");
}

#[test]
fn ntfs_3g() {
    let make = format!("{IMAGE}; mkntfs -QF image");
    works(&["mkntfs", "ntfs-3g"], &format!("{make}; ntfs-3g -o permissions image m"));
    works(&["mkntfs", "ntfs-3g"], &format!("{make}; ntfs-3g -o umask=077 image m"));
    refused(&["mkntfs", "ntfs-3g"], &format!("{make}; ntfs-3g image m"), &["others can write", "fuse"]);
}

/// Neither links, nor modes, nor owners, nor renames that do not replace.
#[test]
fn exfat_by_a_program() {
    let programs = ["mkfs.exfat", "mount.exfat-fuse"];
    works(&programs, &exfat("-o umask=077"));
    refused(&programs, &exfat(""), &["others can write", "fuse"]);
}

#[test]
fn fat_and_exfat_by_the_kernel() {
    for (kind, make) in [("vfat", "mkfs.vfat image >/dev/null"), ("exfat", "mkfs.exfat image >/dev/null")] {
        works(&["mkfs.vfat", "mkfs.exfat"], &format!("{IMAGE}; {make}; mount -t {kind} -o loop,umask=077 image m"));
    }
}

/// Where others can read all files, only what they can read anyway is stored.
#[test]
fn without_modes_a_store_holds_what_all_may_read() {
    let setup = exfat("-o umask=022");
    let script = r#"
        echo here >f; "$M" snap --require none f
        echo secret >../secret; chmod 600 ../secret
        "$M" --store own snap ../secret && exit 1 || [ $? = 2 ]
        ! ls own/secret-*/*.snap 2>/dev/null
        "$M" --store own edit --yes ../secret --at 0 --hex 00 && exit 1 || [ $? = 2 ]
        chmod 640 ../secret; "$M" --store own snap ../secret && exit 1 || [ $? = 2 ]
        chmod 644 ../secret; "$M" --store own snap ../secret; "$M" --store own restore ../secret@1 -o out"#;
    if let Some((case, ran)) = mounted(&["mkfs.exfat", "mount.exfat-fuse"], &setup, script) {
        let ran = ran.exits(0).says("others can read").says("(mode 600)").says("(mode 640)").says("--store");
        assert_eq!(ran.err.matches("others can read").count(), 3, "{ran:?}");
        assert_eq!(case.read("secret"), b"secret\n");
    }
}

/// A store that was copied without its modes is as good as open.
#[test]
fn a_copied_store_that_others_can_read() {
    let case = Case::with_pages(3);
    chmod(case.path("f"), 0o600);
    case.ok("snap f");
    finish(case.command("sh").args(["-c", "umask 022; cp -r .memsnap copy; chmod -R go+rX copy"])).exits(0);
    let ran = case.exits("--store copy snap --always f", 2).says("others can read");
    let chmod = ran.err.lines().find_map(|line| line.split_once("hint: ")).unwrap().1;
    finish(case.command("sh").args(["-c", chmod])).exits(0);
    case.ok("--store copy snap --always f");
}

/// Where a name is claimed by an empty file before it is given, being killed in between leaves that.
#[test]
fn a_store_whose_making_was_cut_short() {
    let case = Case::with_pages(3);
    for name in ["", "format"] {
        finish(case.command("sh").args(["-c", "rm -rf .memsnap; mkdir -m 700 .memsnap"])).exits(0);
        if !name.is_empty() {
            case.write(".memsnap/format", b"");
        }
        case.exits("log f", 2).says("was interrupted");
        case.ok("snap f");
        case.ok("verify");
    }
}
