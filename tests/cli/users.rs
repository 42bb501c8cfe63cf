//! Users of a file that do not show as open descriptors: programs that run, loop devices, swap space.

use std::process::{Command, Stdio};

use super::case::{Case, PAGE, finish, has, is_root, no_forks, noise, skip, start};

/// Undoes something at the end of a test, however it ends.
pub(crate) struct Undo<'a>(pub(crate) &'a Case, pub(crate) Vec<String>);

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        let undo: &mut Command = &mut self.0.command(&self.1[0]);
        assert!(start(undo.args(&self.1[1..])).wait().unwrap().success());
    }
}

#[test]
fn a_program_that_runs_is_busy() {
    let case = Case::new();
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let Some(sleep) = std::env::split_paths(&paths).map(|dir| dir.join("sleep")).find(|path| path.is_file()) else {
        return skip("sleep is not there");
    };
    let alone = no_forks();
    std::fs::copy(sleep, case.path("f")).unwrap();
    drop(alone);
    case.ok("snap f");
    case.patch("f", 5, b"x");
    case.ok("snap f");
    let bytes = case.read("f");
    // The name by which the program is started decides what it is.
    let mut running = start(case.command(case.path("f")).arg("60").stdout(Stdio::null()));
    let who = format!("({})", running.id());
    for verb in ["revert --yes f@1", "edit --yes f --at 0 --hex 00", "vec push f 1"] {
        case.exits(verb, 75).says("it is being executed by").says(&who).says("end it first");
    }
    case.ok("snap --always f").says("proven");
    assert!(case.read("f") == bytes);
    running.kill().unwrap();
    running.wait().unwrap();
    case.ok("revert --yes f@1");
}

#[test]
fn loop_devices_are_named() {
    if !is_root() || !has("losetup") {
        return skip("root and losetup are needed");
    }
    for (flag, writes) in [("--nooverlap", true), ("-r", false)] {
        let case = Case::new();
        case.write("f", &noise(1, 256 * PAGE));
        let ran = finish(case.command("losetup").args(["-f", "--show", flag, "f"]));
        if ran.code != Some(0) {
            return skip("no loop device is to be had");
        }
        let device = ran.out.trim().to_string();
        let named = format!("loop device {device}");
        let _undo = Undo(&case, vec!["losetup".into(), "-d".into(), device]);
        if writes {
            case.ok("snap --require none f").says(&format!("open for writing by {named}"));
            case.exits("snap --require proven --always f", 3);
        } else {
            case.ok("snap f").says("proven");
        }
        let ran = case.exits("edit --yes f --at 0 --hex 00", 75).says(&format!("open in {named}"));
        assert!(ran.err.contains("hint: detach it (`losetup -d /dev/"), "{}", ran.err);
        assert_eq!(ran.err.contains("write its own over them"), writes, "{}", ran.err);
        let how = if writes { "writing" } else { "reading" };
        case.ok("stat f").shows(&format!("{named} for {how}"));
        let json = case.ok("stat --json f").json();
        assert_eq!((&json[0]["openers"][0]["pid"], &json[0]["openers"][0]["writes"]), (&0.into(), &writes.into()));
    }
}

#[test]
fn swap_space_is_named() {
    if !is_root() || !has("mkswap") || !has("swapon") {
        return skip("root, mkswap and swapon are needed");
    }
    let case = Case::new();
    case.write("a file", &noise(1, 1 << 20));
    finish(case.command("chmod").args(["600", "a file"])).exits(0);
    finish(case.command("mkswap").arg("a file")).exits(0);
    if finish(case.command("swapon").arg("a file")).code != Some(0) {
        return skip("no file can be swapped to here");
    }
    let undo = Undo(&case, vec!["swapoff".into(), "a file".into()]);
    case.run(["snap", "a file"]).exits(3).says("open for writing by the kernel, as swap space");
    case.run(["edit", "--yes", "a file", "--at", "0", "--text", "x"]).exits(75).says("the kernel, as swap space");
    case.run(["stat", "a file"]).exits(0).shows("the kernel, as swap space for writing");
    drop(undo);
    case.run(["snap", "--always", "a file"]).exits(0).says("proven");
}
