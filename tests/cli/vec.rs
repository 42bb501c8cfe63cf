//! `vec`: persistent vectors from the shell, and what other verbs know of them.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use super::case::{Case, Ran, finish, has, no_forks, noise, skip, start};
use super::grades::holder_of;
use super::trace::{Subject, needs_strace, was_killed};

fn with(kind: &str, values: &str) -> Case {
    let case = Case::new();
    case.ok(&format!("vec create v --type {kind}"));
    if !values.is_empty() {
        case.ok(&format!("vec push v {values}"));
    }
    case
}

fn lines(ran: &Ran) -> Vec<&str> {
    ran.out.lines().collect()
}

fn piped(case: &Case, words: &str, input: &[u8]) -> Ran {
    let mut command = case.memsnap(words.split_whitespace());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = start(&mut command);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).unwrap();
    drop(stdin);
    Ran::of(child.wait_with_output().unwrap(), words.into())
}

#[test]
fn elements_go_in_and_come_out() {
    let case = with("i16", "1 -2 0x7f");
    assert_eq!(lines(&case.ok("vec get v 0 -1 1..3 ..")), ["1", "127", "-2", "127", "1", "-2", "127"]);
    assert_eq!(case.ok("vec len v").out, "3\n");
    case.ok("vec set v -1 -32768").says("1 element set");
    assert_eq!(lines(&case.ok("vec get v -- -2..")), ["-2", "-32768"]);
    assert_eq!(lines(&case.ok("vec pop v -n 2")), ["-2", "-32768"]);
    case.ok("vec truncate v 0").says("1 element removed, now 0");
    assert_eq!(case.read("v").len(), 4096);
    case.exits("vec pop v", 2).says("only 0 elements");
    case.ok("vec push v 1 2 3 4");
    assert_eq!(lines(&case.ok("vec pop v --front -n 2")), ["1", "2"]);
    assert_eq!(lines(&case.ok("vec dump v")), ["3", "4"]);
    case.exits("vec pop v --front -n 3", 2).says("only 2 elements");
    case.ok("vec pop v --front -n 2");
    case.exits("vec get v 0", 2).says("indexes count from 0");
    case.exits("vec truncate v 1", 2);
    case.ok("vec pop v -n 0");
}

#[test]
fn values_are_read_strictly() {
    let case = with("u8", "7");
    for bad in ["300", "-1", "1.5", "x", "0x100"] {
        case.exits(&format!("vec push v 1 {bad}"), 2).says("from 0 to 255");
    }
    piped(&case, "vec push v -", b"1 2\n3 300\n").exits(2).says("line 2 of stdin").says("from 0 to 255");
    assert_eq!(case.ok("vec len v").out, "1\n", "all or nothing");
    case.exits("vec set v 0 1 2", 2).says("go past them");
    case.exits("vec set v 5 1", 2);
    case.exits("vec get v 1..0", 2);
    case.exits("vec get v x", 2).says("index");
    case.exits("vec create w --type u128", 2).says("u8, u16");
    case.exits("vec create v --type u8", 2).says("exists");
    case.exits("vec create w --type u8 --tag 12345678901234567", 2).says("16 bytes");
    let case = with("f32", "nan 1e3 -0.5 inf");
    case.ok("vec push v -- -inf");
    assert_eq!(lines(&case.ok("vec dump v")), ["NaN", "1000.0", "-0.5", "inf", "-inf"]);
    case.exits("vec push v 1e39", 2).says("too large");
}

#[test]
fn json() {
    let case = with("f64", "1 nan");
    let values = case.ok("--json vec get v ..").json();
    assert_eq!((values[0]["index"].as_u64(), values[0]["value"].as_f64()), (Some(0), Some(1.0)));
    assert_eq!(values[1]["value"].as_str(), Some("NaN"));
    let stat = &case.ok("--json vec stat v").json()[0];
    assert_eq!(
        (stat["type"].as_str(), stat["len"].as_u64(), stat["unfinished"].as_bool()),
        (Some("f64"), Some(2), Some(false))
    );
    let report = &case.ok("--json vec push v 5").json()[0];
    assert_eq!(
        (report["changed"].as_u64(), report["len"].as_u64(), report["verb"].as_str()),
        (Some(1), Some(3), Some("push"))
    );
    assert_eq!(case.ok("--json vec pop v").json().len(), 2);
    assert_eq!(case.ok("--json vec len v").json()[0]["len"].as_u64(), Some(2));
    case.ok("--json vec create w --type u64 --tag t --version 3");
    let stat = &case.ok("--json vec stat w").json()[0];
    assert_eq!((stat["tag"].as_str(), stat["version"].as_u64()), (Some("t"), Some(3)));
    case.ok("vec stat w").shows("u64, tag \"t\", version 3").shows("0 elements");
    let e = case.exits("--json vec push w 300000000000000000000", 2).err;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&e).unwrap()["code"].as_u64(), Some(2));
}

#[test]
fn bytes_and_text_are_imported_and_dumped() {
    let case = with("u32", "");
    case.write("raw", &noise(3, 1 << 20));
    case.ok("vec import v raw --raw").says("262144 elements added");
    assert!(case.ok("vec dump v --raw").bytes == noise(3, 1 << 20));
    assert_eq!(case.ok("vec dump v --raw 1..3").bytes, noise(3, 12)[4..]);
    let text = case.ok("vec dump v").bytes;
    case.ok("vec create w --type u32");
    case.write("text", &text);
    case.ok("vec import w text");
    assert!(case.read("v") == case.read("w") || case.read("v")[4096..] == case.read("w")[4096..]);
    case.write("odd", &[1; 7]);
    case.exits("vec import v odd --raw", 2).says("not a multiple of the element size");
    assert_eq!(case.read("v").len(), 4096 + (1 << 20), "nothing of it stays");
    piped(&case, "vec import v - --raw", &[1, 0, 0, 0]).exits(0);
    assert_eq!(case.ok("vec pop v").out, if cfg!(target_endian = "little") { "1\n" } else { "16777216\n" });
    case.exits("vec import v none", 2).says("opening none");
}

#[test]
fn files_of_the_old_crate_are_imported() {
    let case = with("u16", "");
    #[allow(clippy::host_endian_bytes, reason = "these files are in the byte order of the computer that wrote them")]
    let mut old =
        [&b"TESTFILE"[..], &0x1234u16.to_ne_bytes(), &[0, 0, 5, 0, 1, 0, 9, 9], &4076u16.to_ne_bytes()].concat();
    old.resize(4096, 0);
    old.extend([1, 1, 2, 2]);
    case.write("old", &old);
    case.ok("vec import v old --persistence --magic TESTFILE --data-version 0.1.0");
    assert_eq!(lines(&case.ok("vec get v ..")), ["257", "514"]);
    case.exits("vec import v old --persistence --magic TESTFILX", 2).says("magic bytes");
    case.exits("vec import v old --persistence --data-version 0.2.0", 2).says("version");
    case.exits("vec import v v --persistence", 75).says("busy");
    case.exits("vec import v old --magic TESTFILE", 2);
}

#[test]
fn damage_and_locks_have_their_exit_codes() {
    let case = with("u64", "1 2 3");
    case.write("other", b"something else, and long enough to be looked at");
    case.exits("vec len other", 2).says("too few for a persistent vector");
    case.exits("vec len none", 2);
    let bytes = case.read("v");
    case.set_len("v", 4096 + 23);
    case.exits("vec len v", 4).says("cut short");
    case.write("v", &bytes);
    case.patch("v", 20, &[1]);
    case.exits("vec len v", 4).says("damaged");
    case.write("v", &bytes);
    if !has("flock") {
        return skip("flock is not there");
    }
    let mut holder = holder_of(&case, "v", "-s");
    case.ok("vec len v");
    case.exits("vec push v 4 --wait 0", 75).says(&format!("PID {}", holder.id()));
    let waiting = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(holder.stdin.take());
        holder.wait().unwrap();
    });
    case.ok("vec push v 4");
    waiting.join().unwrap();
    assert_eq!(case.ok("vec len v").out, "4\n");
    // We are what the program runs under, and might be writing.
    let ours = std::fs::File::open(case.path("v")).unwrap();
    ours.lock().unwrap();
    case.exits("vec len v", 75).says("runs under");
}

#[test]
fn diff_shows_elements() {
    let case = with("u32", "0");
    let numbers: String = (0..5000).map(|n| format!("{n} ")).collect();
    piped(&case, "vec import v -", numbers.as_bytes()).exits(0);
    case.ok("snap v");
    case.ok("vec set v 3 7 8");
    case.ok("vec set v 4000 1");
    case.ok("vec push v 1 2");
    let ran = case.exits("diff --elements v", 1);
    assert_eq!(lines(&ran)[..3], ["elements 3..5", "element 4000", "elements 5001..5003"]);
    ran.shows("5 elements (u32) in 3 ranges differ, length 5001 -> 5003");
    case.ok("snap v");
    let json = case.exits("--json diff --elements v@1..2", 1).json();
    assert_eq!((json[0]["start"].as_u64(), json[0]["end"].as_u64()), (Some(3), Some(5)));
    assert_eq!((json[3]["elements_changed"].as_u64(), json[3]["same"].as_bool()), (Some(5), Some(false)));
    assert_eq!(lines(&case.exits("diff --elements --stat v@2..1", 1)).len(), 1);
    case.ok("diff --elements v").says("the same 5003 elements");
    // The slots differ, the elements do not.
    case.ok("vec push v 9");
    case.ok("vec pop v");
    case.ok("diff --elements v");
    case.exits("diff v", 1);
    case.ok("vec create f --type f32");
    case.exits("diff --elements v f", 2).says("cannot be compared");
    case.write("plain", &noise(1, 9000));
    case.exits("diff --elements v plain", 2).says("not a persistent vector");
}

#[test]
fn what_could_not_be_shown_is_not_taken() {
    let case = with("u32", "1 2 3");
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = case.memsnap(["vec", "pop", "v", "-n", "2"]);
    command.stdout(full()).stderr(Stdio::piped());
    let ran = Ran::of(start(&mut command).wait_with_output().unwrap(), "vec pop".into());
    ran.exits(2).says("removing elements from v").says("No space left");
    assert_eq!(case.ok("vec len v").out, "3\n");

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = case.memsnap(["vec", "pop", "v"]);
    command.stdout(writer).stderr(Stdio::piped());
    let ran = Ran::of(start(&mut command).wait_with_output().unwrap(), "vec pop".into());
    ran.exits(2).says("nothing was removed");
    assert_eq!(case.ok("vec len v").out, "3\n");
}

#[test]
fn a_vector_is_not_taken_for_its_elements() {
    let case = with("u32", "1 2 3");
    case.ok("vec create w --type u32");
    for how in ["", " --raw"] {
        case.exits(&format!("vec import w v{how}"), 2).says("v is a persistent vector itself").says("vec dump");
    }
    case.write("bytes", &[0xff; 40]);
    case.exits("vec import w bytes", 2).says("line 1 of bytes is not text").says("--raw");
    case.exits("vec import w bytes --persistence", 2).says("not a file of persistence 0.0.5");
    assert_eq!(case.ok("vec len w").out, "0\n");
}

#[test]
fn others_do_not_write_under_a_vector_that_is_open() {
    if !has("flock") {
        return skip("flock is not there");
    }
    let case = with("u64", "1 2 3");
    case.ok("snap v");
    case.ok("vec push v 4");
    let bytes = case.read("v");
    // flock stands for a program that has the vector open, and so locked, and runs memsnap.
    for verb in ["edit --yes v --at 5000 --hex 00", "revert --yes v", "undo --yes v"] {
        let mut command = case.command("flock");
        command.arg("v").arg(super::case::program()).args(verb.split(' '));
        let ran = finish(&mut command);
        assert!(ran.code != Some(0), "{ran:?}");
        assert!(case.read("v") == bytes, "{verb}");
    }
    case.ok("revert --yes v");
}

#[test]
fn what_happens_to_the_file_while_more_is_read_is_noticed() {
    type Act = fn(&Case);
    let acts: [(&str, Act, i32); 4] = [
        ("replaced", |case| std::fs::rename(case.path("other"), case.path("v")).unwrap(), 2),
        ("removed", |case| std::fs::remove_file(case.path("v")).unwrap(), 2),
        ("cut", |case| case.set_len("v", 0), 4),
        ("lengthened", |case| case.set_len("v", 20_000), 2),
    ];
    for (what, act, code) in acts {
        let case = with("u8", "1 2 3");
        std::fs::copy(case.path("v"), case.path("other")).unwrap();
        let mut command = case.memsnap(["vec", "import", "v", "-", "--raw"]);
        let mut child = start(command.stdin(Stdio::piped()).stderr(Stdio::piped()));
        while case.run(["vec", "stat", "--wait", "0", "v"]).code != Some(75) {}
        act(&case);
        child.stdin.take().unwrap().write_all(b"defgh").unwrap();
        Ran::of(child.wait_with_output().unwrap(), what.into()).exits(code).says("appending to v");
        match what {
            "lengthened" => assert_eq!(case.read("v").len(), 20_000, "what others wrote is left"),
            "replaced" => assert_eq!(case.ok("vec len v").out, "3\n"),
            _ => {}
        }
    }
}

#[test]
fn a_vector_is_not_appended_to_itself() {
    let case = with("u8", "1 2 3");
    std::fs::hard_link(case.path("v"), case.path("same")).unwrap();
    for input in ["v", "same", "./v"] {
        case.exits(&format!("vec import v {input} --raw"), 2).says("appended to itself");
    }
    assert_eq!(case.ok("vec len v").out, "3\n");
}

#[test]
fn a_snapshot_says_that_it_is_of_a_vector() {
    let case = with("u16", "1 2 3");
    case.ok("snap v").says("; 3 elements (u16)");
    let json = &case.ok("--json snap v").json()[0];
    assert_eq!((json["elements"].as_u64(), json["type"].as_str()), (Some(3), Some("u16")));
    case.set_len("v", 4097);
    case.ok("snap v").says("cannot be used");
}

/// A vector that was half changed holds elements of two states: no verb takes it for a whole one, or writes to it.
#[test]
fn a_half_changed_vector_is_refused_until_it_is_recovered() {
    if !needs_strace() {
        return;
    }
    let case = Case::new();
    case.ok("vec create v --type u64");
    let many: String = (0..20_000).map(|n| format!("{n}\n")).collect();
    piped(&case, "vec import v -", many.as_bytes()).exits(0);
    case.ok("snap v");
    for at in [0, 5_000, 10_000, 15_000] {
        case.ok(&format!("vec set v {at} 7"));
    }
    case.ok("snap v");
    for n in 1.. {
        let ran = Subject::sound().inject(&case, "revert --yes v@1", "pwrite64", &format!("signal=SIGKILL:when={n}"));
        assert!(was_killed(&ran), "no kill fell on the write into the target");
        if !case.stored("intent").is_empty() {
            break;
        }
    }
    let half = case.read("v");
    case.write("w", b"1\n");
    let marker = memsnap::sys::xattr::CHANGE_MARKER;
    let marked = memsnap::sys::xattr::get(&std::fs::File::open(case.path("v")).unwrap(), marker).unwrap();
    let Some(marker_said) = marked else { return skip("no attributes here") };
    for verb in ["stat v", "len v", "get v 0", "dump v", "push v 1", "set v 0 1", "pop v", "truncate v 1", "import v w"]
    {
        case.exits(&format!("vec {verb}"), 2).says("a change of").says("memsnap recover");
        assert_eq!(case.read("v"), half, "{verb}");
    }
    case.ok("recover --yes v");
    case.ok("vec get v 5000").shows("5000");
    // One that a crash has brought back goes as the hint says.
    {
        let _alone = no_forks();
        memsnap::sys::xattr::set(&std::fs::File::open(case.path("v")).unwrap(), marker, &marker_said).unwrap();
    }
    case.exits("vec push v 1", 2);
    case.ok("recover --yes v").says("no change was interrupted");
    case.ok("vec push v 1");
}
