//! Inputs and outputs that are no regular files: closed ones, descriptors by name, pipes.

use super::case::Case;

/// A history of two snapshots, a vector, and a delta between the two.
fn ground() -> Case {
    let case = Case::with_pages(4);
    case.ok("snap f");
    case.touch(1, 7);
    case.ok("snap f");
    case.ok("delta make --reversible f@1..2 -o d");
    case.ok("vec create v --type u32");
    case.ok("vec push v 1 2 3");
    case
}

#[test]
fn a_closed_stdout_is_an_error_before_anything_is_done() {
    let case = ground();
    case.touch(2, 8);
    let now = case.read("f");
    for words in [
        "vec pop v",
        "vec get v 0",
        "restore f@1 -o -",
        "restore f@1 -o out",
        "restore --force f@1 -o /dev/stdout",
        "delta make f@1..2 -o -",
        "snap f",
        "snap -q f",
        "--json revert --yes f@1",
        "log f",
        "view f",
        "verify",
        "man",
        "completions bash",
        "--help",
        "--version",
    ] {
        for closed in [">&-", ">&- 2>log", "1</dev/null", ">&- <&-"] {
            let ran = case.shell(&format!("\"$M\" {words} {closed}"));
            let said =
                if closed.contains("log") { String::from_utf8(case.read("log")).unwrap() } else { ran.err.clone() };
            ran.exits(2);
            assert!(said.contains("closed, or not open for writing"), "{words} {closed}: {said}");
        }
        case.shell(&format!("\"$M\" {words} >&- 2>&- <&-")).exits(2);
    }
    assert!(case.read("f") == now);
    assert_eq!(case.snapshots(), 2);
    assert!(!case.path("out").exists());
    case.ok("vec len v").shows("3");
    // The command of `lock` has whatever it is given.
    case.shell("\"$M\" lock f true >&-").exits(0);
}

#[test]
fn nothing_is_popped_that_was_not_written() {
    let case = ground();
    for line in [
        "\"$M\" vec pop v >/dev/full",
        "\"$M\" --json vec pop v >/dev/full",
        "{ sleep 0.3; \"$M\" vec pop v; } | true; exit ${PIPESTATUS[0]}",
    ] {
        case.shell(line).exits(2);
        case.ok("vec len v").shows("3");
    }
    case.shell("\"$M\" vec pop v -n 2 >out").exits(0);
    assert_eq!(case.read("out"), b"2\n3\n");
    case.ok("vec len v").shows("1");
}

#[test]
fn a_closed_stdin_is_no_empty_input() {
    let case = ground();
    for words in [
        "vec push v -",
        "vec import v -",
        "vec import v /dev/stdin",
        "edit --yes f --at 0 --from -",
        "edit --yes f --at 0 --from /dev/fd/0",
        "apply --yes f -",
        "apply --yes f /proc/self/fd/0",
        "delta stat -",
        "delta invert - -o x",
        "view -",
        "view /dev/stdin",
    ] {
        for closed in ["<&-", "0>/dev/null"] {
            let ran = case.shell(&format!("\"$M\" {words} {closed}")).exits(2);
            let known = ["stdin is closed", "Bad file descriptor"].iter().any(|text| ran.err.contains(text));
            assert!(known, "{words} {closed}: {}", ran.err);
        }
    }
    case.ok("vec len v").shows("3");
    assert!(!case.path("x").exists());
}

/// A stdin that is a file is read from where it is.
#[test]
fn stdin_goes_on_where_it_is() {
    let case = ground();
    case.write("numbers", b"1\n22\n333\n");
    case.shell("{ read x; \"$M\" vec push v -; } <numbers").exits(0);
    case.ok("vec get v -- -2..").shows("22\n333");
    case.shell("{ read x; \"$M\" view --raw -; } <numbers").exits(0).shows("22\n333");
}

#[test]
fn outputs_that_name_descriptors_are_written_through() {
    let case = ground();
    let (old, delta) = (case.read("f"), case.read("d"));
    case.ok("restore f@1 -o one");
    let image = case.read("one");
    for (verb, bytes) in
        [("restore f@1", &image), ("restore --force f@1", &image), ("delta make --reversible f@1..2", &delta)]
    {
        for (output, redirect) in [
            ("/dev/stdout", "1>>out"),
            ("/dev/fd/1", "1>>out"),
            ("/proc/self/fd/1", "1>>out"),
            ("/dev/stderr", "2>>out"),
            ("/dev/fd/2", "2>>out"),
            ("/dev/fd/7", "7>>out"),
            ("/proc/self/fd/7", "7>>out"),
            ("fifo", ""),
        ] {
            case.write("out", b"begin ");
            let line = match output {
                "fifo" => format!("rm -f fifo; mkfifo fifo; cat fifo >>out & \"$M\" {verb} -o fifo && wait"),
                _ => format!("\"$M\" {verb} -o {output} {redirect}"),
            };
            case.shell(&line).exits(0);
            assert!(case.read("out") == [&b"begin "[..], bytes].concat(), "{verb} -o {output}");
        }
    }
    for word in ["stdin", "stdout", "stderr", "fd"] {
        let found = std::fs::symlink_metadata(format!("/dev/{word}")).unwrap();
        assert!(found.is_symlink(), "/dev/{word} was replaced");
    }
    // A pipe of the shell, and a dry run.
    case.shell("\"$M\" restore f@1 -o >(cat >out) && wait && sleep 0.2").exits(0);
    assert!(case.read("out") == image);
    case.shell("\"$M\" restore -n f@1 -o /dev/stdout").exits(0).shows("would write");
    case.shell("\"$M\" edit f --at 0 --text x -o /dev/fd/5 5>e && \"$M\" delta stat e").exits(0);
    // What is to be read back cannot be a stream; what is not open is an error.
    case.shell("\"$M\" apply --yes one d -o /dev/fd/7 7>out").exits(2).says("name a regular file");
    case.shell("\"$M\" apply --yes one d -o /dev/stdout >out").exits(2).says("stdout");
    case.shell("\"$M\" restore f@1 -o /dev/fd/9").exits(2).says("Bad file descriptor");
    case.shell("\"$M\" restore f@1 -o /dev/stderr 2>&-").exits(2);
    assert!(case.read("f") == old);
}

#[test]
fn a_directory_is_no_output() {
    let case = ground();
    case.ok("restore f@1 -o one");
    std::fs::create_dir(case.path("dir")).unwrap();
    std::os::unix::fs::symlink("dir", case.path("link")).unwrap();
    for verb in
        ["restore f@1", "restore --force --yes f@1", "restore -n f@1", "delta make f@1..2", "delta make --force f@1..2"]
    {
        for output in ["dir", "dir/", "link/", "none/", "none/.", "."] {
            let ran = case.exits(&format!("{verb} -o {output}"), 2);
            assert!(
                ran.err.contains("directory") && ran.err.contains("name a file"),
                "{verb} -o {output}: {}",
                ran.err
            );
        }
    }
    case.exits("apply --yes one d -o dir/", 2).says("hint: name a file in it: dir/NAME");
    case.exits("vec create none/ --type u8", 2).says("without a slash");
    assert!(!case.path("none").exists() && case.path("link").is_symlink());
    case.ok("restore f@1 -o dir/NAME");
}

#[test]
fn pipes_by_name_work_where_stdin_does() {
    let case = ground();
    case.ok("restore f@1 -o base");
    case.ok("restore f@2 -o result");
    let inputs = ["<(cat d)", "/dev/stdin <d", "/dev/fd/8 8<d", "- < <(cat d)", "/dev/stdin < <(cat d)", "fifo"];
    for input in inputs {
        let line = |words: &str| match input {
            "fifo" => format!("rm -f fifo; mkfifo fifo; cat d >fifo & \"$M\" {}", words.replace("IN", "fifo")),
            _ => format!("\"$M\" {}", words.replace("IN", input)),
        };
        case.shell(&line("delta stat IN")).exits(0).shows("1 page in 1 range");
        case.shell(&line("delta invert --force -o back IN")).exits(0);
        std::fs::copy(case.path("base"), case.path("g")).unwrap();
        case.shell(&line("apply --yes g IN")).exits(0);
        assert!(case.read("g") == case.read("result"), "{input}");
        std::fs::copy(case.path("base"), case.path("g")).unwrap();
        case.shell(&line("edit --yes g --at 0 --from IN")).exits(0);
        assert!(case.read("g").starts_with(&case.read("d")), "{input}");
        assert!(case.shell(&line("view --raw IN")).exits(0).bytes == case.read("d"), "{input}");
    }
    for input in ["<(echo 5 6)", "/dev/stdin <<<'5 6'", "- <<<'5 6'"] {
        case.shell(&format!("\"$M\" vec import v {input}")).exits(0).says("2 elements added");
    }
    // Elsewhere bytes are read at any place, and more than once.
    for words in ["snap", "diff f", "delta make f", "restore -o x", "stat", "view --range -4.. --at now"] {
        case.shell(&format!("\"$M\" {words} <(cat f)")).exits(2);
    }
    case.shell("\"$M\" snap <(cat f)").says("is a FIFO").says("save its output in a file");
    case.shell("\"$M\" vec import v --persistence <(cat v)").exits(2).says("is a FIFO");
    case.shell("cp f gone; exec 8<gone; rm gone; \"$M\" snap /dev/fd/8").exits(2).says("is open, but has no path");
}

/// Endless inputs end at what can fit.
#[test]
fn no_input_is_read_without_bound() {
    let case = ground();
    let limited = |line: &str| {
        let ran = case.shell(&format!("ulimit -v 2000000; ulimit -t 20; {line}"));
        assert!(matches!(ran.code, Some(2 | 4)), "{line}: {ran:?}");
        ran
    };
    let before = case.read("f");
    for input in ["/dev/zero", "- </dev/zero", "<(cat /dev/zero)"] {
        let ran = limited(&format!("\"$M\" edit --yes f --at 4k --from {input}"));
        ran.says("has more bytes than the 12288 from 4096 (0x1000) to the end of f").says("--grow");
    }
    case.write("long", &[1; 4 * 4096 + 1]);
    case.exits("edit --yes f --at 0 --from long", 2).says("--grow");
    case.ok("edit -n --grow f --at 0 --from long");
    for input in ["/dev/zero", "/dev/urandom", "<(cat /dev/zero)", "- </dev/zero"] {
        limited(&format!("\"$M\" apply --yes f {input}"));
        limited(&format!("\"$M\" delta stat {input}"));
    }
    // As a delta begins, and then no end.
    limited("\"$M\" delta stat <(cat d /dev/zero)").says("longer than its head allows");
    assert!(case.read("f") == before);
}
