//! What happens around the moment of capture: `--pre` and `--post`; and captures again and again, `--every`.

use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use super::case::{Case, Ran, needs, signal, start};
use super::util::eventually;

/// What the commands wrote.
fn notes(case: &Case) -> String {
    String::from_utf8(std::fs::read(case.path("notes")).unwrap_or_default()).unwrap()
}

fn begin(case: &Case, args: &[&str]) -> Child {
    // Of a group of its own, so that no signal is ignored.
    start(case.memsnap(args).process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()))
}

fn end(child: Child) -> Ran {
    Ran::of(child.wait_with_output().unwrap(), "snap".into())
}

#[test]
fn commands_run_around_the_reading() {
    let case = Case::with_pages(4);
    // What the first writes is captured, what the second writes is not. Both are asked for a line of stdin.
    let pre = "echo pre >>notes; printf PRE | dd of=f conv=notrunc 2>&1; read line || echo \"$MEMSNAP_FILE\"";
    let post =
        "echo post >>notes; printf POST | dd of=f conv=notrunc status=none; ls .memsnap/*/*.snap | wc -l >>notes";
    let ran = case.run(["snap", "--pre", pre, "--post", post, "f"]).exits(0);
    assert_eq!(ran.out.lines().count(), 1, "{}", ran.out);
    let file = case.path("f").display().to_string();
    assert_eq!(notes(&case), "pre\npost\n0\n");
    let ran = ran.says(&file).says("proven");
    assert!(!ran.err.contains("--post"), "{}", ran.err);
    case.ok("restore -o out f@1");
    assert!(case.read("out").starts_with(b"PRE") && case.read("f").starts_with(b"POST"));
    // For each file of several.
    case.write("g", b"2");
    case.write("notes", b"");
    case.run(["snap", "-q", "--post", "echo \"${MEMSNAP_FILE##*/}\" >>notes", "f", "g"]).exits(0);
    assert_eq!(notes(&case), "f\ng\n");
}

#[test]
fn the_second_command_runs_after_failures() {
    let case = Case::with_pages(4);
    let post = "echo post >>notes";
    case.run(["snap", "--pre", "exit 7", "--post", post, "f"])
        .exits(2)
        .says("running --pre: it ended with exit status 7");
    assert_eq!((notes(&case).as_str(), case.snapshots()), ("post\n", 0));
    // The file is gone when it is to be read.
    case.run(["snap", "--pre", "mv f away", "--post", post, "f"]).exits(2).says("removed");
    assert_eq!((notes(&case).as_str(), case.snapshots()), ("post\npost\n", 0));
    std::fs::rename(case.path("away"), case.path("f")).unwrap();
    // Nothing has begun: the file does not exist.
    case.run(["snap", "--post", post, "none"]).exits(2);
    assert_eq!(notes(&case), "post\npost\n");
    // The second fails: the snapshot is there.
    case.run(["snap", "--post", "kill -9 $$", "f"]).exits(2).says("running --post: signal 9 ended it");
    assert_eq!(case.snapshots(), 1);
}

#[test]
fn the_second_command_runs_before_a_signal_ends_memsnap() {
    let case = Case::with_pages(1024);
    let post = "echo post >>notes; sleep 0.1; echo end >>notes";
    for (name, number, pre) in [
        ("TERM", 15, "echo pre >>notes; exec sleep 60"),
        ("INT", 2, "echo pre >>notes"),
        ("HUP", 1, "echo pre >>notes"),
    ] {
        case.write("notes", b"");
        let child = begin(&case, &["snap", "--always", "--limit-rate", "64k", "--pre", pre, "--post", post, "f"]);
        eventually(|| notes(&case) == "pre\n");
        signal(name, &child);
        let ran = end(child).says("interrupted");
        assert_eq!(ran.signal, Some(number), "{ran:?}");
        assert_eq!((notes(&case).as_str(), case.snapshots()), ("pre\npost\nend\n", 0));
    }
}

#[test]
fn a_store_that_was_frozen_is_noticed() {
    use super::mount::{Fs, Mount, needs_mounts};
    if !needs_mounts() || !needs("fsfreeze") {
        return;
    }
    let (mount, _image) = Mount::empty(Fs::Ext4, 64 << 20);
    let case = mount.case();
    case.write("f", b"frozen");
    let at = mount.at().display();
    let (pre, post) = (format!("fsfreeze -f {at}"), format!("fsfreeze -u {at}"));
    case.run(["snap", "--pre", &pre, "--post", &post, "f"]).exits(2).says("its file system is frozen");
    assert_eq!(case.snapshots(), 0);
    // A store elsewhere can be written to. The file cannot: it is as it was frozen.
    let elsewhere = Case::new();
    let store = elsewhere.path("store").display().to_string();
    case.run(["--store", &store, "snap", "--require", "none", "--pre", &pre, "--post", &post, "f"]).exits(0);
}

#[test]
fn snapshots_at_set_times() {
    let case = Case::with_pages(4);
    let child = begin(&case, &["snap", "--every", "1s", "f"]);
    eventually(|| case.snapshots() == 1);
    case.exits("snap --every 1h f", 75).says("taken by another process already: locked by PID");
    // Others are not in the way.
    case.ok("snap -q -m other --always f");
    case.touch(1, 5);
    eventually(|| case.snapshots() == 3);
    // An error ends nothing.
    std::fs::rename(case.path("f"), case.path("away")).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    std::fs::rename(case.path("away"), case.path("f")).unwrap();
    case.touch(2, 6);
    eventually(|| case.snapshots() == 4);
    signal("TERM", &child);
    let ran = end(child).exits(0);
    // One line for each that is new.
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(lines.len() == 3 && lines.iter().all(|line| line.starts_with("f@")), "{}", ran.out);
    // Ctrl-C, while it waits.
    let child = begin(&case, &["snap", "-q", "--every", "1d", "f"]);
    eventually(|| std::fs::read_to_string("/proc/locks").unwrap().contains(&format!(" {} ", child.id())));
    std::thread::sleep(Duration::from_millis(50));
    signal("INT", &child);
    end(child).exits(0);
}

#[test]
fn a_signal_lets_the_present_capture_finish() {
    let case = Case::with_pages(2048);
    let post = "echo post >>notes";
    let args =
        |rate| ["snap", "-q", "--every", "1s", "--limit-rate", rate, "--pre", "echo pre >>notes", "--post", post, "f"];
    let child = begin(&case, &args("8M"));
    eventually(|| notes(&case) == "pre\n");
    signal("TERM", &child);
    end(child).exits(0);
    assert_eq!((notes(&case).as_str(), case.snapshots()), ("pre\npost\n", 1));
    // A second one does not, but the second command runs.
    case.write("notes", b"");
    case.touch(1, 9);
    let mut child = begin(&case, &args("256k"));
    eventually(|| notes(&case) == "pre\n");
    // Two that come at once are one.
    while child.try_wait().unwrap().is_none() {
        signal("TERM", &child);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(end(child).signal, Some(15));
    assert_eq!((notes(&case).as_str(), case.snapshots()), ("pre\npost\n", 1));
}
