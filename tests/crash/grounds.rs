//! What the scenes begin with: a directory with a target, a history, an interrupted change.

use std::sync::OnceLock;

use crate::case::{Case, PAGE, noise};
use crate::trace::{Subject, was_killed};

pub(crate) fn pages(case: &Case) {
    case.write("f", &noise(1, 40 * PAGE));
}

/// Three files without a history.
pub(crate) fn three(case: &Case) {
    pages(case);
    case.write("g", &noise(2, 3 * PAGE + 1));
    case.write("h", &noise(3, 9 * PAGE));
}

/// Several separate runs of pages differ from the snapshot.
pub(crate) fn changed(case: &Case) {
    pages(case);
    case.ok("snap f");
    [2, 6, 10, 30].iter().for_each(|page| case.touch(*page, page + 100));
}

/// It has also become longer, and ends within a page.
pub(crate) fn grown(case: &Case) {
    changed(case);
    case.set_len("f", 45 * PAGE as u64 + 7);
}

pub(crate) fn reverted(case: &Case) {
    grown(case);
    case.ok("revert --yes f@1");
}

pub(crate) fn with_delta(case: &Case) {
    changed(case);
    case.ok("delta make f@1 f -o d");
    case.ok("revert --yes f@1");
}

pub(crate) fn with_output(case: &Case) {
    changed(case);
    case.write("out", &noise(7, 3 * PAGE + 5));
}

/// A revert was killed between its writes.
pub(crate) fn interrupted(case: &Case) {
    /// Which of its writes to stop before: the third into the target.
    static NTH: OnceLock<usize> = OnceLock::new();
    let nth = NTH.get_or_init(|| {
        let between = |n: &usize| {
            let case = Case::new();
            grown(&case);
            killed_revert(&case, *n);
            case.read("f")[..PAGE * 7] == noise(1, PAGE * 7) && case.run(["snap", "f"]).code == Some(2)
        };
        (1..30).find(between).expect("no kill fell between the writes")
    });
    grown(case);
    killed_revert(case, *nth);
    case.exits("snap f", 2).says("interrupted");
}

fn killed_revert(case: &Case, nth: usize) {
    let ran = Subject::sound().inject(case, "revert --yes f@1", "pwrite64", &format!("signal=SIGKILL:when={nth}"));
    assert!(was_killed(&ran), "{ran:?}");
}

/// A log lies beside the file that the snapshot does not have.
pub(crate) fn with_log(case: &Case) {
    grown(case);
    let mut journal = vec![0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    journal.extend(noise(5, 3 * PAGE));
    case.write("f-journal", &journal);
}

pub(crate) fn reverted_with_log(case: &Case) {
    with_log(case);
    case.ok("revert --yes f@1");
}

/// A revert of both was killed between its writes to the file: the log is gone already.
pub(crate) fn interrupted_with_log(case: &Case) {
    static NTH: OnceLock<usize> = OnceLock::new();
    let nth = NTH.get_or_init(|| {
        let between = |n: &usize| {
            let case = Case::new();
            with_log(&case);
            killed_revert(&case, *n);
            let begun = case.read("f")[..PAGE * 7] == noise(1, PAGE * 7) && !case.path("f-journal").exists();
            begun && case.run(["snap", "f"]).code == Some(2)
        };
        (1..60).find(between).expect("no kill fell between the writes")
    });
    with_log(case);
    killed_revert(case, *nth);
    case.exits("snap f", 2).says("interrupted");
}

/// A page of the pack has rotted; the file still has it.
pub(crate) fn damaged(case: &Case) {
    changed(case);
    case.ok("snap f");
    let pack = case.stored(".pack").remove(0);
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
}

pub(crate) fn moved(case: &Case) {
    changed(case);
    std::fs::rename(case.path("f"), case.path("g")).unwrap();
}

pub(crate) fn vector(case: &Case) {
    case.ok("vec create v --type u64");
    let text: String = (0..1500).map(|n: u64| format!("{}\n", n * 0x0101_0101)).collect();
    case.write("numbers", text.as_bytes());
    case.ok("vec import v numbers");
    case.write("more", b"5\n6\n7\n");
}
