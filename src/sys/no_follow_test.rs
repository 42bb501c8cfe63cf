//! Paths with links on the way, with openat2(2) and without it.

use std::os::unix::fs::symlink;

use super::*;

/// `real` with a file, and `link` that leads to it.
fn linked() -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    let (real, link) = (base.join("real"), base.join("link"));
    std::fs::create_dir(&real).unwrap();
    std::fs::write(real.join("f"), b"f").unwrap();
    symlink(&real, &link).unwrap();
    (dir, real, link)
}

#[test]
fn links_on_the_way_are_not_followed() {
    let (_dir, real, link) = linked();
    let looped = |opened: Result<File, Errno>| opened.is_err_and(|e| e == Errno::LOOP);
    assert!(looped(open_by(&link.join("f"), OFlags::RDONLY)));
    assert!(looped(open_by(&link, OFlags::RDONLY | OFlags::NOFOLLOW)) && looped(name(&link.join("f"))));
    #[cfg(target_os = "linux")]
    assert!(name(&link).unwrap().metadata().unwrap().is_symlink());
    assert!(read_dir(&link).is_err() && read_dir(&real).unwrap().count() == 1);
    assert!(directory(&link).is_err() && make_dir(&link.join("d")).is_err());
    assert!(remove_file(&link.join("f")).is_err() && remove_dir_all(&link).is_err());
    assert!(rename(&link.join("f"), &real.join("g")).is_err() && rename(&real.join("f"), &link.join("g")).is_err());
    assert_eq!(std::fs::read(real.join("f")).unwrap(), b"f");
    make_dir(&real.join("d")).unwrap();
    rename(&real.join("f"), &real.join("d/g")).unwrap();
    remove_file(&real.join("d/g")).unwrap();
    assert!(real.join("d").is_dir() && !real.join("d/g").exists());
}

#[test]
fn all_but_what_links_lead_to_is_removed() {
    let (_dir, real, link) = linked();
    std::fs::create_dir_all(real.join("a/b")).unwrap();
    std::fs::write(real.join("a/b/f"), b"f").unwrap();
    let kept = link.with_file_name("kept");
    std::fs::create_dir(&kept).unwrap();
    std::fs::write(kept.join("f"), b"f").unwrap();
    symlink(&kept, real.join("a/b/out")).unwrap();
    remove_dir_all(&real).unwrap();
    assert!(!real.exists() && kept.join("f").exists());
}

/// Name by name, every path leads to what openat2(2) says it does.
#[cfg(target_os = "linux")]
#[test]
fn a_walk_ends_where_openat2_does() {
    use std::os::unix::fs::MetadataExt;
    let (_dir, real, link) = linked();
    let open_at = File::open(real.join("f")).unwrap();
    let magic = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open_at));
    let paths =
        ["f", "f/", "f/.", ".", "./f", "../real/f", "../link/f", "../../..", "none", "none/f", "f/f", "f/../f", "/"];
    let mut paths: Vec<_> = paths.iter().map(|path| format!("{}/{path}", real.display())).collect();
    paths.extend(["f", "", "/", "/.", "/..", "/../real/f"].iter().map(|path| format!("{}{path}", link.display())));
    let root = ["/", "/..", "/.", "//", "/proc/self/status", "/proc/self/root/etc", "/proc/self/cwd", "/none"];
    paths.extend(root.map(String::from));
    paths.extend([magic.clone(), format!("{magic}/."), "/".repeat(3) + &magic]);
    if imp::openat2(&real, OFlags::RDONLY).is_err_and(|e| matches!(e, Errno::NOSYS | Errno::PERM)) {
        return crate::sys::skipped("openat2 is forbidden here");
    }
    let at = |opened: Result<File, Errno>| opened.map(|file| file.metadata().map(|m| (m.dev(), m.ino())).unwrap());
    for path in &paths {
        for flags in
            [OFlags::RDONLY, OFlags::RDONLY | OFlags::DIRECTORY, OFlags::PATH, OFlags::PATH | OFlags::DIRECTORY]
        {
            let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let path = Path::new(path);
            assert_eq!(at(walk(path, flags)), at(imp::openat2(path, flags)), "{} {flags:?}", path.display());
        }
    }
}

/// The tests of opening, once more in a process in which openat2(2) fails: on an old kernel with ENOSYS, under the
/// filters of some containers with EPERM.
#[cfg(target_os = "linux")]
#[test]
fn the_same_without_openat2() {
    const FORBID: &str = r#"
import ctypes, os, struct, sys
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}.get(os.uname().machine)
if AUDIT is None: sys.exit(99)
OPENAT2, libc = 437, ctypes.CDLL(None, use_errno=True)
steps = [(0x20, 0, 0, 4), (0x15, 0, 3, AUDIT), (0x20, 0, 0, 0), (0x15, 0, 1, OPENAT2),
         (6, 0, 0, 0x00050000 | int(sys.argv[1])), (6, 0, 0, 0x7FFF0000)]
code = b"".join(struct.pack("HBBI", *step) for step in steps)
held = ctypes.create_string_buffer(code, len(code))
program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(held))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0): sys.exit(99)
if libc.syscall(OPENAT2, -100, b"/", bytes(24), 24) != -1 or ctypes.get_errno() != int(sys.argv[1]): sys.exit(98)
os.execv(sys.argv[2], sys.argv[2:])
"#;
    if std::env::var_os("OPENAT2_IS_FORBIDDEN").is_some() {
        return;
    }
    let this = std::env::current_exe().unwrap();
    for errno in [Errno::NOSYS, Errno::PERM] {
        let mut command = std::process::Command::new("python3");
        command.args(["-c", FORBID, &errno.raw_os_error().to_string()]).arg(&this);
        command.args(["sys::no_follow::", "sys::open::", "sys::create::", "store::"]).env("OPENAT2_IS_FORBIDDEN", "1");
        let Ok(ran) = command.output() else { return crate::sys::skipped("needs python3") };
        if ran.status.code() == Some(99) {
            return crate::sys::skipped("no filter of system calls can be set here");
        }
        let out = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{errno}: {out}{}", String::from_utf8_lossy(&ran.stderr));
        let of_links =
            ["sys::no_follow::tests::links_on_the_way_are_not_followed ... ok", "links_that_appear_on_the_way"];
        assert!(of_links.iter().all(|name| out.contains(name)), "{out}");
    }
}
