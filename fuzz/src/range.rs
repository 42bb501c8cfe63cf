//! Sizes, ranges and the like, as the command line reads them.

#[allow(dead_code, reason = "not all of it is tried")]
#[path = "../../src/cli/units.rs"]
mod units;

use memsnap::page::MAX_LEN;

/// A text is refused, or what it says is within its limits, and is read back from another form.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok((start, end)) = units::range(text) {
        assert!(start < end && end <= MAX_LEN, "a range holds a byte, and ends where a file can");
        assert_eq!(units::range(&format!("{start}..{end}")), Ok((start, end)));
        assert_eq!(units::range(&format!("{start:#x}+{:#x}", end - start)), Ok((start, end)));
    }
    if let Ok(size) = units::size(text) {
        assert_eq!(units::size(&size.to_string()), Ok(size));
        assert_eq!(units::size(&format!("{size:#x}")), Ok(size));
        assert_eq!(units::offset(text), Ok(size), "every size is a place");
        let _ = units::Sizes { exact: false }.show(size);
        let _ = units::Sizes { exact: false }.change(size, size / 2);
    }
    assert!(units::rate(text).is_ok_and(|rate| rate > 0) || units::rate(text).is_err());
    if let Ok(time) = units::seconds(text) {
        let _ = units::duration(time);
    }
    let _ = (units::offset(text), units::compress(text), units::reserve(text), units::io(text), units::grade(text));
}
