//! `diff --range` and `log -n`: only a part is compared, or listed.

use super::case::{Case, PAGE, Ran, noise};

/// Two files and their snapshots, with changes at edges of pages, a hole, and another length.
fn pair() -> (Case, Vec<u8>, Vec<u8>) {
    let case = Case::in_memory();
    let mut a = noise(1, 6 * PAGE);
    a.resize(900_000, 0);
    let mut b = a.clone();
    for at in [0, 5, 4095, 4096, 9000, 24_575, 600_000, 899_999] {
        b[at] ^= 0x55;
    }
    b.extend([0; 70_000]);
    b.extend([7; 100]);
    case.write("f", &a);
    case.ok("snap -q f");
    case.write("a", &a);
    case.write("f", &b);
    case.ok("snap -q f");
    (case, a, b)
}

/// Two files, a snapshot with a file, two snapshots.
const WAYS: [&str; 3] = ["a f", "f@1 f", "f@1..2"];
const RANGES: [(usize, usize); 9] = [
    (0, 5),
    (1, 5),
    (5, 6),
    (6, 4095),
    (4095, 4097),
    (8192, 600_001),
    (600_001, 899_999),
    (899_990, 950_000),
    (10, 5_000_000),
];

/// Ranges of bytes that differ within `start..end`, the simple way.
fn oracle(a: &[u8], b: &[u8], start: usize, end: usize) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for at in start..end.min(a.len().max(b.len())) {
        if a.get(at) != b.get(at) {
            match ranges.last_mut() {
                Some((_, last)) if *last == at as u64 => *last += 1,
                _ => ranges.push((at as u64, at as u64 + 1)),
            }
        }
    }
    ranges
}

fn diff(case: &Case, way: &str, form: &str, (start, end): (usize, usize)) -> Ran {
    case.run(format!("diff {way} --range {start}..{end} {form}").split_whitespace())
}

#[test]
fn exactly_the_bytes_within_are_compared() {
    let (case, a, b) = pair();
    for way in WAYS {
        for (start, end) in RANGES {
            let wanted = oracle(&a, &b, start, end);
            let ran = diff(&case, way, "--unit byte --json", (start, end));
            assert_eq!(ran.code, Some(i32::from(!wanted.is_empty())), "{way} {start}..{end}: {ran:?}");
            let mut lines = ran.json();
            let summary = lines.pop().unwrap();
            let found: Vec<_> =
                lines.iter().map(|line| (line["start"].as_u64().unwrap(), line["end"].as_u64().unwrap())).collect();
            assert_eq!(found, wanted, "{way} {start}..{end}");
            assert_eq!(
                (&summary["range"]["start"], summary["same"].as_bool()),
                (&start.into(), Some(wanted.is_empty()))
            );
            let rows = diff(&case, way, "--hex --json -U 3", (start, end));
            assert_eq!(rows.code, ran.code);
            let bytes: u64 = wanted.iter().map(|(start, end)| end - start).sum();
            assert_eq!(rows.json().pop().unwrap()["bytes_changed"], bytes, "{way} {start}..{end}");
            for line in rows.json() {
                let offset = line["offset"].as_u64().unwrap_or(start as u64);
                assert!((start as u64..end as u64).contains(&offset), "{line}");
            }
        }
    }
}

#[test]
fn pages_and_numbers_within() {
    let (case, ..) = pair();
    for way in WAYS {
        let pages = |start, end| diff(&case, way, "--pages", (start, end)).out;
        assert_eq!(
            (pages(5, 4096), pages(4097, 9000), pages(6, 9001)),
            ("0\n".into(), String::new(), "0\n1\n2\n".into())
        );
        diff(&case, way, "--as u32", (4096, 9004)).exits(1).shows("1024: ").shows("2250: ");
        diff(&case, way, "--as u32", (4098, 9004))
            .exits(2)
            .says("begins or ends within a number of 4 bytes")
            .says("multiples of 4");
        diff(&case, way, "", (5_000_000, 5_000_001)).exits(2).says("the range begins at byte 5000000");
        diff(&case, way, "--stat", (1, 5)).exits(0).shows("are the same").shows("only bytes 1..5 compared");
    }
    case.exits("diff f --map --range 0..1", 2);
}

/// What is not within is not read either.
#[test]
fn damage_elsewhere_is_no_matter() {
    let (case, ..) = pair();
    let packs = case.stored(".pack");
    let first = packs.iter().max_by_key(|pack| pack.metadata().unwrap().len()).unwrap();
    let mut bytes = std::fs::read(first).unwrap();
    let at = bytes.windows(PAGE).position(|page| *page == noise(1, 6 * PAGE)[3 * PAGE..4 * PAGE]).unwrap();
    bytes[at] ^= 1;
    std::fs::write(first, bytes).unwrap();
    diff(&case, "f@1 f", "", (6, 4095)).exits(0);
    diff(&case, "f@1 f", "", (3 * PAGE, 4 * PAGE)).exits(4);
}

#[test]
fn far_into_a_hole() {
    let case = Case::new();
    for (name, byte) in [("a", 1), ("b", 2)] {
        case.write(name, b"x");
        case.set_len(name, 1 << 40);
        case.patch(name, (1 << 40) - 10, &[byte]);
    }
    case.run("diff a b --range 1..1099511627766".split(' ')).exits(0);
    let ran = case.run("diff a b --range 1..1099511627767 --pages".split(' ')).exits(1);
    assert_eq!(ran.out, format!("{}\n", ((1u64 << 40) - 10) / PAGE as u64));
}

#[test]
fn half_precision() {
    let case = Case::new();
    // 1, -2, the smallest, 65504, infinity, not a number.
    let numbers: Vec<u8> =
        [0x3c00u16, 0xc000, 1, 0x7bff, 0x7c00, 0x7e01].iter().flat_map(|n| n.to_le_bytes()).collect();
    case.write("a", &numbers);
    let shown = case.ok("view a --as f16").out;
    let words: Vec<_> = shown.split_whitespace().skip(1).collect();
    assert_eq!(words, ["1.0", "-2.0", "5.9604645e-8", "65504.0", "00000008", "inf", "NaN"]);
    case.ok("view a --as bf16 --json").shows("0.0078125");
    case.write("b", &[&numbers[..10], &[0x02, 0x7e]].concat());
    case.exits("diff a b --as f16", 1).shows("5: NaN (7e01) -> NaN (7e02)");
    case.ok("diff a b --as f16 --nan-equal");
}

#[test]
fn only_the_newest_are_listed() {
    let case = Case::with_pages(3);
    for page in 0..3 {
        case.touch(page, 40 + page);
        case.ok("snap -q f");
    }
    let numbers = |words: &str| {
        let lines = case.ok(&format!("log --json {words}")).json();
        lines.iter().map(|line| line["number"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((numbers("f -n 1"), numbers("f -n 2"), numbers("f -n 9")), (vec![3], vec![2, 3], vec![1, 2, 3]));
    assert_eq!((numbers("-n 1"), numbers("f -n 1 --range page:1")), (vec![3], vec![2]));
    let text = case.ok("log f --newest 2").out;
    assert_eq!(text.lines().count(), 3, "{text}");
    case.exits("log f -n 0", 2);
}
