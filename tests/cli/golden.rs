//! Outputs at 80 columns, with colour and without, compared with the files in `tests/golden/`.
//! `MEMSNAP_BLESS=1 cargo test --release --test cli golden` writes them again.

use std::path::Path;

use super::case::{Case, finish};

/// Compares `text` with the golden output `name`, or makes it that.
#[track_caller]
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
    if std::env::var_os("MEMSNAP_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "{name} looks different:\n{text}\n--- committed\n{committed}");
}

/// `text` without what colours it.
pub(crate) fn bare(text: &str) -> String {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap().to_string();
    parts.fold(first, |all, part| all + part.split_once('m').unwrap().1)
}

/// Runs these words with colour and without; both are golden, say the same, and fit 80 columns.
fn both(case: &Case, name: &str, words: &str, code: i32) {
    let plain = case.exits(words, code);
    golden(name, &(plain.out.clone() + &plain.err));
    let colored = case.exits(&format!("--color always {words}"), code);
    golden(&format!("{name}-color"), &(colored.out.clone() + &colored.err));
    assert_eq!(bare(&colored.out).replace([' ', '[', ']'], ""), plain.out.replace([' ', '[', ']'], ""), "{words}");
    for line in plain.out.lines().filter(|_| !words.contains("--json")) {
        assert!(line.chars().count() <= 80, "{words}: {line:?}");
    }
}

/// Every kind of byte, text, zeros, and numbers.
fn sample() -> Case {
    let case = Case::new();
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.extend([0; 1024]);
    bytes.extend(b"a line of text\tand\r\nothers \x1b[31mone\n");
    bytes.extend([0; 20]);
    bytes.extend([1.5f32, -0.0, f32::NAN, f32::MIN, 1e-40].iter().flat_map(|n| n.to_le_bytes()));
    bytes.extend([0; 37]);
    case.write("f", &bytes);
    case
}

#[test]
fn golden_view() {
    let case = sample();
    both(&case, "view/hex", "view f", 0);
    both(&case, "view/all", "view -a --range 240+48 f", 0);
    both(&case, "view/group", "view --group 4 --range ..64 f", 0);
    both(&case, "view/plain", "view --plain --range ..300 f", 0);
    both(&case, "view/u16be", "view --as u16be --range ..300 f", 0);
    both(&case, "view/i64", "view --as i64 f", 0);
    both(&case, "view/f32", "view --as f32 --range 1336.. f", 0);
    both(&case, "view/f32-columns", "view --as f32 --columns 1 --range 1336+24 f", 0);
    both(&case, "view/json", "view --json --range 250..1350 f", 0);
    both(&case, "view/json-f32", "view --json --as f32 --range 1336+24 f", 0);
    case.write("big", &[0; 10]);
    case.set_len("big", 1 << 43);
    case.patch("big", (1 << 42) + 3, b"here");
    both(&case, "view/big", "view big", 0);
    case.write("empty", b"");
    both(&case, "view/empty", "view empty", 0);
    both(&case, "view/beyond", "view f --range 1M..", 2);
}

/// Two versions of a file, and a snapshot of the first.
fn versions() -> Case {
    let case = sample();
    let mut bytes = case.read("f");
    bytes.resize(20_000, 7);
    case.write("f", &bytes);
    case.ok("snap f --quiet");
    case.patch("f", 30, b"new bytes");
    case.patch("f", 64, &[0]);
    case.patch("f", 9000, &[1, 2, 3]);
    case.patch("f", 12_288, &[9; 4096]);
    case.patch("f", 1340, &[0, 0, 0xc0, 0x7f]);
    case.set_len("f", 30_000);
    case
}

#[test]
fn golden_diff() {
    let case = versions();
    both(&case, "diff/pages", "diff f", 1);
    both(&case, "diff/bytes", "diff --unit byte f", 1);
    both(&case, "diff/hex", "diff --hex --limit 5 f", 1);
    both(&case, "diff/hex-context", "diff --hex -U 2 --limit 5 f", 1);
    both(&case, "diff/hex-back", "diff --hex f@now f@1 --limit 6", 1);
    both(&case, "diff/f32", "diff --as f32 --limit 8 f", 1);
    both(&case, "diff/u16be", "diff --as u16be --limit 4 f@now f@1", 1);
    both(&case, "diff/map", "diff --map f", 1);
    both(&case, "diff/limit", "diff --limit 1 f", 1);
    both(&case, "diff/stat", "diff --stat f", 1);
    both(&case, "diff/json-hex", "diff --json --hex -U 1 --limit 2 f", 1);
    both(&case, "diff/json-values", "diff --json --as f32 --limit 3 f", 1);
    both(&case, "diff/json-map", "diff --json --map f", 1);
    both(&case, "diff/json-bytes", "diff --json --unit byte f", 1);
    both(&case, "diff/same", "diff --hex f@1 f@1", 0);
}

#[test]
fn no_output_acts_on_a_terminal() {
    let case = Case::new();
    case.write("bad\x1b[31m", b"\x1b[31m\x9b");
    case.write("other", b"x");
    for words in ["view", "view --as u8", "diff --hex other", "diff --as u8 other", "diff --unit byte other"] {
        let ran = finish(case.memsnap(words.split(' ')).arg("bad\x1b[31m"));
        assert!(ran.code.is_some_and(|code| code < 2) && !ran.out.contains('\x1b'), "{words}: {ran:?}");
    }
}
