//! Every input that the fuzzers keep passes the checks of the fuzzers: those in `fuzz/src`.
//! Scripts of `ops` need the fuzzer itself.

use std::fs;
use std::path::Path;

#[allow(unreachable_pub, reason = "a library there, a module here")]
#[path = "../fuzz/src/lib.rs"]
mod checks;

type Check = fn(&[u8]);

const CHECKS: [(&str, Check); 13] = [
    ("changed_list", checks::changed_list::check),
    ("delta", checks::delta::check),
    ("digest_cache", checks::digest_cache::check),
    ("file_ref", checks::file_ref::check),
    ("format", checks::format::check),
    ("intent", checks::intent::check),
    ("map", checks::map::check),
    ("pack", checks::pack::check),
    ("range", checks::range::check),
    ("snapshot", checks::snapshot::check),
    ("tags", checks::tags::check),
    ("vec_header", checks::vec_header::check),
    ("words", checks::words::check),
];

#[test]
fn every_input_is_decoded_or_refused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut found: Vec<_> = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    found.retain(|name| name != "ops");
    found.sort();
    assert_eq!(found, CHECKS.map(|(name, _)| name), "each corpus has its check");
    for (name, check) in CHECKS {
        let mut inputs = 0;
        for entry in fs::read_dir(root.join(name)).unwrap() {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            let panic = std::panic::catch_unwind(|| check(&input)).is_err();
            assert!(!panic, "{}", path.display());
            inputs += 1;
        }
        assert!(inputs > 5, "{name} has {inputs} inputs");
    }
}
