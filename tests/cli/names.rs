//! File names of all kinds work, and never reach the terminal raw.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::case::{Case, PAGE, Ran, finish, json_lines, noise, program};
use super::util::chmod;

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
#[track_caller]
pub(crate) fn clean(ran: &Ran, name: &[u8]) {
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
        let command = shown.rsplit_once("` reverts this").unwrap().0;
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

/// A command in a hint does what it says, whatever the names in it.
#[test]
fn hints_can_be_pasted() {
    if !super::case::has("bash") {
        return super::case::skip("bash is not there");
    }
    for name in ["a;touch canary;b", "$(touch canary)", "`touch canary`", "-R", "a b\n'c", "x\x1b[31m"] {
        let case = Case::new();
        let dir = Path::new(name);
        std::fs::create_dir(case.path(dir)).unwrap();
        let file = Path::new(".").join(dir).join("f");
        case.write(&file, &noise(1, PAGE));
        let words = |verb: &str| [verb.into(), file.clone().into_os_string()];
        case.run(words("snap")).exits(0);
        let store = case.path(dir.join(".memsnap"));
        chmod(&store, 0o770);
        let ran = case.run(words("snap")).exits(2);
        clean(&ran, name.as_bytes());
        let hint = ran.err.lines().find_map(|line| line.trim().strip_prefix("hint: ")).unwrap();
        finish(case.command("bash").args(["-c", hint])).exits(0);
        case.run(words("snap")).exits(0);
        // A pipe has no snapshots: it is read as a stream.
        let pipe = case.path(dir.join("pipe"));
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let ran = case.run(["view".into(), "--at=now".into(), pipe.clone().into_os_string()]).exits(2);
        let word = ran.err.split_once("`memsnap view - < ").and_then(|(_, rest)| rest.rsplit_once('`')).unwrap().0;
        let meant = finish(case.command("bash").args(["-c", &format!("printf %s {word}")])).exits(0);
        assert_eq!(Path::new(&meant.out), pipe);
        assert!(!case.path("canary").exists(), "{name:?}: {hint}");
    }
}

/// The store that a change marker names is whatever was written there.
#[test]
fn a_mark_is_quoted() {
    let case = Case::with_pages(3);
    case.ok("snap f");
    let mark = b"0123456789abcdef /tmp/x;touch canary;\x1b[31m\n/history";
    let file = std::fs::File::open(case.path("f")).unwrap();
    if let Err(e) = memsnap::sys::xattr::set(&file, b"user.memsnap.intent", mark) {
        return super::case::skip(&format!("no attributes here: {e}"));
    }
    drop(file);
    for verb in ["snap f", "recover --yes f", "revert --yes f@1", "diff f"] {
        clean(&case.exits(verb, 2), b"mark");
    }
    // And where there is such a store.
    let store = case.path(";touch canary;\x1b[31m\n");
    std::fs::create_dir_all(store.join("history")).unwrap();
    std::fs::write(store.join("history/intent"), b"").unwrap();
    let mark = [b"0123456789abcdef ", store.join("history").as_os_str().as_bytes()].concat();
    let file = std::fs::File::open(case.path("f")).unwrap();
    memsnap::sys::xattr::set(&file, b"user.memsnap.intent", &mark).unwrap();
    drop(file);
    let ran = case.exits("recover --yes f", 2).says(r"/;touch canary;\033[31m\012'");
    clean(&ran, b"mark");
}

#[test]
fn names_that_are_no_text_are_shown_byte_by_byte() {
    let case = Case::new();
    let (a, b) = (OsStr::from_bytes(b"a\xff\xfe"), OsStr::from_bytes(b"b\xc3"));
    case.write(a, &noise(1, PAGE));
    case.write(b, &noise(2, PAGE));
    case.run([OsStr::new("diff"), a, b]).exits(1).shows(r"a\xff\xfe -> b\xc3: ");
    case.run([OsStr::new("snap"), a]).exits(0);
    case.patch(a, 0, b"x");
    case.run([OsStr::new("diff"), a]).exits(1).shows(r"a\xff\xfe@1 -> a\xff\xfe now: ");
    let json = case.run([OsStr::new("--json"), OsStr::new("diff"), a]).exits(1).json();
    assert_eq!(json.last().unwrap()["a"]["name"], r"a\xff\xfe@1");
}

/// Ids and the words around them mean nothing to a shell.
#[test]
fn ids_are_plain_words() {
    let case = Case::with_pages(2);
    let id = case.ok("snap f").out;
    assert!(id.len() == 65 && id.trim_end().bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{id}");
    case.ok(&format!("restore f@{} -o out", id.trim_end()));
}

#[test]
fn paths_as_long_as_can_be() {
    let case = Case::new();
    let script = "n=$(printf %0240d 0); cd \"$(pwd -P)\" || exit 9
        while [ $(($(pwd | wc -c) + 241)) -le $1 ]; do mkdir -p $n && cd $n || exit 9; done
        printf x >f; timeout 10 \"$M\" snap --require none f; code=$?
        [ $code != 0 ] || timeout 10 \"$M\" log f >/dev/null || exit 8
        exit $code";
    // History is left for the store's own names.
    let run = |longest: &str| finish(case.command("sh").args(["-c", script, "sh", longest]).env("M", program()));
    run("3500").exits(0);
    let ran = run("4090");
    assert!(matches!(ran.code, Some(0 | 2)), "{ran:?}");
    let deeper =
        "n=$(printf %0240d 0); i=0; while [ $i -lt 20 ]; do mkdir -p $n && cd -P $n || exit 9; i=$((i+1)); done
        printf x >f; timeout 10 \"$M\" snap f";
    let ran = finish(case.command("sh").args(["-c", deeper]).env("M", program())).exits(2);
    clean(&ran, b"deep");
}

/// Invisible characters are spelled out, and name no snapshot.
#[test]
fn invisible_characters() {
    let case = Case::new();
    for unseen in [
        "\u{ad}",
        "\u{200b}",
        "\u{200d}",
        "\u{202e}",
        "\u{2028}",
        "\u{2060}",
        "\u{3164}",
        "\u{fe0f}",
        "\u{feff}",
        "\u{e0041}",
    ] {
        let spelled = format!("\\u{{{:x}}}", unseen.chars().next().unwrap() as u32);
        let name = format!("a{unseen}b");
        case.write(&name, &noise(1, PAGE));
        case.run(["snap", "--tag", &format!("gold{unseen}"), &name])
            .exits(2)
            .says(&format!("gold{spelled}` cannot be a tag: it has a control character or an invisible one"));
        case.run(["snap", "-m", &format!("why{unseen}"), &name]).exits(0).says(&format!("a{spelled}b@1"));
        case.run(["log", &name]).exits(0).shows(&format!("why{spelled}"));
        let json = case.run(["--json", "log", &name]).exits(0);
        assert!(json.out.is_ascii(), "{}", json.out);
        assert_eq!(json.json()[0]["message"], format!("why{unseen}"));
        let json = case.run(["--json", "stat", &name]).exits(0);
        assert!(!json.out.contains(unseen), "{}", json.out);
        case.run(["diff", &name]).exits(0).says(&format!("a{spelled}b"));
        case.run(["snap", &format!("none{unseen}")]).exits(2).says(&format!("none{spelled}"));
    }
}
