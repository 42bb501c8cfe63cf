//! `FILE@REF`, `FILE@A..B`, `--at REF`; the names of snapshots' files. The first byte says which files there are.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use memsnap::ops::Operand;
use memsnap::store::SnapName;
use memsnap::{Cause, Error, Ref};

/// A text is refused with a remedy, or what it was read as, written out, is read as the same.
pub fn check(input: &[u8]) {
    let Some((how, bytes)) = input.split_first() else { return };
    let arg = OsStr::from_bytes(bytes);
    let there = how & 1 == 1 && !bytes.is_empty();
    let exists = |path: &Path| there && path == Path::new(arg);
    if let Some(name) = SnapName::parse(arg) {
        assert!(name.file_name().as_str() == arg, "a file has the name that it would be given");
    }
    match Operand::parse(arg, None, &exists) {
        Ok(operand) => {
            assert!(!operand.path.as_os_str().is_empty() && bytes.starts_with(operand.path.as_os_str().as_bytes()));
            assert_eq!(operand.ambiguity.is_some(), there && operand.at.is_some(), "an ambiguous name is reported");
            again(&operand);
        }
        Err(e) => {
            assert!(!there, "a file that is there can be named");
            assert!(matches!(e, Error::Refused { cause, .. } if *cause != Cause::Stated));
        }
    }
    if let Ok(Some((a, b))) = Operand::parse_pair(arg, &exists) {
        assert!(a.path == b.path && a.at.is_some() && b.at.is_some());
        again(&a);
        again(&b);
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(operand) = Operand::parse(OsStr::new("name@3"), Some(text), &exists)
    {
        assert_eq!((operand.path.as_path(), operand.at), (Path::new("name@3"), text.parse::<Ref>().ok()));
    }
}

/// The operand, written as a text, is read as itself.
fn again(operand: &Operand) {
    let Some(at) = &operand.at else { return };
    let text = [operand.path.as_os_str().as_bytes(), b"@", at.to_string().as_bytes()].concat();
    let read = Operand::parse(OsStr::from_bytes(&text), None, &|_| false).expect("it names a snapshot");
    assert_eq!((&read.path, &read.at), (&operand.path, &operand.at));
}
