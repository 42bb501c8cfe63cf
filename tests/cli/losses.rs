//! What is lost or needs the user is a warning, and `-q` does not silence it.

use std::fs::{self, File};

use memsnap::sys::xattr;

use super::case::{Case, PAGE, finish, is_root, noise, skip};
use super::trace::{Subject, needs_strace};
use super::util::chmod;

fn prepared() -> Case {
    let case = Case::with_pages(4);
    case.ok("snap -q f");
    case.touch(1, 2);
    case.ok("snap -q f");
    case.write("g", &noise(3, 4 * PAGE));
    case.ok("delta make -q f g -o d");
    case
}

#[test]
fn bits_that_were_taken_away() {
    let case = prepared();
    for verb in ["edit -q --yes f --at 0 --hex 01", "undo -q --yes f", "apply -q --yes f d", "revert -q --yes f@1"] {
        chmod(case.path("f"), 0o6755);
        case.ok(verb).says("warning: f: its set-uid and set-gid bits were removed");
    }
    chmod(case.path("f"), 0o4711);
    case.ok("snap -q --always --tag powerful f");
    case.ok("restore -q f@powerful -o out").says("warning: out: the file had mode 4711");
    let report = case.ok("restore --json f@powerful -o out2").json().remove(0);
    assert!(report["warnings"][0].as_str().unwrap().contains("4711") && report["notes"][0].is_null(), "{report}");
    case.ok("delta make -q f g -o d2");
    case.ok("apply -q --yes f d2 -o copy").says("are not given to the copy");
    chmod(case.path("f"), 0o755);
    case.touch(2, 5);
    case.ok("revert -q --yes f@powerful").says("warning: f: the snapshot has mode 4711");
}

#[test]
fn what_verify_finds_beside_faults() {
    let case = prepared();
    case.touch(1, 3);
    case.ok("snap -q f");
    fs::remove_file(&case.stored(".snap")[1]).unwrap();
    let ran = case.run("verify -q f".split(' '));
    assert!(ran.err.contains("warning: ") && ran.err.contains("snapshots are missing, by number: 2"), "{}", ran.err);
}

#[test]
fn damaged_history_of_what_is_changed() {
    let case = prepared();
    let packs = case.stored(".pack");
    let pack = packs.iter().max_by_key(|pack| pack.metadata().unwrap().len()).unwrap();
    let mut bytes = fs::read(pack).unwrap();
    let at = bytes.windows(PAGE).position(|page| *page == noise(1, PAGE)[..]).unwrap();
    bytes[at + 7] ^= 1;
    fs::write(pack, bytes).unwrap();
    case.ok("apply -q --yes f d").says("warning: f: damaged pages of earlier snapshots stored again from the file: 1");
}

/// `trusted.*` and `security.*`: kept with the snapshot, and restored by a user who may set them.
#[test]
fn attributes_that_only_root_sets() {
    if !is_root() {
        return skip("only root sets such attributes");
    }
    let case = Case::with_pages(2);
    let file = File::open(case.path("f")).unwrap();
    let mut capability = vec![1, 0, 0, 2, 0, 0x20, 0, 0];
    capability.resize(20, 0);
    let set: [(&[u8], &[u8]); 4] = [
        (b"trusted.note", b"root's"),
        (b"security.note", b"too"),
        (b"user.note", b"all's"),
        (b"security.capability", &capability),
    ];
    for (name, value) in set {
        if let Err(e) = xattr::set(&file, name, value) {
            return skip(&format!("no attributes here: {e}"));
        }
    }
    drop(file);
    case.ok("snap -q f");
    case.ok("restore -q f@1 -o out").says("warning: out: the file had capabilities");
    let out = File::open(case.path("out")).unwrap();
    for (name, value) in &set[..3] {
        assert_eq!(xattr::get(&out, name).unwrap().as_deref(), Some(*value));
    }
    assert_eq!(xattr::get(&out, b"security.capability").unwrap(), None);
    if needs_strace() {
        let options = ["-o", "/dev/null", "-e", "trace=fsetxattr", "-e", "inject=fsetxattr:error=EPERM"];
        let ran = finish(&mut Subject::sound().strace(&case, &options, "restore -q f@1 -o out3")).exits(0);
        for (name, _) in &set[..3] {
            let name = String::from_utf8_lossy(name);
            assert!(ran.err.contains(&format!("warning: out3: attribute {name} was not restored")), "{}", ran.err);
        }
    }
}
