//! `FILE@REF`: the name of a file, a snapshot of it, or a pair of snapshots.
//!
//! Parsing works on bytes, like file names, and touches no file: the caller says how to find out whether a file exists.
//! An ambiguous name is never resolved silently: see [`Operand::ambiguity`].

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::store::Ref;
use crate::store::no_ref;
use crate::sys::ext::OsStrExt;
use crate::{Error, Result};

/// A file, and an image of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operand {
    /// The file, as it was named.
    pub path: PathBuf,
    /// The image; `None` if none was named.
    pub at: Option<Ref>,
    /// A file whose name is literally `FILE@REF`, if one exists. Verbs that write refuse; others warn and use the
    /// snapshot.
    #[doc(hidden)]
    pub ambiguity: Option<PathBuf>,
}

impl Operand {
    /// Returns the operand for an image of the file `path`; with `None`, for the image that the verb uses by itself.
    pub fn new(path: impl Into<PathBuf>, at: impl Into<Option<Ref>>) -> Operand {
        Operand { path: path.into(), at: at.into(), ambiguity: None }
    }

    /// Parses `FILE` or `FILE@REF`, split at the last `@` after the last `/`. With `at` (`--at REF`) nothing is split.
    ///
    /// If the text after the `@` cannot be a REF, it is part of the name if a file of that name exists.
    #[doc(hidden)]
    pub fn parse(arg: &OsStr, at: Option<&str>, exists: &dyn Fn(&Path) -> bool) -> Result<Operand> {
        if arg.is_empty() {
            return Err(Error::refused("a file name is empty", "check the variable that should hold it"));
        }
        let whole = Path::new(arg);
        if let Some(at) = at {
            return Ok(Operand { path: whole.into(), at: Some(reference(at)?), ambiguity: None });
        }
        let Some((path, text)) = split(arg) else {
            return Ok(Operand::new(whole, None));
        };
        match text.and_then(reference).and_then(|at| named(path, at)) {
            Ok((path, at)) => Ok(Operand { path, at: Some(at), ambiguity: ambiguity(whole, exists) }),
            Err(_) if exists(whole) => Ok(Operand::new(whole, None)),
            Err(e) => Err(e),
        }
    }

    /// Parses `FILE@A..B` as `FILE@A` and `FILE@B`; `None` if it is not of that form.
    #[doc(hidden)]
    pub fn parse_pair(arg: &OsStr, exists: &dyn Fn(&Path) -> bool) -> Result<Option<(Operand, Operand)>> {
        let whole = Path::new(arg);
        let Some((path, Ok(text))) = split(arg) else { return Ok(None) };
        let Some((a, b)) = text.split_once("..") else { return Ok(None) };
        let missing = || Err(no_ref(text, "one end of the range A..B is missing"));
        let end = |end: &str| if end.is_empty() { missing() } else { end.parse::<Ref>() };
        let both = end(a).and_then(|a| Ok((named(path, a)?, named(path, end(b)?)?)));
        match both {
            Ok((a, b)) => {
                let ambiguity = ambiguity(whole, exists);
                let side = |(path, at)| Operand { path, at: Some(at), ambiguity: ambiguity.clone() };
                Ok(Some((side(a), side(b))))
            }
            Err(_) if exists(whole) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// Parses one REF; a range is an error.
fn reference(text: &str) -> Result<Ref> {
    match text.split_once("..") {
        Some(("", _) | (_, "")) => Err(no_ref(text, "one end of the range A..B is missing")),
        Some(_) => Err(no_ref(text, "a range A..B is not possible here")),
        None if text.is_empty() => Err(no_ref(text, "it is empty")),
        None => text.parse::<Ref>(),
    }
}

/// The name before the last `@` after the last `/`, and the text after it.
fn split(arg: &OsStr) -> Option<(&OsStr, Result<&str>)> {
    let bytes = arg.as_bytes();
    let name = bytes.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    let at = name + bytes[name..].iter().rposition(|b| *b == b'@')?;
    let text = std::str::from_utf8(&bytes[at + 1..])
        .map_err(|_| no_ref(&String::from_utf8_lossy(&bytes[at + 1..]), "it is not UTF-8"));
    Some((OsStr::from_bytes(&bytes[..at]), text))
}

/// A REF needs a file name before it.
fn named(path: &OsStr, at: Ref) -> Result<(PathBuf, Ref)> {
    if path.is_empty() || path.as_bytes().ends_with(b"/") {
        return Err(Error::refused(format!("there is no file name before `@{at}`"), format!("use FILE@{at}")));
    }
    Ok((path.into(), at))
}

fn ambiguity(whole: &Path, exists: &dyn Fn(&Path) -> bool) -> Option<PathBuf> {
    exists(whole).then(|| whole.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cause;
    use crate::store::check_tag;
    use proptest::prelude::*;

    fn parse(arg: &str) -> Result<Operand> {
        Operand::parse(OsStr::new(arg), None, &|_| false)
    }

    fn split_of(arg: &str) -> (String, Option<Ref>) {
        let o = parse(arg).unwrap();
        assert_eq!(o.ambiguity, None);
        (o.path.to_str().unwrap().into(), o.at)
    }

    #[test]
    fn every_kind_of_ref() {
        let table = [
            ("db@latest", Ref::Latest),
            ("db@now", Ref::Now),
            ("db@3", Ref::Number(3)),
            ("db@0017", Ref::Number(17)),
            ("db@12345678", Ref::Number(12_345_678)),
            ("db@-1", Ref::Back(1)),
            ("db@-0", Ref::Back(0)),
            ("db@1a2b", Ref::Prefix("1a2b".into())),
            ("db@DEAD", Ref::Prefix("dead".into())),
            ("db@before-upgrade", Ref::Tag("before-upgrade".into())),
            ("db@v1.2", Ref::Tag("v1.2".into())),
            ("db@été", Ref::Tag("été".into())),
        ];
        for (arg, at) in table {
            assert_eq!(split_of(arg), ("db".into(), Some(at)), "{arg}");
        }
        let id = "0123456789".repeat(7)[..64].to_string();
        assert_eq!(id.parse::<Ref>().unwrap(), Ref::Prefix(id), "a full id may happen to have no letter");
    }

    #[test]
    fn no_ref_at_all() {
        for arg in ["db", "dir@3/db", "a@b/c@d/db", "./db", "/db"] {
            assert_eq!(split_of(arg), (arg.into(), None));
        }
    }

    #[test]
    fn the_last_at_after_the_last_slash_splits() {
        assert_eq!(split_of("a@b@3"), ("a@b".into(), Some(Ref::Number(3))));
        assert_eq!(split_of("x@1/db@2"), ("x@1/db".into(), Some(Ref::Number(2))));
    }

    #[test]
    fn what_names_no_snapshot() {
        for text in [
            "",
            "0",
            "abc",
            "99999999999999999999999",
            "-",
            "-x",
            "--1",
            "+3",
            "a:b",
            "a~1",
            "a..b",
            "_x",
            "1..2",
            "é\n",
        ] {
            assert!(text.parse::<Ref>().is_err(), "{text:?}");
            let arg = format!("db@{text}");
            let e = parse(&arg).unwrap_err();
            assert!(matches!(&e, Error::Refused { cause, .. } if **cause == Cause::NoRef), "{arg:?}: {e:?}");
            let whole = Operand::parse(OsStr::new(&arg), None, &|_| true).unwrap();
            assert_eq!((whole.path, whole.at, whole.ambiguity), (arg.into(), None, None));
        }
        assert!(&"a".repeat(65).parse::<Ref>().is_err());
        assert!(parse("@3").is_err() && parse("dir/@3").is_err() && parse("").is_err());
    }

    #[test]
    fn a_file_of_the_whole_name_raises_doubt() {
        let arg = OsStr::new("user@host.bin");
        let o = Operand::parse(arg, None, &|p| p == Path::new("user@host.bin")).unwrap();
        assert_eq!(o.path, Path::new("user"));
        assert_eq!(o.at, Some(Ref::Tag("host.bin".into())));
        assert_eq!(o.ambiguity.as_deref(), Some(Path::new(arg)));
    }

    #[test]
    fn at_takes_the_name_whole() {
        let o = Operand::parse(OsStr::new("user@3"), Some("now"), &|_| true).unwrap();
        assert_eq!((o.path, o.at, o.ambiguity), ("user@3".into(), Some(Ref::Now), None));
        assert!(Operand::parse(OsStr::new("user@3"), Some("@3"), &|_| true).is_err());
    }

    #[test]
    fn names_are_bytes() {
        let o = Operand::parse(OsStr::from_bytes(b"\xff\xfe@3"), None, &|_| false).unwrap();
        assert_eq!((o.path.as_os_str().as_bytes(), o.at), (&b"\xff\xfe"[..], Some(Ref::Number(3))));
        let bad = OsStr::from_bytes(b"db@\xff");
        assert!(Operand::parse(bad, None, &|_| false).is_err());
        assert_eq!(Operand::parse(bad, None, &|_| true).unwrap().path.as_os_str(), bad);
    }

    #[test]
    fn pairs() {
        let pair = |arg: &str| Operand::parse_pair(OsStr::new(arg), &|_| false);
        let (a, b) = pair("db@1..now").unwrap().unwrap();
        assert_eq!((a.path, a.at), ("db".into(), Some(Ref::Number(1))));
        assert_eq!((b.path, b.at), ("db".into(), Some(Ref::Now)));
        let (a, b) = pair("d/db@-1..latest").unwrap().unwrap();
        assert_eq!((a.at, b.at), (Some(Ref::Back(1)), Some(Ref::Latest)));
        for arg in ["db", "db@3", "d..e", "x@1..2/db"] {
            assert_eq!(pair(arg).unwrap(), None, "{arg}");
        }
        for arg in ["db@1..", "db@..2", "db@1...3", "@1..2"] {
            assert!(pair(arg).is_err(), "{arg}");
            assert_eq!(Operand::parse_pair(OsStr::new(arg), &|_| true).unwrap(), None, "{arg} is a file");
        }
        let (a, b) = Operand::parse_pair(OsStr::new("db@1..2"), &|_| true).unwrap().unwrap();
        assert!(a.ambiguity.is_some() && b.ambiguity.is_some());
    }

    #[test]
    fn tags() {
        for good in ["a-b", "v1.2", "gold", "x", "été", &"z".repeat(64)] {
            assert!(check_tag(good).is_ok(), "{good}");
        }
        for bad in
            ["", "1a", "beef", "latest", "now", "a@b", "a:b", "a/b", "a~b", "a..b", "a\nb", "-a", &"z".repeat(65)]
        {
            assert!(check_tag(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn refs_survive_their_own_text(text in "\\PC{0,70}") {
            if let Ok(at) = text.parse::<Ref>() {
                prop_assert_eq!(at.to_string().parse::<Ref>().unwrap(), at);
            }
        }

        #[test]
        fn a_good_tag_is_read_back_as_that_tag(tag in "[a-z~@.é-]{1,8}") {
            if check_tag(&tag).is_ok() {
                prop_assert_eq!(tag.parse::<Ref>().unwrap(), Ref::Tag(tag.clone()));
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), there: bool) {
            let arg = OsStr::from_bytes(&bytes);
            if let Ok(o) = Operand::parse(arg, None, &|_| there) {
                prop_assert!(bytes.starts_with(o.path.as_os_str().as_bytes()));
            }
            let _ = Operand::parse_pair(arg, &|_| there);
        }
    }
}
