//! What `stat` shows, compared with golden files: 80 columns, with and without colour.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::process::Stdio;

use super::case::{Case, PAGE, Ran, has, noise, program, skip, start};
use super::golden;
use super::grades::holder_of;

/// `f`: zeros, the same pages twice, noise, a hole, and a page changed since its snapshot; all of it on the disk, and
/// in memory but for the hole.
fn known() -> Option<Case> {
    let case = Case::new();
    let pages = [noise(1, 4 * PAGE), noise(1, 4 * PAGE), vec![0; 8 * PAGE], b"text".repeat(4 * PAGE)].concat();
    case.write("f", &pages);
    case.set_len("f", 300 * PAGE as u64);
    case.patch("f", 200 * PAGE as u64, &noise(2, 100 * PAGE));
    case.ok("snap --require none f");
    case.touch(210, 7);
    case.touch(211, 8);
    warm(&case);
    let layout = case.ok("--json stat f").json().remove(0)["layout"].clone();
    if layout["runs"] != 2 || layout["holes"] != 1 {
        skip("holes are otherwise here");
        return None;
    }
    Some(case)
}

/// Brings `f` into memory, but for its hole, whatever was read before.
fn warm(case: &Case) {
    let file = OpenOptions::new().read(true).write(true).open(case.path("f")).unwrap();
    file.sync_all().unwrap();
    memsnap::sys::cache::drop_pages(&file, 0, u64::MAX >> 1);
    // Page by page: reading ahead would bring in pages of the hole.
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random).unwrap();
    for page in (0..32).chain(200..300) {
        file.read_exact_at(&mut [0; PAGE], page * PAGE as u64).unwrap();
    }
}

/// Without what differs from computer to computer: each such line keeps its label.
fn normal(ran: &Ran) -> String {
    const VARIES: [&str; 6] = ["allocated", "extents", "on", "cached", "unknown", "open"];
    let (mut out, mut varies) = (String::new(), false);
    for line in ran.out.lines() {
        let label = line.strip_prefix("  ").and_then(|line| line.split(' ').next()).unwrap_or("-");
        if !label.is_empty() || !line.starts_with("    ") {
            varies = VARIES.contains(&label);
            if label != "unknown" {
                out += &if varies { format!("  {label:<12}...") } else { line.to_owned() };
                out.push('\n');
            }
        } else if !varies {
            out += line;
            out.push('\n');
        }
    }
    // Ages are those of this run.
    let age = |line: &str| match (line.find(" (now)"), line.find(" ago)")) {
        (Some(at), _) => format!("{} (AGE){}\n", &line[..at], &line[at + 6..]),
        (_, Some(end)) => {
            let at = line[..end].rfind(" (").unwrap();
            format!("{} (AGE){}\n", &line[..at], &line[end + 5..])
        }
        _ => format!("{line}\n"),
    };
    out.replace("no visible process", "no process").lines().map(age).collect()
}

#[test]
fn golden_views() {
    let Some(case) = known() else { return };
    for (name, words) in [
        ("one", "stat f"),
        ("all", "stat --content --changes --map f"),
        ("bytes", "--bytes stat --content f"),
        ("columns", "stat -o file,length,data,runs,holes,dirty,kind,zero,duplicate,compressed,snapshots,changed f"),
        ("none", "stat --changes --map empty"),
    ] {
        case.write("empty", b"");
        for (color, suffix) in [("never", ""), ("always", "-color")] {
            warm(&case);
            let ran = case.ok(&format!("--color {color} {words}"));
            let plain = |line: &str| {
                let mut rest = line;
                let mut width = 0;
                while let Some((before, after)) = rest.split_once('\x1b') {
                    width += before.chars().count();
                    rest = after.split_once('m').unwrap().1;
                }
                width + rest.chars().count()
            };
            let is_table = name == "columns";
            assert!(is_table || ran.out.lines().all(|line| plain(line) <= 80), "{name} is too wide:\n{}", ran.out);
            golden::golden(&format!("stat/{name}{suffix}"), &normal(&ran));
        }
    }
}

#[test]
fn golden_rows_and_locks() {
    let Some(case) = known() else { return };
    case.write("with a space\n", b"1");
    OpenOptions::new().write(true).open(case.path("with a space\n")).unwrap().sync_all().unwrap();
    let rows = case.run(["stat", "-o", "length,holes,mapped,locks,file", "f", "with a space\n"]).exits(0);
    golden::golden("stat/rows", &normal(&rows));
    warm(&case);
    let rows = case.run(["stat", "--map", "f", "with a space\n"]).exits(0);
    golden::golden("stat/maps", &normal(&rows));
    if !has("flock") {
        return skip("flock is not there");
    }
    let mut holder = holder_of(&case, "f", "-x");
    let ran = case.ok("stat --locks f");
    golden::golden("stat/locks", &ran.out.replace(&holder.id().to_string(), "PID"));
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

#[test]
fn numbers_for_programs() {
    let Some(case) = known() else { return };
    let ours = case.ok("--json stat --content --changes --map f").json().remove(0);
    let content = &ours["content"];
    let numbers =
        ["pages", "hole_pages", "zero_pages", "duplicate_pages", "sampled"].map(|name| content[name].as_u64());
    // Four pages of noise are there twice, and fifteen of text are like the first.
    assert_eq!(numbers, [300, 168, 8, 4 + 15, 124 * 4096].map(Some), "{content}");
    assert_eq!((&ours["changes"]["pages"], &ours["changes"]["latest"]), (&2.into(), &1.into()));
    let cells = ours["cells"].as_array().unwrap();
    let sum = |name: &str| cells.iter().map(|cell| cell[name].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("changed_pages"), sum("data")), (2, ours["layout"]["data"].as_u64().unwrap()));
}

#[test]
fn watching_goes_on_until_it_is_interrupted() {
    let case = Case::with_pages(2);
    // Who runs the tests in the background of a shell ignores this signal, and so would the program.
    let mut command = case.command("env");
    command.arg("--default-signal=INT").arg(program()).args(["stat", "--watch=0.05", "-o", "length,file", "f"]);
    let mut child = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let block = ["LENGTH  FILE", "8.0 KiB  f"];
    for n in 0..3 {
        let mut next = || lines.next().unwrap().trim().to_owned();
        if n > 0 {
            assert_eq!(next(), "", "blocks are apart");
        }
        assert_eq!([next(), next()], block);
    }
    case.set_len("f", 3 * 4096);
    assert!(lines.by_ref().take(1000).any(|line| line.starts_with("12 KiB")));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap(), "watch".into());
    assert_eq!((ran.signal, &ran.err[..]), (Some(2), ""), "to a shell, 130");
    case.exits("stat --watch=0 f", 2).says("the shortest time is 0.01 seconds");
    case.exits("stat --watch=0.05 none", 2);
}

#[test]
fn watching_goes_on_without_those_that_go() {
    let case = Case::with_pages(2);
    case.write("g", b"g");
    let mut child = start(case.memsnap(["stat", "--watch=0.02", "-o", "length,file", "f", "g"]).stdout(Stdio::piped()));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.by_ref().take(3).any(|line| line.ends_with(" g")));
    std::fs::remove_file(case.path("g")).unwrap();
    assert!(lines.by_ref().take(1000).any(|line| line.starts_with("inspecting g: ") && line.contains("No such file")));
    assert!(lines.by_ref().take(10).any(|line| line.ends_with("8.0 KiB  f")), "still there");
    std::fs::remove_file(case.path("f")).unwrap();
    assert!(lines.count() < 1000);
    assert_eq!(child.wait().unwrap().code(), Some(2), "nothing is left");
    case.exits("stat --watch 1 f", 2).says("there is no file 1").says("--watch=1");
}

#[test]
fn watching_ends_with_its_reader() {
    let case = Case::with_pages(2);
    let mut command = case.command("sh");
    let script = "\"$0\" stat --watch=0.01 f | head -1; echo done";
    let ran = super::case::finish(command.args(["-c", script]).arg(program()));
    assert_eq!(ran.exits(0).out, "f\ndone\n");
}
