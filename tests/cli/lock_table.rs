//! `memsnap lock` compared with flock(1) of util-linux: the same words give the same codes, the same output and the same
//! locks.

use super::case::{Case, Ran, finish, has, no_forks, skip};
use super::util::{by_size, is_tried};

/// States of the file: no process has a lock, one has a shared lock, one has an exclusive lock.
const STATES: [&str; 3] = ["free", "shared", "alone"];
const OPTIONS: [&str; 25] = [
    "",
    "-s",
    "-x",
    "-e",
    "-u",
    "-n",
    "-sn",
    "-xn",
    "-un",
    "-e -n -s",
    "-w 0.02",
    "-s -w .02",
    "-w 0 -E 0",
    "-n -E 9",
    "-nE5",
    "-n -w 5",
    "-o",
    "-n -o",
    "-F",
    "-F -n -s",
    "--nonblock --shared",
    "--nb --exclusive --conflict-exit-code 255",
    "--timeout 0.02 --close",
    "--wait=0.02 --no-fork",
    "--nonb --excl",
];
/// Commands after the file; `PROBE` is a script that prints how the file is locked, `STAY` see [`stay`].
const COMMANDS: [&[&str]; 8] = [
    &["true"],
    &["sh", "-c", "echo out; echo err >&2; exit 7"],
    &["missing-program"],
    &["./not-executable"],
    &["sh", "-c", "kill -9 $$"],
    &["-c", "kill -TERM $$"],
    &["--command", "PROBE"],
    // A descendant that stays has the lock, unless it was not handed on.
    &["-c", "exec >/dev/null 2>&1; STAY & exit 3"],
];

/// Prints how the file is locked, and whether the shell has it open.
fn probe(file: &str) -> String {
    format!(
        "flock -n {file} echo not locked || flock -sn {file} echo shared || echo exclusive; \
         readlink /proc/$$/fd/* | grep -c {file}$; true"
    )
}

/// `STAY` in a script becomes a command that lasts until the file `name` is removed, however slow the computer is.
fn stay(script: &str, name: &str) -> String {
    script.replace("STAY", &format!("while [ -e {name} ]; do sleep 0.01; done"))
}

/// A script that makes the file for [`stay`] and removes it at its end.
fn staying(script: &str, name: &str) -> String {
    format!(": >{name}; {}; rm {name}", stay(script, name))
}

/// flock(1) and `memsnap lock`.
fn both(case: &Case) -> [Vec<String>; 2] {
    let program = case.memsnap([""; 0]).get_program().to_string_lossy().into_owned();
    [vec!["flock".into()], vec![program, "lock".into()]]
}

fn run(case: &Case, tool: &[String], words: &[&str]) -> Ran {
    finish(case.command(&tool[0]).args(&tool[1..]).args(words).env_remove("SHELL"))
}

/// Whether the command waits without limit for the lock of another process.
fn waits(options: &str) -> bool {
    !["n", "-w", "wait", "timeout"].iter().any(|word| options.contains(word)) && !options.contains('u')
}

/// How the file is locked now.
fn locked(case: &Case, file: &str) -> String {
    finish(case.command("sh").args(["-c", &probe(file)])).exits(0).out
}

fn needs_flock() -> bool {
    has("flock") || {
        skip("flock is not there");
        false
    }
}

#[test]
fn the_same_as_flock() {
    if !needs_flock() {
        return;
    }
    let case = Case::new();
    for file in ["not-executable", "shared", "alone"] {
        case.write(file, b"");
    }
    let held = {
        let _alone = no_forks();
        STATES[1..].iter().map(|s| std::fs::File::open(case.path(s)).unwrap()).collect::<Vec<_>>()
    };
    held[0].lock_shared().unwrap();
    held[1].lock().unwrap();
    let mut ran = 0;
    let all = STATES.iter().flat_map(|s| OPTIONS.iter().flat_map(move |o| COMMANDS.iter().map(move |c| (*s, *o, *c))));
    for (state, options, command) in all.step_by(by_size(7, 1, 1)) {
        let shared = options.contains("-s") || options.contains("-F -n -s");
        if waits(options) && (state == "alone" || state == "shared" && !shared) {
            continue;
        }
        let names = [format!("stay{ran}"), format!("stay{ran}-ours")];
        let [theirs, ours] = [0, 1].map(|i| {
            let mut words: Vec<_> = options.split_whitespace().map(str::to_string).collect();
            words.push(state.into());
            words.extend(command.iter().map(|word| match *word {
                "PROBE" => probe(state),
                word => stay(word, &names[i]),
            }));
            case.write(&names[i], b"");
            let ran = run(&case, &both(&case)[i], &words.iter().map(String::as_str).collect::<Vec<_>>());
            let after = match state {
                "free" => locked(&case, state),
                _ => String::new(), // it is as the test holds it
            };
            std::fs::remove_file(case.path(&names[i])).unwrap();
            if state == "free" && !after.starts_with("not locked") {
                finish(case.command("flock").args([state, "true"])).exits(0); // it must end
            }
            (ran, after)
        });
        let (a, b) = (&theirs.0, &ours.0);
        let words = format!("{options} {state} {command:?}");
        assert_eq!((a.code, a.signal, &a.out), (b.code, b.signal, &b.out), "{words}\n{a:?}\n{b:?}");
        assert_eq!(theirs.1, ours.1, "{words}");
        ran += 1;
    }
    assert!(ran > by_size(50, 400, 400), "{ran}");
}

#[test]
fn descriptors_as_flock_locks_them() {
    if !needs_flock() {
        return;
    }
    let case = Case::new();
    case.write("f", b"");
    let scripts = [
        "exec 9<>f; LOCK 9; echo $?; PROBE",
        "exec 9<f; LOCK -s 9; echo $?; PROBE",
        "exec 9>f; LOCK -n 9; echo $?; LOCK -u 9; echo $?; PROBE",
        "exec 9>f; LOCK -x 9; LOCK -s 9; PROBE; LOCK -xn 9; PROBE",
        "exec 8>f 9>f; LOCK 8; LOCK -n 9; echo $?; LOCK -w 0.02 -E 4 9; echo $?; LOCK -sn 9; echo $?; PROBE",
        "exec 8>f 9>f; LOCK -s 8; LOCK -sn 9; echo $?; LOCK -n 9; echo $?; PROBE",
        "(LOCK -n 9 || exit 3; echo in; PROBE) 9>f; echo $?; PROBE",
        "exec 9>f; LOCK 9 & wait $!; PROBE",
        "exec 9>f; LOCK 8; echo $?; LOCK ' 9'; echo $?; LOCK +9; echo $?; PROBE",
        "exec 9>f; LOCK 9; (STAY &) >/dev/null 2>&1; exec 9>&-; PROBE",
    ];
    for script in scripts {
        let script = script.replace("PROBE", "{ flock -n f echo free || flock -sn f echo shared || echo exclusive; }");
        let [theirs, ours] = both(&case).map(|tool| {
            let script = staying(&script.replace("LOCK", &tool.join(" ")), "stay");
            let ran = finish(case.command("sh").args(["-c", &script]));
            finish(case.command("flock").args(["f", "true"])).exits(0); // wait for what it left behind
            ran
        });
        assert_eq!((theirs.code, &theirs.out), (ours.code, &ours.out), "{script}\n{theirs:?}\n{ours:?}");
        assert!(!ours.out.is_empty());
    }
}

/// `--fd N CMD` is what `flock N` and then the command do, and with `--close` the command does not have N.
#[test]
fn a_command_beside_a_descriptor() {
    if !needs_flock() {
        return;
    }
    let case = Case::new();
    case.write("f", b"");
    let options = ["", "-s", "-x", "-u", "-n", "-sn", "-w 0.02", "-s -w 0.02", "-n -E 9", "-w 0 -E 8"];
    let openings = ["exec 9<>f", "exec 9<f", "exec 8<>f 9<>f; flock -s 8", "exec 8<>f 9<>f; flock 8"];
    let probe = "{ flock -n f echo free || flock -sn f echo shared || echo exclusive; }";
    let commands = [
        "sh -c 'readlink /proc/$$/fd/9 | grep -c f; exit 7'",
        "sh -c '{ STAY; } >/dev/null 2>&1 & exit 3'",
        "missing-program",
    ];
    let ours = both(&case)[1].join(" ");
    let run = |script: &str, name: &str| {
        let ran = finish(case.command("sh").args(["-c", &staying(script, name)]));
        finish(case.command("flock").args(["f", "true"])).exits(0); // wait for what it left behind
        (ran.code, ran.out)
    };
    let all = openings.iter().flat_map(|b| options.iter().flat_map(move |o| commands.map(|c| (b, o, c))));
    let mut ran = 0;
    for (i, (before, options, command)) in all.enumerate() {
        if waits(options) && (before.ends_with("flock 8") || before.ends_with("-s 8") && !options.contains('s')) {
            continue;
        }
        let ways = [("", ""), ("-F", ""), ("-o", "9>&-"), ("--close", "9>&-")];
        for (_, (flags, close)) in ways.into_iter().enumerate().filter(|(j, _)| is_tried(i + j)) {
            let code = if command == "missing-program" { "69" } else { "$?" };
            let after = format!("echo $?; {probe}");
            let theirs = format!("{before}; flock {options} 9 && {{ {command} {close}; (exit {code}); }}; {after}");
            let theirs = run(&theirs, &format!("stay{ran}"));
            let ours = format!("{before}; {ours} {options} {flags} --fd 9 {command}; {after}");
            let ours = run(&ours, &format!("stay{ran}-ours"));
            assert_eq!(theirs, ours, "{before}; {options} {flags} {command}");
            ran += 1;
        }
    }
    assert!(ran > by_size(60, 350, 350), "{ran}");
    case.exits("lock -o -F --fd 0 true", 64);
    // Nothing is run, so nothing is closed.
    case.ok("lock --fd 0 --close");
}

/// The messages of a conflict, which scripts of cron rely on: none, unless asked for.
#[test]
fn a_conflict_is_as_silent_as_flock_is() {
    if !needs_flock() {
        return;
    }
    let case = Case::new();
    case.write("f", b"");
    let held = std::fs::File::open(case.path("f")).unwrap();
    held.lock().unwrap();
    for words in ["-n f true", "-w 0.02 f true", "-n -E 0 f true", "-sn f true", "--fcntl -xn nodir/f true"] {
        let words: Vec<_> = words.split(' ').collect();
        let silent = !words.contains(&"nodir/f");
        let [theirs, ours] = both(&case).map(|tool| run(&case, &tool, &words));
        assert_eq!(ours.err.is_empty(), silent, "{words:?}: {}", ours.err);
        if silent {
            assert_eq!((theirs.code, theirs.err), (ours.code, ours.err), "{words:?}");
            let [theirs, ours] = both(&case).map(|tool| run(&case, &tool, &[&["--verbose"], &words[..]].concat()));
            let first = |ran: &Ran| ran.err.lines().next().unwrap_or("").rsplit(": ").next().map(str::to_owned);
            assert_eq!((theirs.code, first(&theirs)), (ours.code, first(&ours)), "{words:?}");
        }
    }
}

/// Newer than some flock(1): compared with it where it has these, and with what it would say where it has not.
#[test]
fn bytes_are_locked_apart() {
    let case = Case::new();
    let scripts = [
        (
            "exec 8<>f 9<>f; LOCK --fcntl 8; LOCK --fcntl -n 9; echo $?; LOCK --fcntl -u 8; LOCK --fcntl -sn 9; echo $?",
            "1 0",
        ),
        (
            "exec 8<>f 9<>f; LOCK --start 10 --length 5 8
             for i in 9 10 14 15; do LOCK --start $i --length 1 -nE7 9; echo $?; done",
            "0 7 7 0",
        ),
        ("exec 9<f; LOCK --length 1 -n 9; echo $?; LOCK --start 1K -sn 9; echo $?", "65 0"),
        ("LOCK --fcntl f true; echo $?; LOCK --fcntl d true; echo $?; LOCK --fcntl -s d true; echo $?", "0 65 0"),
        ("LOCK --fcntl -F f sh -c 'LOCK --fcntl -n f true; echo $?; LOCK -n f true; echo $?'", "1 0"),
        // Handed on to what stays behind, unless -o.
        ("LOCK --fcntl f sh -c '{ STAY; } >/dev/null 2>&1 &'; LOCK --fcntl -sn f true; echo $?", "1"),
        ("LOCK --length 9 -o d/f sh -c '{ STAY; } >/dev/null 2>&1 &'; LOCK --fcntl -n d/f true; echo $?", "0"),
        ("LOCK --fcntl -s -w 0.02 d/f sh -c 'LOCK --fcntl -w 0.02 -E 8 d/f true; echo $?'", "8"),
        ("LOCK --fcntl -Fo f true; echo $?", "64"),
        ("LOCK --start -1 f true; echo $?; LOCK --length x f true; echo $?", "64 64"),
    ];
    case.write("f", b"");
    std::fs::create_dir(case.path("d")).unwrap();
    let knows = has("flock") && finish(case.command("flock").arg("--help")).out.contains("--fcntl");
    for (script, expected) in scripts {
        for (i, tool) in both(&case).iter().enumerate().skip(usize::from(!knows)) {
            let script = staying(&script.replace("LOCK", &tool.join(" ")), &format!("stay{i}"));
            let ran = finish(case.command("sh").args(["-c", &script]));
            assert_eq!(ran.out.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{script}\n{}", ran.err);
        }
    }
}

#[test]
fn used_wrongly_as_flock_is() {
    if !needs_flock() {
        return;
    }
    let case = Case::new();
    for name in ["f", "d/x"] {
        std::fs::create_dir_all(case.path(name).parent().unwrap()).unwrap();
        case.write(name, b"");
    }
    #[rustfmt::skip]
    let lines: [&[&str]; 45] = [
        &[], &["f"], &["77"], &["-1"], &["0x3"], &["9999999999999"], &["-n"], &[""], &["", "true"],
        &["-w", "-1", "f", "true"], &["-w", "abc", "f", "true"], &["-w", "1e-3", "f", "true"], &["-w", "", "f", "true"],
        &["-w", "inf", "f", "true"], &["-w", "nan", "f", "true"], &["-w", "5s", "f", "true"], &["-w", "1,5", "f", "true"],
        &["-w", "+1", "f", "true"], &["-w", " 1", "f", "true"], &["-w", "0.0000001", "f", "true"], &["-w"], &["-E"],
        &["-w", "99999999999999", "f", "true"],
        &["-E", "256", "f", "true"], &["-E", "-1", "f", "true"], &["-E", "abc", "f", "true"], &["-E", "0x10", "f", "true"],
        &["-E", "", "f", "true"], &["-E", " 7", "f", "true"], &["-Fo", "f", "true"], &["--nope", "f", "true"],
        &["-y", "f", "true"], &["f", "-c"], &["f", "-c", "true", "x"], &["f", "--command"], &["f", "-n", "true"],
        &["--", "f", "true"], &["f", "true", "--", "-x"], &["nodir/x", "true"], &["f/x", "true"], &["f", ""],
        &["d", "true"], &["d/", "true"], &["-s", "d", "true"], &["/dev/null", "true"],
    ];
    for words in lines {
        let [theirs, ours] = both(&case).map(|tool| run(&case, &tool, words));
        assert_eq!((theirs.code, &theirs.out), (ours.code, &ours.out), "{words:?}\n{theirs:?}\n{ours:?}");
        assert_eq!(theirs.err.is_empty(), ours.err.is_empty(), "{words:?}\n{theirs:?}\n{ours:?}");
    }
    // New files, as open(2) makes them.
    for (tool, name) in both(&case).iter().zip(["theirs", "ours"]) {
        run(&case, tool, &[name, "true"]).exits(0);
    }
    let mode = |name| std::os::unix::fs::PermissionsExt::mode(&case.path(name).metadata().unwrap().permissions());
    assert_eq!((mode("theirs"), case.read("theirs")), (mode("ours"), case.read("ours")));
    // What flock(1) does not know.
    case.exits("lock -c true f", 64).says("before the file");
    assert!(!case.path("true").exists());
    case.ok("lock --fd 0 -c true");
    case.ok("lock -V").shows("memsnap");
    case.exits("lock --fcntl d true", 65).says("directory").says("-s");
    case.ok("lock -s --fcntl d true");
    case.ok("lock f -- true");
    case.exits("lock f --", 64);
    case.exits("lock -c true f true", 64);
    let ran = case.exits("lock --json f", 64);
    assert!(ran.err.contains("\"code\":64"), "{}", ran.err);
    let ran = case.exits("lock --json --nope f", 64);
    assert!(ran.err.contains("\"code\":64"), "{}", ran.err);
}

#[test]
fn commands_find_what_they_would_find_without_us() {
    if !needs_flock() {
        return;
    }
    let case = Case::new();
    let scripts = [
        "trap '' PIPE XFSZ HUP USR1; TOOL f grep SigIgn /proc/self/status",
        "TOOL f grep SigIgn /proc/self/status",
        "trap '' PIPE; TOOL -w 5 f grep SigIgn /proc/self/status; TOOL -F f grep SigIgn /proc/self/status",
        "TOOL f sh -c 'echo lost' >&-",
        "TOOL 1 >&-",
        "TOOL 0 <&-",
    ];
    for script in scripts {
        let [theirs, ours] =
            both(&case).map(|tool| finish(case.command("sh").args(["-c", &script.replace("TOOL", &tool.join(" "))])));
        assert_eq!((theirs.code, theirs.out), (ours.code, ours.out), "{script}\n{}\n{}", theirs.err, ours.err);
    }
}
