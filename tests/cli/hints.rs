//! Hints: each is given in the situation that it is for, and what it proposes helps.

use std::io::Read;
use std::process::Stdio;

use super::case::{Case, PAGE, Ran, finish, is_root, noise, program, skip};

/// The command between the last two backticks of what was said.
fn proposed(ran: &Ran) -> String {
    let before = ran.err.rsplit_once('`').unwrap_or_else(|| panic!("no command in {}", ran.err)).0;
    before.rsplit_once('`').unwrap().1.to_string()
}

/// Runs what a hint proposes.
fn follow(case: &Case, ran: &Ran) -> Ran {
    let command = proposed(ran);
    let rest = command.strip_prefix("memsnap ").unwrap_or_else(|| panic!("not ours: {command}"));
    finish(case.command("sh").args(["-c", &format!("\"$M\" {rest}")]).env("M", program()))
}

#[test]
fn a_file_that_is_gone_comes_back() {
    for store in ["", "--store kept "] {
        let case = Case::with_pages(3);
        case.ok(&format!("{store}snap f"));
        let bytes = case.read("f");
        for words in ["revert --yes f@1", "diff f", "snap f", "view f", "stat f", "edit --yes f --at 0 --hex 00"] {
            std::fs::remove_file(case.path("f")).unwrap();
            let ran = case.exits(&format!("{store}{words}"), 2).says("the file is gone, but it has snapshots");
            follow(&case, &ran).exits(0);
            assert!(case.read("f") == bytes, "{words}");
        }
        std::fs::remove_file(case.path("f")).unwrap();
        let ran = case.exits(&format!("{store}undo --yes f"), 2).says("the file is gone");
        let words = proposed(&ran).split_once(" writes").map_or(proposed(&ran), |(words, _)| words.to_string());
        assert!(words.ends_with("f@latest -o f"), "{words}");
    }
}

#[test]
fn a_path_with_a_slip_is_no_new_file() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    for words in ["log ff", "verify ff", "diff ff", "revert --yes ff@1", "restore ff@1 -o x", "undo --yes ff"] {
        let ran = case.exits(words, 2).says("there is no file").says("check the path");
        assert!(!ran.err.contains("make one"), "{}", ran.err);
        follow(&case, &ran).exits(0).shows("proven");
    }
    std::fs::create_dir(case.path("empty")).unwrap();
    case.exits("log empty/f", 2).says("check the path, or name their store with --store DIR");
    case.exits("snap ff", 2).says("hint: check the path");
    // A file that is there, and has none yet.
    case.write("g", b"g");
    let ran = case.exits("log g", 2).says("take one with");
    follow(&case, &ran).exits(0);
    case.ok("log g");
}

#[test]
fn a_delta_in_the_place_of_the_file() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.write("g", &noise(5, 3 * PAGE));
    case.ok("delta make f g -o d.delta");
    let ran = case.exits("apply --yes d.delta f", 2).says("d.delta is a delta, and f is none");
    assert_eq!(proposed(&ran), "memsnap apply f d.delta");
    case.ok("apply --yes f d.delta");
    // What is no delta is said to be none.
    assert!(!case.exits("apply --yes f g", 2).err.contains("comes first"));
}

#[test]
fn the_snapshot_that_a_delta_fits() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.touch(1, 7);
    case.ok("snap f");
    case.ok("delta make f@1..2 -o d");
    case.touch(2, 8);
    let ran = case.exits("apply --yes f d", 5).says("the base of the delta is @1");
    assert_eq!(proposed(&ran), "memsnap revert f@1");
    case.ok("revert --yes f@1");
    case.ok("apply --yes f d");
    case.ok("restore f@2 -o two");
    assert!(case.read("f") == case.read("two"));
    // Of a copy, the file stays as it is.
    case.touch(2, 9);
    let ran = case.exits("apply --yes f d -o out", 5).says("the base of the delta is @1");
    assert_eq!(proposed(&ran), "memsnap restore f@1 -o BASE");
    follow(&case, &ran).exits(0);
    case.ok("apply --yes BASE d -o out");
    assert!(case.read("out") == case.read("two"));
    case.exits("apply -n f d", 5).says("@1");
    // No snapshot fits.
    case.write("g", &noise(9, 3 * PAGE));
    case.exits("apply --yes g d", 5).says("`memsnap log -v` shows image digests");
}

#[test]
fn image_digests_are_shown() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.touch(1, 7);
    case.ok("snap f");
    case.ok("delta make f@1..2 -o d");
    let delta = &case.ok("--json delta stat d").json()[0];
    let (base, result) = (delta["base"].as_str().unwrap(), delta["result"].as_str().unwrap());
    let log = case.ok("--json log f").json();
    assert_eq!((&log[0]["image"], &log[1]["image"]), (&delta["base"], &delta["result"]));
    case.ok("-v log f").shows(&format!("  image     {base}\n")).shows(result);
    assert!(!case.ok("log f").out.contains(base));
    for words in ["f@1..2", "f@1 f"] {
        let lines = case.exits(&format!("--json diff {words}"), 1).json();
        let diff = lines.last().unwrap();
        let images = (diff["a"]["image"].as_str(), diff["b"]["image"].as_str());
        assert_eq!(images, (Some(base), Some(result)), "{words}");
        case.exits(&format!("-v diff {words}"), 1).shows(base).shows(result);
    }
    assert!(!case.exits("diff f@1..2", 1).out.contains(base));
}

#[test]
fn an_undo_of_what_changed_since() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.touch(1, 7);
    case.ok("revert --yes f@1");
    case.touch(2, 8);
    let ran = case.exits("undo --yes f", 5).says("it was changed since");
    assert_eq!(proposed(&ran), "memsnap undo --force f");
    case.ok("undo --yes --force f");
    case.ok("undo --yes f");
}

#[test]
fn outputs_are_named_with_a_flag() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.touch(1, 7);
    case.ok("snap f");
    case.exits("restore f@1 out", 2).says("tip: to name the output, use `-o out`");
    case.exits("delta make f@1 f@2 out", 2).says("`-o out`");
    case.exits("delta invert d out", 2).says("`-o out`");
    assert!(!case.exits("restore f@1 --outt x", 2).err.contains("to name the output"));
    case.ok("restore f@1 -o out");
    let lines = super::case::json_lines(&case.exits("--json restore f@1 out", 2).err);
    assert_eq!(lines[0]["hint"], "to name the output, use `-o out`");
}

/// Verbs of other programs.
#[test]
fn verbs_that_are_not_here() {
    let case = Case::with_pages(3);
    case.ok("snap --tag REF f");
    case.touch(1, 7);
    case.ok("delta make f@REF f -o DELTA");
    case.write("FILE", &case.read("f"));
    for (verb, expected) in [
        ("list", "log"),
        ("ls", "log"),
        ("history", "log"),
        ("commit", "snap"),
        ("save", "snap"),
        ("init", "snap"),
        ("tag", "snap"),
        ("checkout", "restore"),
        ("reset", "revert"),
        ("status", "diff"),
        ("fsck", "verify"),
        ("repair", "verify"),
        ("cat", "view"),
        ("patch", "apply"),
        ("send", "delta"),
        ("mv", "adopt"),
        ("flock", "lock"),
    ] {
        let ran = case.exits(&format!("{verb} f"), 2).says(&format!("tip: `memsnap {expected} "));
        assert_eq!(ran.err.matches("tip:").count(), 1, "{}", ran.err);
        // Every word of it is one that the verb takes.
        let words = proposed(&ran);
        let help = case.ok(&format!("{expected} --help")).out;
        for flag in words.split(' ').filter(|word| word.starts_with("--")) {
            assert!(help.contains(flag), "{words}");
        }
    }
    case.exits("rm f", 2).says("tip: there is no verb that removes a snapshot");
    case.exits("snpa f", 2).says("'snap'");
    for (verb, expected) in [
        ("vec append v 1", "vec push"),
        ("vec show v", "vec dump"),
        ("vec new v", "vec create"),
        ("vec shift v", "vec pop --front"),
        ("delta apply f d", "apply"),
        ("delta create f g", "delta make"),
        ("delta info d", "delta stat"),
        ("delta undo d", "delta invert"),
    ] {
        let ran = case.exits(verb, 2).says(&format!("tip: `memsnap {expected} "));
        assert_eq!(ran.err.matches("tip:").count(), 1, "{}", ran.err);
    }
    assert!(!case.exits("vec list v", 2).err.contains("memsnap log"));
    let lines = super::case::json_lines(&case.exits("--json list f", 2).err);
    assert_eq!(lines[0]["hint"], "`memsnap log FILE` lists the snapshots of FILE");
    let said = lines[0]["error"].as_str().unwrap();
    assert!(!said.contains("tip"), "{said}");
}

/// A directory or a file in the place of the other.
#[test]
fn directories_and_files() {
    let case = Case::with_pages(3);
    std::fs::create_dir(case.path("d")).unwrap();
    case.ok("snap f");
    case.ok("vec create v --type u8");
    for words in ["edit f --at 0 --from d --yes", "vec import v d", "vec import v d --raw"] {
        case.exits(words, 2).says("Is a directory").says("hint: name a file");
    }
    for words in ["snap f/x", "log f/x", "view f/x", "vec create f/x --type u8", "--store f/x snap f"] {
        case.exits(words, 2).says("Not a directory").says("hint: check the path");
    }
    for words in ["log d", "diff d", "verify d", "revert d", "restore d@1 -o x", "undo d", "recover d"] {
        let ran = case.exits(words, 2).says("is a directory");
        assert!(!ran.err.contains("make one"), "{}", ran.err);
    }
    case.exits("snap d", 2).says("no regular file in").says("name a directory with files");
}

/// What a file has, wherever it and its store are.
#[test]
fn a_snapshot_that_is_not_there() {
    for store in ["", "--store s "] {
        let case = Case::new();
        std::fs::create_dir(case.path("my dir")).unwrap();
        case.write("my dir/f", b"f");
        finish(&mut case.memsnap(format!("snap {store}").split_whitespace().chain(["my dir/f"]))).exits(0);
        for (verb, file) in [("view", "my dir/f@9"), ("diff", "my dir/f@nope"), ("verify", "my dir/f@-7")] {
            let words = format!("{verb} {store}");
            let ran = finish(&mut case.memsnap(words.split_whitespace().chain([file]))).exits(2);
            follow(&case, &ran).exits(0).shows("proven");
        }
    }
}

/// Indexes of vectors that are past the end.
#[test]
fn elements_that_are_not_there() {
    let case = Case::new();
    case.ok("vec create v --type u8");
    case.ok("vec push v 1 2 3");
    for words in ["vec get v 4..", "vec get v 7..9", "vec set v 4 1", "vec get v 5"] {
        let ran = case.exits(words, 2).says("has 3 elements");
        assert!(!ran.err.contains("smaller index"), "{}", ran.err);
    }
    case.exits("vec get v 2..1", 2).says("write the smaller index first");
    case.ok("vec get v 3..");
    for words in ["vec pop v -n 9", "vec pop v --front -n 9", "vec truncate v 9"] {
        let ran = case.exits(words, 2).says("has only 3 elements");
        follow(&case, &ran).exits(0).shows("3");
    }
}

/// `-- WORD` is proposed only where it helps.
#[test]
fn flags_that_are_not_there() {
    let case = Case::with_pages(3);
    case.ok("vec create v --type f32");
    for words in ["vec dump v -o out", "vec pop v -n -1", "vec pop v --all", "diff f --nope", "lock --nope f true"] {
        let code = if words.starts_with("lock") { 64 } else { 2 };
        let ran = case.exits(words, code).says("unexpected argument");
        assert!(!ran.err.contains("to pass"), "{}", ran.err);
    }
    case.write("-x", b"x");
    case.exits("snap -x", 2).says("tip: to pass '-x' as a value, use '-- -x'");
    case.ok("snap -- -x");
    case.exits("vec push v -inf", 2).says("write `--` before");
    case.ok("vec push v -- -inf");
    case.exits("snpa f", 2).says("'snap'");
}

/// Where nothing can be written, it matters what was to be written there.
#[test]
fn disks_that_take_nothing() {
    if !is_root() {
        return skip("needs root, to mount");
    }
    let case = Case::with_pages(30);
    case.ok("snap f");
    std::fs::create_dir(case.path("m")).unwrap();
    let line = |mount: &str, words: &str| {
        let script =
            format!("mount -t tmpfs -o {mount} none m && cd m && cp ../f g 2>/dev/null; cd ..; \"$M\" {words}");
        finish(case.command("unshare").args(["-m", "sh", "-c", &script]).env("M", program()))
    };
    if line("size=1M", "--version").code != Some(0) {
        return skip("needs a mount namespace");
    }
    for (mount, said) in [("size=16k", "No space left"), ("ro", "Read-only file system")] {
        let ran =
            line(mount, "restore f@1 -o m/out").exits(2).says(said).says("an output can be written to another disk");
        assert!(!ran.err.contains("--store"), "{}", ran.err);
    }
    line("size=200k", "restore f@1 -o out").exits(0);
    line("ro", "--store m/store snap f").exits(2).says("Read-only file system");
    line("size=16k", "--store m/store snap --reserve 0 f").exits(2).says("--store");
    let ran = line("size=200k", "--store m/store snap --reserve 0 f").exits(2).says("needs about").says("KiB free");
    assert!(!ran.err.contains("reserve"), "{}", ran.err);
    line("size=400k", "--store m/store snap --reserve 250k f").exits(2).says("of them reserved").says("--reserve");
    let grown =
        "--store m/s snap --reserve 0 -q f && head -c 1M /dev/urandom >f && \"$M\" --store m/s snap --reserve 0 f";
    let ran = line("size=800k", grown).exits(2).says("is full: ").says("KiB free");
    assert!(!ran.err.contains("--reserve") && !ran.err.contains("bytes"), "{}", ran.err);
}

#[test]
fn a_path_through_a_file() {
    let case = Case::with_pages(1);
    for words in ["snap f/x", "log f/x", "stat f/x"] {
        let ran = case.exits(words, 2).says("check the path").says("f is not a directory");
        assert!(!ran.err.contains("move away"), "{}", ran.err);
    }
}

/// Hints name the file as it was typed.
#[test]
fn what_was_typed_is_named() {
    let case = Case::with_pages(3);
    std::fs::create_dir(case.path("d")).unwrap();
    std::fs::rename(case.path("f"), case.path("d/f")).unwrap();
    for store in ["", "--store kept "] {
        case.ok(&format!("{store}snap d/f"));
        for words in ["diff d/f@9", "restore d/f@9 -o x", "revert --yes d/f@9", "verify d/f@9", "view d/f@9"] {
            let ran = case.exits(&format!("{store}{words}"), 2).says(" d/f` lists its snapshots");
            follow(&case, &ran).exits(0).shows("1");
        }
    }
    let lines = super::case::json_lines(&case.exits("--json diff d/f@9", 2).err);
    assert_eq!(lines[0]["hint"], "`memsnap log d/f` lists its snapshots");
}

/// A history that was begun, and has no snapshot yet.
#[test]
fn a_first_snapshot_that_was_not_made() {
    let case = Case::with_pages(3);
    {
        let _writer = std::fs::File::options().write(true).open(case.path("f")).unwrap();
        case.exits("snap --strict --require proven f", 3).says("not stored");
    }
    for words in ["diff f", "verify f", "restore f@latest -o x", "revert --yes f"] {
        let ran = case.exits(words, 2).says("has no snapshots yet").says("take one with");
        assert_eq!(proposed(&ran), "memsnap snap f", "{words}");
    }
    case.ok("verify");
    case.ok("snap f");
    case.ok("verify f");
}

/// A plan says what the change would be refused for.
#[test]
fn a_plan_of_what_will_be_refused() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    case.touch(1, 7);
    case.ok("delta make f@1 f -o d");
    case.ok("revert --yes f@1");
    for words in ["undo -n f", "edit -n f --at 0 --hex 00", "apply -n f d"] {
        let refused = || case.ok(words).out.contains("refused");
        assert!(!refused(), "{words}");
        let mut holder = case.command("sh");
        holder.args(["-c", "exec 9<f; echo ready; read x"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = super::case::start(&mut holder);
        holder.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
        case.ok(words).shows("  refused  open in ").shows("the change will be refused unless --live");
        let json = &case.ok(&format!("--json {words}")).json()[0];
        assert!(json["obstacle"].as_str().unwrap().contains("open in "), "{json}");
        case.exits(&words.replace("-n", "--yes"), 75).says("--live");
        assert!(!case.ok(&format!("{words} --live")).out.contains("refused"), "{words}");
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert!(!refused(), "{words}");
    }
}
