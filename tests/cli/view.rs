//! `view`: the bytes are those of the file, in every form, of every kind of image.

use std::io::{BufReader, Read, Write};
use std::process::Stdio;

use super::case::{Case, PAGE, UNPRIVILEGED, finish, finish_with, has, is_root, noise, program, skip, start};
use super::trace::needs_strace;

/// Noise with zeros in it.
fn mixed() -> Case {
    let case = Case::with_pages(6);
    case.patch("f", 3000, &[0; 5000]);
    case.patch("f", 16_000, &[0; 40]);
    case.set_len("f", 6 * PAGE as u64 - 5);
    case
}

/// Ranges (start, length) of every alignment.
const SPANS: [(usize, usize); 8] =
    [(0, 24_571), (0, 1), (1, 15), (17, 4096), (2999, 5002), (15_999, 500), (24_570, 1), (8192, 64)];

fn span((start, len): (usize, usize)) -> String {
    format!("{start}+{len}")
}

#[test]
fn as_hexdump_and_xxd_show_it() {
    if !has("hexdump") || !has("xxd") {
        return skip("needs hexdump and xxd");
    }
    let case = mixed();
    let other = |program: &str, args: &str| finish(case.command(program).args(args.split(' '))).exits(0).out;
    for (start, len) in SPANS {
        let range = span((start, len));
        let mut theirs = other("hexdump", &format!("-C -v -s {start} -n {len} f"));
        // The last line has only the offset of the end.
        theirs.truncate(theirs.trim_end().rfind('\n').unwrap() + 1);
        assert_eq!(case.ok(&format!("view -a --range {range} f")).out, theirs);
        let theirs = other("xxd", &format!("-p -s {start} -l {len} f"));
        assert_eq!(case.ok(&format!("view --plain --range {range} f")).out, theirs);
        let theirs = other("xxd", &format!("-p -c 7 -s {start} -l {len} f"));
        assert_eq!(case.ok(&format!("view --plain --columns 7 --range {range} f")).out, theirs);
        // xxd has one space where we have none, and no bars.
        for (group, columns) in [(1, 16), (2, 16), (4, 12), (8, 32)] {
            let theirs = other("xxd", &format!("-g {group} -c {columns} -s {start} -l {len} f"));
            let ours = case.ok(&format!("view -a --group {group} --columns {columns} --range {range} f")).out;
            let like_xxd = |line: &str| {
                let line = line.replacen("  ", ": ", 1).replacen("  |", "  ", 1);
                line.strip_suffix('|').unwrap().trim_end().to_string()
            };
            let ours: Vec<String> = ours.lines().map(like_xxd).collect();
            let theirs: Vec<&str> = theirs.lines().map(str::trim_end).collect();
            assert_eq!(ours, theirs, "{group} {columns}");
        }
    }
}

#[test]
fn numbers_are_those_that_od_reads() {
    if !has("od") {
        return skip("needs od");
    }
    let case = mixed();
    let types = [
        ("u8", "u1"),
        ("i8", "d1"),
        ("u16", "u2"),
        ("i16", "d2"),
        ("u32", "u4"),
        ("i32", "d4"),
        ("u64", "u8"),
        ("i64", "d8"),
        ("f32", "f4"),
        ("f64", "f8"),
    ];
    for (ours, theirs) in types {
        for (suffix, endian) in [("le", "little"), ("be", "big"), ("", "little")] {
            let args = format!("-A n -v -j 40 -N 9600 --endian={endian} -t {theirs} f");
            let od = finish(case.command("od").args(args.split(' '))).exits(0).out;
            let view = case.ok(&format!("view -a --as {ours}{suffix} --range 40+9600 f")).out;
            let view: Vec<&str> = view.lines().flat_map(|line| line.split_whitespace().skip(1)).collect();
            let od: Vec<&str> = od.split_whitespace().collect();
            assert_eq!(view.len(), od.len());
            for (x, y) in view.iter().zip(od) {
                let float = |text: &str| text.parse::<f64>().unwrap();
                let same = match ours.starts_with('f') {
                    true if ours == "f32" => {
                        let (x, y) = (x.parse::<f32>().unwrap(), y.parse::<f32>().unwrap());
                        x == y || x.is_nan() && y.is_nan()
                    }
                    true => float(x) == float(y) || float(x).is_nan() && float(y).is_nan(),
                    false => *x == y,
                };
                assert!(same, "{ours}{suffix}: {x} is not {y}");
            }
        }
    }
    case.ok("view --as u32 --range 0+7 f").shows("00000004  3 bytes left, not a whole u32: ");
}

#[test]
fn any_range_of_any_image() {
    let case = mixed();
    let kept = case.read("f");
    case.ok("snap f");
    case.patch("f", 100, &[0; 9000]);
    case.set_len("f", 3 * PAGE as u64 + 7);
    let now = case.read("f");
    let cut =
        |all: &[u8], (start, len): (usize, usize)| all[start.min(all.len())..(start + len).min(all.len())].to_vec();
    for place in SPANS {
        let range = span(place);
        assert_eq!(case.ok(&format!("view --raw --range {range} f@1")).bytes, cut(&kept, place));
        let ran = finish_with(&mut case.memsnap(["view", "--raw", "--range", &range, "-"]), &kept).exits(0);
        assert_eq!(ran.bytes, cut(&kept, place));
        if place.0 < now.len() {
            assert_eq!(case.ok(&format!("view --raw --range {range} f")).bytes, cut(&now, place));
            assert_eq!(case.ok(&format!("view --raw --range {range} f --at now")).bytes, cut(&now, place));
        } else {
            case.exits(&format!("view --range {range} f"), 2).says("viewing f: the range begins at byte").says("hint");
        }
    }
    assert_eq!(case.ok("view --raw f@latest").bytes, kept);
    assert_eq!(case.read("f"), now, "nothing is written");
}

#[test]
fn json_has_every_byte() {
    let case = mixed();
    let bytes = case.read("f");
    let lines = case.ok("view --json f").json();
    let mut all: Vec<u8> = Vec::new();
    for line in &lines[..lines.len() - 1] {
        assert_eq!(line["offset"].as_u64(), Some(all.len() as u64));
        match line["schema"].as_str() {
            Some("memsnap.view.zeros.1") => all.resize(all.len() + line["len"].as_u64().unwrap() as usize, 0),
            Some("memsnap.view.row.1") => {
                let hex = line["hex"].as_str().unwrap();
                all.extend((0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(all == bytes);
    assert_eq!(lines.last().unwrap()["schema"], "memsnap.view.1");
    let values = case.ok("view --json --as u16be --range 2+4 f").json();
    let expected = u64::from(bytes[2]) << 8 | u64::from(bytes[3]);
    assert_eq!(values[0]["values"][0].as_u64(), Some(expected));
}

#[test]
fn what_is_refused() {
    let case = Case::with_pages(1);
    case.exits("view --json --raw f", 2).says("--json writes JSON");
    case.exits("view --as u128 f", 2).says("use one of u8");
    case.exits("view --raw --plain f", 2);
    case.exits("view --as u8 --group 2 f", 2);
    case.exits("view --columns 0 f", 2);
    case.exits("view missing", 2).says("missing");
    case.exits("view f@1", 2).says("memsnap snap");
    case.exits("view --range 5..5 f", 2);
    case.exits("view --range 1M.. -", 2).says("viewing -: the range begins at byte 1048576 (0x100000)").says("only 0");
    case.exits("view --range -4.. -", 2).says("hint: cut it first: `tail -c 4 |");
    case.exits("view --range -4 f", 2);
    case.exits("view /dev/zero", 2).says("hint: read it as a stream: `memsnap view - < /dev/zero`");
    case.exits("diff - f", 2).says("does not read standard input");
    case.exits("diff f -", 2).says("does not read standard input");
}

#[test]
fn what_the_kernel_makes_up() {
    let case = Case::new();
    for name in ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled"] {
        let Ok(bytes) = std::fs::read(name) else {
            skip(&format!("needs {name}"));
            continue;
        };
        case.exits(&format!("view {name}"), 2)
            .says("made up by the kernel")
            .says(&format!("`memsnap view - < {name}`"));
        case.exits(&format!("diff {name} {name}"), 2).says("made up by the kernel").says("copy it");
        let file = std::fs::File::open(name).unwrap();
        let ran = finish(case.memsnap(["view", "--raw", "-"]).stdin(file)).exits(0);
        assert_eq!(ran.bytes, bytes);
    }
}

#[test]
fn the_end_of_a_file() {
    let case = mixed();
    let bytes = case.read("f");
    for n in [1, 16, 5000, bytes.len(), bytes.len() + 7] {
        let raw = case.ok(&format!("view --raw f --range -{n}..")).bytes;
        assert!(raw == bytes[bytes.len().saturating_sub(n)..], "{n}");
    }
    let offset = format!("{:08x}  ", bytes.len() - 16);
    assert!(case.ok("view --range=-16.. f").out.starts_with(&offset), "as xxd -s -16");
    case.write("empty", b"");
    case.ok("view --range=-16.. empty").says("empty is empty");
}

#[test]
fn a_stream_is_shown_as_it_comes() {
    let case = Case::new();
    for form in ["--plain", "--raw", "--columns=8"] {
        let mut command = case.memsnap(["view", form, "-"]);
        let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        for n in 0..3 {
            stdin.write_all(&[b'a' + n; 60]).unwrap();
            let mut some = [0; 60];
            stdout.read_exact(&mut some).unwrap();
        }
        drop(stdin);
        std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_reader_that_has_seen_enough() {
    let case = Case::with_pages(100);
    case.set_len("f", 1 << 40);
    for form in ["", "-a", "--plain", "--raw", "--as f64", "--json -a"] {
        let line = format!("{{ \"$M\" view {form} f; echo $? >&3; }} 3>code | head -c 100000 >out; cat code");
        let ran = finish(case.command("sh").args(["-c", &line]).env("M", program())).exits(0);
        assert_eq!(ran.out.trim(), "0", "{form}: {}", ran.err);
        assert!(ran.err.is_empty(), "{form}: {}", ran.err);
    }
}

/// What `words` read of files: calls, and bytes.
pub(crate) fn reads(case: &Case, words: &str, code: i32) -> (usize, u64) {
    let mut command = case.command("strace");
    command.args(["-f", "-qq", "-o", "log", "-e", "trace=read,pread64,preadv,lseek,mmap,ioctl"]);
    finish(command.arg(program()).args(words.split(' '))).exits(code);
    let log = String::from_utf8(case.read("log")).unwrap();
    let bytes = |line: &str| line.rsplit("= ").next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    let read = log.lines().filter(|line| line.contains("read")).map(bytes).sum();
    (log.lines().count(), read)
}

#[test]
fn a_sparse_file_of_a_tebibyte() {
    if !needs_strace() {
        return;
    }
    let case = Case::with_pages(2);
    case.set_len("f", 1 << 40);
    case.patch("f", 1 << 39, b"middle");
    case.patch("f", (1 << 40) - 3, b"end");
    for words in ["view f", "view --as u64 f", "view --range 1G.. f"] {
        let (calls, bytes) = reads(&case, words, 0);
        assert!(calls < 300 && bytes < 8 << 20, "{words}: {calls} calls, {bytes} bytes");
    }
    let out = case.ok("view f").out;
    assert!(out.contains("8000000000") && out.contains("|middle") && out.contains("end|"), "{out}");
    case.set_len("f", 1 << 30);
    case.ok("snap f");
    let (calls, bytes) = reads(&case, "view f@1", 0);
    assert!(calls < 300 && bytes < 8 << 20, "{calls} calls, {bytes} bytes");
}

#[test]
fn without_privilege() {
    if !is_root() || !has("setpriv") {
        return skip("needs root and setpriv");
    }
    let case = mixed();
    case.ok("snap f");
    finish(case.command("chmod").args(["-R", "a+rX", "."])).exits(0);
    let run = |words: &str| finish(case.as_user(UNPRIVILEGED, program()).args(words.split(' ')));
    assert_eq!(run("view f").exits(0).out, case.ok("view f").out);
    assert_eq!(run("view f@1").exits(0).out, case.ok("view f@1").out);
    run("diff --hex f").exits(0);
    finish(case.command("chmod").args(["600", "f"])).exits(0);
    run("view f").exits(2).says("Permission denied");
}

/// On a terminal of 20 rows, which `script` makes.
fn on_terminal(case: &Case, pager: &str, words: &str) -> String {
    let line = format!("stty rows 20 cols 80; \"$M\" {words}; echo \"code $?\"");
    let mut command = case.command("script");
    command.args(["-qec", &line, "/dev/null"]).env("M", program()).env("PAGER", pager).env("TERM", "xterm");
    finish(command.stdin(Stdio::null())).exits(0).out
}

#[test]
fn a_pager_for_what_is_longer_than_the_screen() {
    if !has("script") || !has("stty") {
        return skip("needs script and stty");
    }
    let case = mixed();
    let paged = |words: &str, pager: &str| {
        let _ = std::fs::remove_file(case.path("paged"));
        let out = on_terminal(&case, pager, words);
        (case.path("paged").exists(), out)
    };
    let tee = "cat > paged";
    let (used, out) = paged("view f", tee);
    assert!(used && out.trim() == "code 0", "{out}");
    assert_eq!(super::golden::bare(&String::from_utf8(case.read("paged")).unwrap()), case.ok("view f").out);
    assert!(!paged("view --range ..64 f", tee).0, "fits the screen");
    let (used, out) = paged("view f", "kill -INT $PPID; cat > paged");
    assert!(used && out.trim() == "code 0", "an interrupt is for the pager: {out}");
    for words in ["view --no-pager f", "view --raw --force f", "log f"] {
        assert!(!paged(words, tee).0, "{words}");
    }
    let (used, out) = paged("diff --unit byte f /dev/stdin", tee);
    assert!(!used && out.contains("code 2"), "{out}");
    case.write("g", &noise(9, 3 * PAGE));
    assert!(paged("diff --hex f g", tee).0);
    // Left early, or not there at all.
    let (_, out) = paged("view f", "head -1");
    assert!(out.contains("00000000") && !out.contains("00000100") && out.contains("code 0"), "{out}");
    let (_, out) = paged("diff --hex f g", "head -1");
    assert!(out.contains("code 1"), "{out}");
    let (_, out) = paged("view f", "no-such-pager");
    assert!(out.contains("00005ff0") && out.contains("code 0"), "{out}");
    let said = out.matches("memsnap: warning: the pager no-such-pager cannot be started: No such file").count();
    assert_eq!(said, 1, "{out}");
    // Whatever LESS says, less shows colours as such.
    for (less, expected) in [(None, "FRX"), (Some("-S"), "-R -S"), (Some(""), "-R ")] {
        let own = less.map_or("unset LESS".to_string(), |less| format!("LESS='{less}'; export LESS"));
        let line = format!("{own}; stty rows 20 cols 80; \"$M\" view f");
        let mut command = case.command("script");
        command.args(["-qec", &line, "/dev/null"]).env("M", program()).env("TERM", "xterm");
        let out = finish(command.env("PAGER", "printf '<%s>' \"$LESS\"; cat >/dev/null")).exits(0).out;
        assert_eq!(out.trim_end(), format!("<{expected}>").trim_end());
    }
    assert!(!finish(&mut case.memsnap(["view", "f"])).out.is_empty(), "never where there is no terminal");
    let refused = on_terminal(&case, tee, "view --raw f");
    assert!(refused.contains("binary output is not written to a terminal") && refused.contains("code 2"), "{refused}");
}
