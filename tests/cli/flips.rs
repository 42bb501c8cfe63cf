//! Every bit of every file of a store, flipped, and what the program makes of it: the bytes that were kept, or an
//! error; and `verify` says so. A sample of them; all with `MEMSNAP_NIGHTLY=1`.

use std::fs;
use std::path::Path;

use super::case::{Case, PAGE, Ran};
use super::util::{by_size, walk};

/// One of so many bits is flipped.
const STEP: usize = 61;

/// What a flipped bit may do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Nothing can be read without it, or it is part of what is kept: it is noticed.
    Kept,
    /// It is used only as far as it proves itself, or not read at all: nothing is lost.
    Disposable,
}

fn role(path: &Path) -> Role {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("digests" | "evidence" | "clone" | "cloned" | "lock" | "inode" | ".gitignore") => Role::Disposable,
        _ => Role::Kept,
    }
}

/// Two snapshots of one small file, a tag, and the record of a revert.
fn small() -> (Case, Vec<u8>) {
    let case = Case::in_memory();
    let text: Vec<u8> = b"all work and no play ".iter().copied().cycle().take(2 * PAGE + 100).collect();
    case.write("f", &text);
    case.ok("snap --tag gold f");
    case.patch("f", 5000, b"x");
    case.ok("snap f");
    case.ok("-q revert --yes f@1");
    (case, text)
}

/// It ended as the manual says, and not by a panic or a signal.
fn ended(ran: &Ran, what: &str) -> i32 {
    match ran.code {
        Some(code @ (0..=5 | 75)) => code,
        code => panic!("{what}: ended with {code:?}: {ran:?}"),
    }
}

fn flip(case: &Case, text: &[u8], path: &Path, bit: usize) {
    let good = fs::read(path).unwrap();
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let mut bad = good.clone();
    bad[bit / 8] ^= 1 << (bit % 8);
    let put = |bytes: &[u8]| {
        fs::write(path, bytes).unwrap();
        fs::File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    };
    put(&bad);
    let what = format!("{}, bit {bit}", path.strip_prefix(case.dir()).unwrap().display());
    let verified = ended(&case.run(["verify"]), &what);
    let restored = case.run(["restore", "f@gold", "-o", "-"]);
    match ended(&restored, &what) {
        0 => assert!(restored.bytes == text, "{what}: wrong bytes"),
        code => assert!(role(path) == Role::Kept && verified != 0, "{what}: restore {code}, verify {verified}"),
    }
    let changes = ended(&case.run(["diff", "f@1", "f"]), &what);
    match role(path) {
        Role::Kept => assert!(verified == 4 || verified == 2, "{what}: verify {verified}"),
        Role::Disposable => assert!(verified == 0 && changes == 0, "{what}: verify {verified}, diff {changes}"),
    }
    // A cache that does not prove itself has been removed.
    if path.exists() {
        put(&good);
    } else {
        fs::write(path, &good).unwrap();
    }
}

#[test]
fn every_bit() {
    let (case, text) = small();
    let mut paths = Vec::new();
    walk(&case.path(".memsnap"), &mut |path, meta| {
        if !meta.is_dir() {
            paths.push(path.to_path_buf());
        }
    });
    paths.sort();
    let each = by_size(3 * STEP, STEP, 1);
    let mut flips = 0;
    for path in &paths {
        let bits = fs::metadata(path).unwrap().len() as usize * 8;
        // The cache is large and mostly holes.
        let step = if path.ends_with("digests") { each * 61 } else { each };
        for bit in (flips % each..bits).step_by(step) {
            flip(&case, &text, path, bit);
            flips += 1;
        }
    }
    eprintln!("{flips} flips in {} files", paths.len());
    assert!(flips > by_size(60, 300, 300));
    assert_eq!(case.ok("restore f@gold -o -").bytes, text);
    case.ok("verify").shows("all good");
}
