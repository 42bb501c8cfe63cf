//! A disk that fails while it is asked to keep what was written, and one that only claims to have written it.

use crate::case::{Ran, finish};
use crate::directory::{Kept, in_memory};
use crate::faults::survived;
use crate::points::{Calls, Findings};
use crate::scene::Scene;
use crate::scenes::{scene, scenes};
use crate::trace::{Subject, needs_strace};
use crate::util::by_size;

/// An fsync that fails fails the verb, and is not called a second time: the kernel reports a failure once.
pub(crate) fn syncs_that_fail(subject: &Subject, scene: &Scene) -> Findings {
    let (_dir, case) = in_memory();
    let known = scene.know();
    scene.prepare(&case);
    let ground = Kept::of(&case);
    let calls = Calls::of(subject, &case, scene.words, "fsync,fdatasync");
    let mut found = Findings::default();
    for point in calls.all() {
        ground.put_back(&case);
        let log = tempfile::NamedTempFile::new().unwrap();
        let inject = format!("inject={}:error=EIO:when={}", point.call, point.nth);
        let options = ["-y", "-o", log.path().to_str().unwrap(), "-e", "trace=fsync,fdatasync", "-e", &inject];
        let ran = finish(&mut subject.strace(&case, &options, scene.words));
        let trace = std::fs::read_to_string(log.path()).unwrap();
        let result = not_asked_again(&trace).and_then(|()| match ran.code {
            Some(2) => survived(scene, &case, &known, &ran),
            code => Err(format!("ended with {code:?}")),
        });
        found.note(format!("{}, EIO from {point}", scene.name), result);
    }
    found
}

/// A disk that claims writes and does not make them: what is read back shows it.
pub(crate) fn a_disk_that_lies(subject: &Subject) -> Findings {
    let (_dir, case) = in_memory();
    let scene = scene("revert");
    scene.prepare(&case);
    let ground = Kept::of(&case);
    let log = tempfile::NamedTempFile::new().unwrap();
    let options = ["-y", "-o", log.path().to_str().unwrap(), "-e", "trace=pwrite64"];
    finish(&mut subject.strace(&case, &options, scene.words));
    let trace = std::fs::read_to_string(log.path()).unwrap();
    let target = format!("<{}>", case.path("f").display());
    let mut found = Findings::default();
    let writes = trace.lines().filter(|line| line.contains("pwrite64("));
    for (i, line) in writes.enumerate().filter(|(_, line)| line.contains(&target)) {
        ground.put_back(&case);
        let claimed = line.rsplit_once("= ").expect("a whole call").1;
        let ran = subject.inject(&case, scene.words, "pwrite64", &format!("retval={claimed}:when={}", i + 1));
        let result = match ran.code {
            Some(2) if ran.err.contains("read back") => Ok(()),
            _ => Err(format!("it was accepted: {ran:?}")),
        };
        found.note(format!("write {}", i + 1), result);
    }
    found
}

/// The C library takes some errors of a listing for its end. What is not listed then is not taken for gone: nothing
/// that a snapshot needs is swept away.
#[test]
fn a_listing_that_ends_early() {
    if !needs_strace() {
        return;
    }
    let (_dir, case) = in_memory();
    scene("snap later").prepare(&case);
    // As a writer that was killed leaves it.
    std::fs::write(case.history().join("lock"), "w").unwrap();
    let ground = Kept::of(&case);
    let calls = Calls::of(&Subject::sound(), &case, "snap f", "getdents64");
    assert!(calls.all().len() > 3);
    for point in calls.all() {
        ground.put_back(&case);
        let fault = format!("error=ENOENT:when={}", point.nth);
        let ran = Subject::sound().inject(&case, "snap f", &point.call, &fault);
        assert!(case.stored(".pack").len() > 1 || ran.code != Some(0), "{point}: {ran:?}");
        case.ok("verify");
        case.ok("-q restore f@1 -o -");
    }
}

fn not_asked_again(trace: &str) -> Result<(), String> {
    // The file between < and >; one without a name is shown by its inode.
    let file = |line: &str| Some(line.split_once("sync(")?.1.split_once('<')?.1.split_once('>')?.0.to_string());
    let mut lines = trace.lines().skip_while(|line| !line.contains("(INJECTED)"));
    let failed = lines.next().and_then(file).ok_or_else(|| format!("nothing was injected: {trace}"))?;
    match lines.find(|line| file(line).as_ref() == Some(&failed)) {
        Some(again) => Err(format!("asked again: {again}")),
        None => Ok(()),
    }
}

#[test]
fn a_disk_that_fails() {
    if !needs_strace() {
        return;
    }
    let mut found = Findings::default();
    let step = by_size(3, 1, 1);
    for scene in scenes().into_iter().step_by(step) {
        found.add(syncs_that_fail(&Subject::sound(), &scene));
    }
    eprintln!("fsync: {} failures", found.points);
    assert!(found.points > by_size(12, 50, 50));
    found.must_be_none();
}

/// After an fsync that failed the cache has the new pages, and the disk perhaps not: recovery writes all of them again.
#[test]
fn what_was_not_synced_is_written_again() {
    if !needs_strace() {
        return;
    }
    let subject = Subject::sound();
    let (_dir, case) = in_memory();
    let scene = scene("revert");
    scene.prepare(&case);
    let ground = Kept::of(&case);
    let target = format!("<{}>", case.path("f").display());
    let of_target = |words: &str, extra: &[&str]| -> (Ran, Vec<String>) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let common = ["-y", "-o", log.path().to_str().unwrap(), "-e", "trace=pwrite64,fsync"];
        let ran = finish(&mut subject.strace(&case, &[&common, extra].concat(), words));
        let text = std::fs::read_to_string(log.path()).unwrap();
        (
            ran,
            text.lines().filter(|line| line.contains("fsync(") || line.contains(&target)).map(str::to_owned).collect(),
        )
    };
    let (_, lines) = of_target(scene.words, &[]);
    let syncs = || lines.iter().filter(|line| line.contains("fsync("));
    let nth = syncs().position(|line| line.contains(&target)).expect("the target is synced") + 1;
    let writes = |lines: &[String]| lines.iter().filter(|line| line.contains("pwrite64(")).count();
    let wanted = writes(&lines);
    assert!(wanted >= 4, "{lines:?}");
    ground.put_back(&case);
    let (ran, _) = of_target(scene.words, &["-e", &format!("inject=fsync:error=EIO:when={nth}")]);
    ran.exits(2).says("nput/output error").says("half changed");
    case.ok("log f").says("interrupted");
    case.exits("snap f", 2).says("interrupted");
    let (ran, lines) = of_target("recover --yes f", &[]);
    ran.exits(0);
    assert_eq!(writes(&lines), wanted, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("fsync(") && line.contains(&target)), "{lines:#?}");
    case.ok("verify");
}
