//! `stat` compared with the tools that report the same, and while files change under it.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::case::{Case, PAGE, Ran, UNPRIVILEGED, finish, has, is_root, no_forks, noise, program, skip, start};
use super::util::chmod;

/// All that is said of `f`.
fn json(case: &Case, words: &str) -> Value {
    case.ok(&format!("--json stat {words}")).json().remove(0)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// `f` with data, holes, and space that was never written, all of it on the disk.
fn uneven() -> Case {
    let case = Case::new();
    case.write("f", &noise(1, 40 * PAGE));
    case.set_len("f", 1000 * PAGE as u64 + 77);
    for page in [100, 102, 104, 300] {
        case.touch(page, page);
    }
    if has("fallocate") {
        finish(case.command("fallocate").args(["-o", "2M", "-l", "256K", "f"]));
    }
    OpenOptions::new().write(true).open(case.path("f")).unwrap().sync_all().unwrap();
    case
}

#[test]
fn the_page_cache_as_fincore_counts_it() {
    if !has("fincore") {
        return skip("fincore is not there");
    }
    let case = uneven();
    let counts = || {
        let ran = finish(case.command("fincore").args(["-b", "-n", "-r", "-o", "RES,PAGES,SIZE", "f"])).exits(0);
        let fincore: Vec<u64> = ran.out.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let ours = json(&case, "f");
        let resident = number(&ours["cache"]["resident"]);
        (fincore, vec![resident, resident / number(&ours["cache"]["page"]), number(&ours["len"])])
    };
    for part in [0, 20 * PAGE, 1000 * PAGE] {
        std::fs::File::open(case.path("f")).unwrap().read_exact_at(&mut vec![0; part], 0).unwrap();
        // The kernel may drop or bring in pages at any time.
        let same = (0..20).any(|_| {
            let (fincore, ours) = counts();
            fincore == ours
        });
        assert!(same, "{:?}", counts());
    }
}

#[test]
fn dirty_pages_are_told_until_they_are_written() {
    let case = Case::with_pages(64);
    let file = OpenOptions::new().write(true).open(case.path("f")).unwrap();
    file.sync_all().unwrap();
    let dirty = || json(&case, "f")["cache"]["dirty"].as_u64();
    let Some(0) = dirty() else { return skip("no cachestat, or no disk under the files here") };
    let seen = (0..20).any(|_| {
        file.write_all_at(&[1], 0).unwrap();
        dirty() >= Some(PAGE as u64)
    });
    if !seen {
        return skip("nothing stays dirty here");
    }
    file.sync_all().unwrap();
    assert_eq!(dirty(), Some(0));
}

/// Lines of `filefrag -v -b1`: logical start, physical start, length.
fn filefrag(ran: &Ran) -> (u64, Vec<[u64; 3]>) {
    let rows = ran.out.lines().filter_map(|line| {
        let fields: Vec<_> = line.split(':').map(str::trim).collect();
        fields[0].parse::<u64>().ok()?;
        let first = |field: &str| field.split("..").next().unwrap().trim().parse().ok();
        Some([first(fields[1])?, first(fields[2])?, first(fields[3])?])
    });
    let found = ran.out.lines().find_map(|line| line.strip_suffix(" found")?.split(' ').rev().nth(1)?.parse().ok());
    (found.unwrap(), rows.collect())
}

#[test]
fn extents_as_filefrag_lists_them() {
    if !has("filefrag") {
        return skip("filefrag is not there");
    }
    for case in [uneven(), Case::with_pages(3), Case::with_pages(0)] {
        let ours = json(&case, "f");
        if ours["extents"].is_null() {
            return skip("this file system does not report extents");
        }
        OpenOptions::new().write(true).open(case.path("f")).unwrap().sync_all().unwrap();
        let ours = json(&case, "f");
        let (fragments, theirs) = filefrag(&finish(case.command("filefrag").args(["-v", "-b1", "f"])).exits(0));
        let list = ours["extents"]["list"].as_array().unwrap();
        let ours_list: Vec<_> = list
            .iter()
            .map(|e| [number(&e["start"]), number(&e["physical"]), number(&e["end"]) - number(&e["start"])])
            .collect();
        assert_eq!(ours_list, theirs);
        assert_eq!(number(&ours["extents"]["fragments"]), fragments);
        assert_eq!(number(&ours["extents"]["count"]), theirs.len() as u64);
    }
}

#[test]
fn data_and_holes_add_up() {
    let case = uneven();
    let ours = json(&case, "f");
    let layout = &ours["layout"];
    assert_eq!(number(&layout["data"]) + number(&layout["hole"]), number(&ours["len"]));
    assert_eq!(number(&ours["allocated"]), case.path("f").metadata().unwrap().blocks() * 512);
    let bytes = case.read("f");
    let mut at = 0;
    for run in layout["list"].as_array().unwrap() {
        let (start, end) = (number(&run["start"]) as usize, number(&run["end"]) as usize);
        assert!(bytes[at..start].iter().all(|b| *b == 0), "{at}..{start} is a hole");
        at = end;
    }
    assert!(bytes[at..].iter().all(|b| *b == 0));
}

/// Blocks that two files share are reported, on file systems that can do that.
#[test]
fn shared_blocks() {
    for (made_by, kind) in [("mkfs.xfs", "xfs"), ("mkfs.btrfs", "btrfs")] {
        if !is_root() || !has(made_by) && !std::path::Path::new("/usr/sbin").join(made_by).is_file() {
            return skip(&format!("needs root and {made_by}"));
        }
        let case = Case::new();
        let script = format!(
            "set -e; PATH=$PATH:/usr/sbin:/sbin; mount --make-rprivate /; mkdir at; truncate -s 512M disk; \
             {made_by} -q disk >&2; mount -t {kind} -o loop disk at; head -c 1M /dev/urandom >at/f; \
             cp --reflink=always at/f at/g; printf x | dd of=at/g bs=1 seek=500000 conv=notrunc status=none; sync -f at; \
             \"$1\" --json stat at/f; \"$1\" stat at/f; umount at"
        );
        let ran = finish(case.command("unshare").args(["-m", "sh", "-c", &script, "sh"]).arg(program()));
        if ran.code != Some(0) {
            return skip(&format!("no {kind} can be mounted here: {}", ran.err));
        }
        let (first, text) = ran.out.split_once('\n').unwrap();
        let ours: Value = serde_json::from_str(first).unwrap();
        assert_eq!((&ours["fs"]["kind"], &ours["fs"]["reflink"]), (&kind.into(), &true.into()));
        let shared = number(&ours["extents"]["shared"]);
        assert!((1 << 19..=1 << 20).contains(&shared), "{kind}: {shared}");
        assert!(text.contains("shared with other files") && text.contains("can share blocks"), "{text}");
    }
}

#[test]
fn without_privilege_it_shows_what_it_may() {
    if !is_root() || !has("setpriv") {
        return skip("needs root and setpriv");
    }
    let case = Case::with_pages(8);
    let mode = |name: &str, bits| chmod(case.path(name), bits);
    mode("", 0o755);
    std::fs::copy(program(), case.path("memsnap")).unwrap();
    let stat = |words: &str| finish(case.as_user(UNPRIVILEGED, case.path("memsnap")).args(words.split(' ')));
    mode("f", 0o644);
    let ran = stat("stat --content --changes --map f").exits(0);
    let ran = ran.shows("cached      unknown: reported only to the owner").shows("zeros       0 pages");
    ran.shows("changed     no snapshots").shows("? unknown").shows("processes that could not be inspected");
    mode("f", 0o600);
    let ran = stat("stat --content f").exits(0).shows("length      32 KiB").shows("no permission to read it");
    assert!(!ran.out.contains("cached"), "said once: {}", ran.out);
    let ours = stat("--json stat f").exits(0).json().remove(0);
    assert_eq!((number(&ours["len"]), ours["cache"].is_null()), (8 * PAGE as u64, true));
    assert!(ours["unseen"]["cache"].is_string() && ours["unseen"]["processes"].is_string(), "{ours}");
    stat("stat -o length,resident,holes,file f f").exits(0).shows("32 KiB         ?      ?  f");
    // No user of the file was seen, but some processes could not be inspected: unknown.
    stat("stat -o mapped,writers,readers,locks f").exits(0).shows("     ?        ?        ?      0\n");
    assert!(ours["mappers"].is_null() && ours["openers"].is_null() && ours["users_complete"] == false, "{ours}");
    mode("f", 0o666);
    assert!(stat("--json stat f").exits(0).json()[0]["cache"]["resident"].is_u64(), "who may write may know");
    let mut command = case.as_user(UNPRIVILEGED, "sh");
    command.args(["-c", "exec 7<>f; echo; exec cat"]);
    let mut peer = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    peer.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let ran = stat("stat -o mapped,writers,readers f").exits(0).shows("     ?       1+        ?\n");
    let ours = stat("--json stat f").exits(0).json().remove(0);
    assert!(ours["mappers"].is_null() && ours["openers"][0]["writes"] == true, "{ours} {}", ran.out);
    drop(peer.stdin.take());
    peer.wait().unwrap();
}

/// Looking at a file must not change what is cached of it.
#[test]
fn a_cold_file_stays_cold() {
    let case = Case::with_pages(64);
    case.ok("snap f");
    case.ok("vec create v --type u16");
    case.run(["vec", "push", "v"].into_iter().map(str::to_owned).chain((0..999).map(|n| n.to_string()))).exits(0);
    if has("fallocate") {
        finish(case.command("fallocate").args(["-l", "1M", "unwritten"])).exits(0);
    } else {
        case.write("unwritten", b"");
    }
    for name in ["f", "v", "unwritten"] {
        let file = OpenOptions::new().read(true).write(true).open(case.path(name)).unwrap();
        file.sync_all().unwrap();
        let cold = || {
            memsnap::sys::cache::drop_pages(&file, 0, u64::MAX >> 1);
            memsnap::sys::cache::count_resident(&file, 0, file.metadata().unwrap().len()).unwrap()
        };
        if cold() != Some(0) {
            return skip("pages cannot be dropped here");
        }
        let layout = json(&case, name)["layout"].clone();
        for words in ["", "--content", "-o kind", "--changes", "--map", "--content --changes --map"] {
            let resident = || memsnap::sys::cache::count_resident(&file, 0, file.metadata().unwrap().len()).unwrap();
            // The kernel may bring in pages at any time.
            let stays = (0..5).any(|_| {
                cold();
                case.ok(&format!("stat {words} {name}"));
                resident() == Some(0)
            });
            assert!(stays, "stat {words} {name} leaves {:?} pages", resident());
        }
        assert_eq!(json(&case, name)["layout"], layout, "{name}");
        assert_eq!(json(&case, name)["cache"]["resident"], 0, "{name}");
    }
}

#[test]
fn what_a_link_leads_to() {
    let case = Case::with_pages(1);
    std::os::unix::fs::symlink("f", case.path("link")).unwrap();
    let to = case.path("f").canonicalize().unwrap();
    // Long paths are not broken.
    case.ok("stat link").shows(&format!("  leads to    {}\n", to.display()));
    assert_eq!(json(&case, "link")["leads_to"]["path"], to.to_str().unwrap());
    assert!(json(&case, "f")["leads_to"].is_null() && !case.ok("stat f").out.contains("leads"));
}

#[test]
fn columns_add_up() {
    let case = Case::with_pages(4);
    case.ok("stat -o length -o file f").shows("LENGTH  FILE");
    case.ok("stat -o file,changed --content --changes f")
        .shows("FILE  CHANGED  ZERO  DUPLICATE  COMPRESSED  SNAPSHOTS");
    case.ok("snap f");
    for words in ["--content", "--changes", "--content --changes"] {
        let ran = case.ok(&format!("stat {words} f f"));
        assert!(ran.out.lines().all(|line| line.len() <= 72), "{}", ran.out);
    }
    case.exits("--json stat -o length f", 2).says("leave out -o");
}

/// Truncated and grown a thousand times while it is read: an error that says so, or an answer, and never a signal.
#[test]
fn a_storm_of_truncations() {
    const ROUNDS: u32 = 1000;
    let case = Case::with_pages(1024);
    let rounds = AtomicU32::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let bytes = noise(2, 512 * PAGE);
            while rounds.fetch_add(1, Ordering::Relaxed) < ROUNDS {
                let _alone = no_forks();
                let file = OpenOptions::new().write(true).open(case.path("f")).unwrap();
                file.set_len(0).unwrap();
                std::thread::sleep(Duration::from_millis(1));
                file.write_all_at(&bytes, 0).unwrap();
                file.set_len(1024 * PAGE as u64).unwrap();
            }
        });
        let (mut reported, mut failed) = (0, 0);
        for n in 0.. {
            if rounds.load(Ordering::Relaxed) >= ROUNDS && n >= 20 {
                break;
            }
            let way = ["map", "pread"][n % 2];
            let ran = case.run(["--json", "stat", "--content", "--map", "--io", way, "f"]);
            assert_eq!(ran.signal, None, "{ran:?}");
            match ran.code {
                Some(0) => {
                    reported += 1;
                    let ours = ran.json().remove(0);
                    let content = &ours["content"];
                    assert_eq!(number(&content["pages"]), number(&ours["len"]).div_ceil(PAGE as u64));
                    assert!(number(&content["compressed"]) <= number(&content["sampled"]), "{content}");
                }
                Some(2) => {
                    failed += 1;
                    assert!(ran.err.contains("changed while it was read"), "{ran:?}");
                }
                _ => panic!("{ran:?}"),
            }
        }
        assert!(reported > 0, "{failed} failed");
    });
}

#[test]
fn one_bad_file_does_not_hide_the_others() {
    let case = Case::with_pages(3);
    case.write("g", b"short");
    let ran = case.exits("stat f none g", 2).says("none").says("hint:");
    assert_eq!(ran.out.lines().count(), 3, "{}", ran.out);
    case.ok("stat --changes f g").shows("SNAPSHOTS  CHANGED  FILE");
    case.exits("stat none", 2);
    case.exits("stat .", 2).says("is a directory");
    case.exits("stat -o length,size f", 2).says("no column `size`; the columns are file, inode, length");
    case.exits("stat", 2);
    std::os::unix::fs::symlink("f", case.path("link")).unwrap();
    case.ok("stat link").shows("12 KiB");
    // Nothing was left behind, nothing touched.
    assert!(!case.path(".memsnap").exists());
    let fifo = Command::new("mkfifo").arg(case.path("fifo")).status();
    if fifo.is_ok_and(|status| status.success()) {
        case.exits("stat fifo", 2).says("is a FIFO");
    }
}

#[test]
fn files_of_our_own_are_known() {
    let case = Case::with_pages(3);
    case.ok("vec create v --type u16");
    case.ok("vec push v 1 2 3");
    case.ok("stat v").shows("a persistent vector: 3 elements of u16");
    let ours = json(&case, "v");
    assert_eq!((&ours["format"]["kind"], &ours["format"]["len"]), (&"vector".into(), &3.into()));
    case.ok("snap f");
    case.touch(1, 9);
    case.ok("delta make f@1 f@now -o d");
    case.ok("stat d").shows("a delta");
    let stored = case.stored(".pack").remove(0);
    case.run(["stat".as_ref(), stored.as_os_str()]).exits(0).shows("a pack of a store");
    assert_eq!(json(&case, "f")["format"], Value::Null);
}
