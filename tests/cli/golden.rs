//! What is shown, held against what is committed in `tests/golden/`. With `MEMSNAP_BLESS` set it is written anew.

use std::path::Path;

/// Compares `text` with the golden file of this name, such as `stat/one.txt`.
#[track_caller]
pub(crate) fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("MEMSNAP_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == text,
        "{name} is\n{golden}\nand this was shown:\n{text}\nIf it is right, bless it: MEMSNAP_BLESS=1"
    );
}
