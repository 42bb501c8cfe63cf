//! File names of all kinds work, and never reach the terminal raw.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::case::{Case, PAGE, Ran, finish, json_lines, noise};

fn names() -> Vec<Vec<u8>> {
    let mut long = vec![b'n'; 255];
    long[200] = b' ';
    let mut wide = "\u{20ac}".repeat(85).into_bytes();
    wide.truncate(255);
    vec![
        b"with space".to_vec(),
        b" leading and trailing ".to_vec(),
        b"new\nline".to_vec(),
        b"esc\x1b[31mred\x1b]0;title\x07".to_vec(),
        "bidi \u{202e}gpj.exe\u{2066}".as_bytes().to_vec(),
        "c1 \u{9b}31m \u{85}".as_bytes().to_vec(),
        b"not \xff\xfe utf-8 \xc3".to_vec(),
        b"back\x08\x08\x7fspace\r\ttab".to_vec(),
        b"-leading-dash".to_vec(),
        b"'quotes\" $HOME `id` \\".to_vec(),
        b"*?[a]{b}".to_vec(),
        b".hidden".to_vec(),
        b"...".to_vec(),
        long,
        wide,
    ]
}

/// Nothing that acts on a terminal, on either stream.
fn clean(ran: &Ran, name: &[u8]) {
    let acts = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(c, '\u{2028}' | '\u{2029}')
    };
    for text in [&ran.out, &ran.err] {
        assert!(!text.contains(acts), "{:?}: {text:?}", OsStr::from_bytes(name));
        assert!(!text.contains("new\nline"), "{text:?}");
    }
}

/// The name as an argument that is no flag.
fn arg(name: &[u8], reference: &str) -> std::ffi::OsString {
    let mut arg = Path::new(".").join(OsStr::from_bytes(name)).into_os_string();
    arg.push(reference);
    arg
}

#[test]
fn every_name_through_every_verb() {
    for name in names() {
        let case = Case::new();
        let file = OsStr::from_bytes(&name);
        let old = noise(1, 3 * PAGE);
        case.write(file, &old);
        let run = |words: &[&OsStr], code: i32| {
            let ran = case.run(words).exits(code);
            clean(&ran, &name);
            ran
        };
        let word = OsStr::new;
        let (plain, first) = (arg(&name, ""), arg(&name, "@1"));
        run(&[word("snap"), &plain], 0);
        case.patch(file, PAGE as u64, b"changed");
        run(&[word("-v"), word("diff"), &plain], 1);
        run(&[word("log"), &plain], 0);
        run(&[word("log")], 0);
        run(&[word("revert"), word("-n"), &plain], 0);
        run(&[word("revert"), word("--yes"), &first], 0);
        assert!(case.read(file) == old);
        run(&[word("undo"), word("--yes"), &plain], 0);
        run(&[word("restore"), &first, word("-o"), word("out")], 0);
        assert!(case.read("out") == old);
        run(&[word("verify")], 0);
        for line in run(&[word("--json"), word("log"), &plain], 0).json() {
            let path = line["path"].as_str().unwrap();
            match std::str::from_utf8(&name) {
                Ok(name) => assert!(path.ends_with(name) && line["path_b64"].is_null()),
                Err(_) => assert!(line["path_b64"].is_string()),
            }
        }
        // And in errors.
        run(&[word("restore"), &arg(&name, "@77"), word("-o"), word("out2")], 2);
        std::fs::remove_file(case.path(file)).unwrap();
        let ran = run(&[word("snap"), &plain], 2);
        assert!(!ran.err.is_empty());
        let ran = run(&[word("--json"), word("snap"), &plain], 2);
        assert_eq!(json_lines(&ran.err)[0]["code"], 2);
    }
}

#[test]
fn commands_that_are_shown_can_be_pasted() {
    if !super::case::has("bash") {
        return super::case::skip("bash is not there");
    }
    for name in names() {
        let case = Case::new();
        let file = OsStr::from_bytes(&name);
        case.write(file, &noise(1, 3 * PAGE));
        let plain = arg(&name, "");
        let store = [OsStr::new("--store"), OsStr::new("a 'store'")];
        case.run([OsStr::new("snap"), &plain].into_iter().chain(store)).exits(0);
        case.patch(file, PAGE as u64, b"changed");
        let ran = case.run([OsStr::new("revert"), OsStr::new("--yes"), &plain].into_iter().chain(store)).exits(0);
        let shown = ran.err.split_once("; `").unwrap().1;
        let command = shown.rsplit_once("` takes this back").unwrap().0;
        let line = format!("memsnap() {{ \"$M\" \"$@\"; }}; {command} --yes");
        finish(case.command("bash").args(["-c", &line]).env("M", super::case::program())).exits(0);
        assert!(case.read(file)[PAGE..].starts_with(b"changed"), "{command}");
    }
    let case = Case::with_pages(3);
    let mut snap = case.memsnap(["snap", "f"]);
    finish(snap.env("MEMSNAP_STORE", "elsewhere")).exits(0);
    case.touch(1, 1);
    let mut revert = case.memsnap(["revert", "--yes", "f"]);
    finish(revert.env("MEMSNAP_STORE", "elsewhere")).exits(0).says("`memsnap undo f`");
}

#[test]
fn messages_and_other_programs_are_no_less_dangerous() {
    let case = Case::with_pages(3);
    case.run(["snap", "-m", "a\x1b[2J\u{202e}\nb", "f"]).exits(0);
    for words in ["log f", "-v log f", "log --json f"] {
        clean(&case.ok(words), b"f");
    }
    case.touch(1, 1);
    // A process whose name is an escape sequence holds the lock.
    std::os::unix::fs::symlink("/bin/sh", case.path("x\x1b[31m")).unwrap();
    let line = "exec 9<f; flock 9; echo locked; read x";
    let mut holder = case.command(case.path("x\x1b[31m"));
    if !super::case::has("flock") {
        return super::case::skip("flock is not there");
    }
    let mut holder = super::case::start(
        holder.args(["-c", line]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()),
    );
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut [0; 7]).unwrap();
    let ran = case.exits("revert --yes --wait 0 f", 75);
    clean(&ran, b"f");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    let usage = finish(&mut case.memsnap(["sn\x1b[1mp"])).exits(2);
    clean(&usage, b"");
}

#[test]
fn refs_split_at_the_last_at() {
    let case = Case::new();
    std::fs::create_dir(case.path("d@3")).unwrap();
    case.write("d@3/user@host", b"one");
    case.run(["snap", "d@3/user@host", "--at", "now"]).exits(2);
    case.ok("snap d@3/user@host");
    case.ok("diff d@3/user@host@1");
    case.ok("log d@3/user@host");
}
