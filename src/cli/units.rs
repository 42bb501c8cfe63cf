//! Sizes, byte ranges, ages and durations as text: parsers for clap, and formatting.

use std::time::Duration;

use memsnap::capture::Io;
use memsnap::ops::Reserve;
use memsnap::pack::{Compress, Grade};
use memsnap::page::{MAX_LEN, PAGE64};

/// Bytes `start..end`; an open end is [`MAX_LEN`].
pub(crate) type Bytes = (u64, u64);

const SIZE_HINT: &str = "use bytes, or a number with k, M, G or T (powers of 1024), such as 64k or 2GiB";
const RANGE_HINT: &str = "use START..END, START+LENGTH, START.., ..END, page:N or page:A..B";

/// Parses a size: `4096`, `0x1000`, `4k`, `4KiB`, `1M`, `2GiB`, `1T`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let fault = |why: &str| format!("{why}; {SIZE_HINT}");
    if let Some(hex) = text.strip_prefix("0x") {
        let plain = !hex.starts_with('+');
        return u64::from_str_radix(hex, 16).ok().filter(|_| plain).ok_or_else(|| fault("not a hexadecimal number"));
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let shift = match &text[digits..] {
        "" | "B" => 0,
        "k" | "K" | "KiB" | "kiB" => 10,
        "m" | "M" | "MiB" => 20,
        "g" | "G" | "GiB" => 30,
        "t" | "T" | "TiB" => 40,
        _ => return Err(fault("not a size")),
    };
    let number: u64 = text[..digits].parse().map_err(|_| fault("not a number"))?;
    number.checked_mul(1 << shift).ok_or_else(|| fault("too large"))
}

/// Parses a size that is not zero, also as `10M/s`.
pub(crate) fn rate(text: &str) -> Result<u64, String> {
    match size(text.strip_suffix("/s").unwrap_or(text))? {
        0 => Err("the rate must not be 0".into()),
        rate => Ok(rate),
    }
}

/// Parses an offset: a size, `page:17`, `page:17+64`.
pub(crate) fn offset(text: &str) -> Result<u64, String> {
    let Some(place) = text.strip_prefix("page:") else {
        return size(text).map_err(|why| format!("{why}, or a page, such as page:17 or page:17+64"));
    };
    let (page, rest) = place.split_once('+').unwrap_or((place, "0"));
    let start = size(page)?.checked_mul(PAGE64).ok_or("there is no such page")?;
    start.checked_add(size(rest)?).ok_or_else(|| "past the largest possible file".into())
}

/// Parses a range of bytes: `4k..1M`, `0x1000+64`, `..4k`, `1M..`, `page:17`, `page:3..9`.
pub(crate) fn range(text: &str) -> Result<Bytes, String> {
    let (start, end) = match text.strip_prefix("page:") {
        Some(pages) => {
            let (start, end) = match pages.contains("..") || pages.contains('+') {
                true => span(pages, MAX_LEN / PAGE64)?,
                false => size(pages).map(|page| (page, page.saturating_add(1)))?,
            };
            let offset = |page: u64| page.checked_mul(PAGE64).ok_or("there is no such page");
            (offset(start)?, offset(end)?)
        }
        None => span(text, MAX_LEN)?,
    };
    if end <= start {
        return Err(format!("the range is empty; {RANGE_HINT}"));
    }
    if end > MAX_LEN {
        return Err("past the largest possible file".into());
    }
    Ok((start, end))
}

fn span(text: &str, open: u64) -> Result<Bytes, String> {
    if let Some((start, end)) = text.split_once("..") {
        let start = if start.is_empty() { 0 } else { size(start)? };
        let end = if end.is_empty() { open } else { size(end)? };
        return Ok((start, end));
    }
    let (start, len) = text.split_once('+').ok_or_else(|| format!("not a range; {RANGE_HINT}"))?;
    let (start, len) = (size(start)?, size(len)?);
    Ok((start, start.checked_add(len).ok_or("past the largest possible file")?))
}

/// Parses seconds, also with a fraction.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.strip_suffix('s').unwrap_or(text).parse().map_err(|_| "use seconds, such as 10 or 0.5")?;
    if number < 0.0 {
        return Err("must not be negative".into());
    }
    Duration::try_from_secs_f64(number).map_err(|_| "use seconds, such as 10 or 0.5".into())
}

/// Parses the time between two captures: seconds, or a number with `s`, `m`, `h` or `d`.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let unit = match &text[digits..] {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0,
    };
    let seconds = text[..digits].parse::<u32>().ok().map(|number| u64::from(number) * unit);
    let seconds = seconds.filter(|seconds| (1..=366 * 86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "use 1 s or more, such as 30s, 15m, 1h or 1d".into())
}

/// Parses milliseconds, from 1 to 600,000.
pub(crate) fn milliseconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix("ms").unwrap_or(text).parse().ok().filter(|ms| (1..=600_000).contains(ms));
    number.map(Duration::from_millis).ok_or_else(|| "use milliseconds, 1 to 600000".into())
}

/// Parses a time with a unit, such as `90s`, `30min`, `12h` or `7d`; without a unit, seconds.
pub(crate) fn period(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 5] = [("min", 60.0), ("ms", 0.001), ("s", 1.0), ("h", 3600.0), ("d", 86_400.0)];
    let unit = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let (number, seconds) = unit.unwrap_or((text, 1.0));
    let wrong = || "use a number and a unit, such as 30min, 12h or 7d".to_string();
    let number: f64 = number.trim_end().parse().map_err(|_| wrong())?;
    if number < 0.0 {
        return Err("must not be negative".into());
    }
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

/// Parses `none`, `zstd` or `zstd:LEVEL`.
pub(crate) fn compress(text: &str) -> Result<Compress, String> {
    match text {
        "none" => Ok(Compress::None),
        "zstd" => Ok(Compress::default()),
        _ => {
            let level = text.strip_prefix("zstd:").ok_or("use none, zstd or zstd:LEVEL")?;
            Ok(Compress::Zstd(zstd_level(level)?))
        }
    }
}

/// Parses a zstd level.
pub(crate) fn zstd_level(text: &str) -> Result<i32, String> {
    text.parse().ok().filter(|level| (1..=19).contains(level)).ok_or_else(|| "levels are 1 to 19".into())
}

/// Parses `5%` or a size.
pub(crate) fn reserve(text: &str) -> Result<Reserve, String> {
    match text.strip_suffix('%') {
        None => size(text).map(Reserve::Bytes),
        Some(percent) => match percent.parse() {
            Ok(percent) if percent < 100 => Ok(Reserve::Percent(percent)),
            _ => Err("use 0% to 99%, or a size".into()),
        },
    }
}

/// Parses how a file is read.
pub(crate) fn io(text: &str) -> Result<Io, String> {
    match text {
        "auto" => Ok(Io::Auto),
        "map" => Ok(Io::Map),
        "pread" => Ok(Io::Pread),
        _ => Err("use auto, map or pread".into()),
    }
}

/// Parses the required grade.
pub(crate) fn grade(text: &str) -> Result<Grade, String> {
    match text {
        "none" => Ok(Grade::Unproven),
        "claimed" => Ok(Grade::Claimed),
        "observed" => Ok(Grade::Observed),
        "proven" => Ok(Grade::Proven),
        _ => Err("use none, claimed, observed or proven".into()),
    }
}

/// How sizes are shown: in bytes, or rounded to units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// `--bytes`.
    pub(crate) exact: bool,
}

impl Sizes {
    /// `431 KiB`, `4.2 GiB`; `441344 B` when exact.
    pub(crate) fn show(self, bytes: u64) -> String {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.exact || bytes < 1024 {
            return format!("{bytes} B");
        }
        let (mut unit, mut whole) = (0, bytes as f64 / 1024.0);
        while whole >= 1023.5 && unit + 1 < UNITS.len() {
            whole /= 1024.0;
            unit += 1;
        }
        let digits = usize::from(whole < 9.95);
        format!("{whole:.digits$} {}", UNITS[unit])
    }
}

impl Sizes {
    /// `1.2 MiB -> 3.0 MiB`, in bytes if both would look the same.
    pub(crate) fn change(self, from: u64, to: u64) -> String {
        let alike = from != to && self.show(from) == self.show(to);
        let sizes = Sizes { exact: self.exact || alike };
        format!("{} -> {}", sizes.show(from), sizes.show(to))
    }

    /// The same in fewer columns: `256 KiB + 4 B` if both would look the same.
    pub(crate) fn step(self, from: u64, to: u64) -> String {
        if from == to || self.show(from) != self.show(to) {
            return self.change(from, to);
        }
        let sign = if from < to { '+' } else { '-' };
        format!("{} {sign} {}", self.show(from), self.show(from.abs_diff(to)))
    }
}

/// `7..9`, or `7` for a range of one: of pages, or of elements.
pub(crate) fn range_text(start: u64, end: u64) -> String {
    if end == start + 1 { start.to_string() } else { format!("{start}..{end}") }
}

/// `1 page`, `105 pages`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {noun}{s}")
}

/// The verb for `n` things: one differs, several differ.
pub(crate) fn differ(n: u64) -> &'static str {
    if n == 1 { "differs" } else { "differ" }
}

/// `0.12 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn duration(time: Duration) -> String {
    let secs = time.as_secs();
    match secs {
        0..10 => format!("{:.2} s", time.as_secs_f64()),
        10..60 => format!("{secs} s"),
        60..3600 => format!("{} min {} s", secs / 60, secs % 60),
        _ => format!("{} h {} min", secs / 3600, secs % 3600 / 60),
    }
}

/// How long ago, in one unit: `now`, `40 s`, `5 min`, `3 h`, `12 d`, `2 y`; `in 5 min` when a clock went backwards.
pub(crate) fn age(now_ns: i64, then_ns: i64) -> String {
    let secs = now_ns.abs_diff(then_ns) / 1_000_000_000;
    let age = match secs {
        0 => return "now".into(),
        1..60 => format!("{secs} s"),
        60..3600 => format!("{} min", secs / 60),
        3600..172_800 => format!("{} h", secs / 3600),
        172_800..63_072_000 => format!("{} d", secs / 86_400),
        _ => format!("{} y", secs / 31_536_000),
    };
    if then_ns > now_ns { format!("in {age}") } else { age }
}

/// `5 min ago`, `now`.
pub(crate) fn ago(now_ns: i64, then_ns: i64) -> String {
    match age(now_ns, then_ns) {
        age if age == "now" || age.starts_with("in ") => age,
        age => format!("{age} ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes() {
        let table = [("0", 0), ("4096", 4096), ("0x1000", 4096), ("4k", 4096), ("4K", 4096), ("4KiB", 4096), ("7B", 7)];
        for (text, bytes) in table {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        assert_eq!((size("3M"), size("2GiB"), size("1T")), (Ok(3 << 20), Ok(2 << 30), Ok(1 << 40)));
        for text in
            ["", "k", "-1", "+1", "0x", "0x+1", "1.5k", "4KB", "4 k", "17179869184G", "99999999999999999999", "é"]
        {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!((rate("10M/s"), rate("1k")), (Ok(10 << 20), Ok(1024)));
        assert!(rate("0").is_err());
    }

    #[test]
    fn ranges() {
        let table = [
            ("4k..1M", (4096, 1 << 20)),
            ("0x1000+64", (4096, 4160)),
            ("..4k", (0, 4096)),
            ("1M..", (1 << 20, MAX_LEN)),
            ("..", (0, MAX_LEN)),
            ("page:17", (17 << 12, 18 << 12)),
            ("page:3..9", (3 << 12, 9 << 12)),
            ("page:3+2", (3 << 12, 5 << 12)),
            ("page:..2", (0, 2 << 12)),
            ("page:2..", (2 << 12, MAX_LEN)),
        ];
        for (text, bytes) in table {
            assert_eq!(range(text), Ok(bytes), "{text}");
        }
        for text in
            ["", "4k", "4k..4k", "9..3", "1+0", "page:", "page:9..3", "1...2", "1..2..3", "0x7fffffffffffffff+1"]
        {
            assert!(range(text).is_err(), "{text}");
        }
        assert!(range("0xffffffffffffffff+1").is_err() && range("page:0xffffffffffffffff").is_err());
    }

    #[test]
    fn offsets() {
        for (text, at) in [("0", 0), ("4k", 4096), ("0x10", 16), ("page:2", 8192), ("page:0x2+1k", 9216)] {
            assert_eq!(offset(text), Ok(at), "{text}");
        }
        for text in ["", "page:", "page:2+", "page:+1", "page:0xffffffffffffff", "4k..8k", "-1"] {
            assert!(offset(text).is_err(), "{text}");
        }
    }

    #[test]
    fn choices() {
        assert_eq!(compress("zstd:19"), Ok(Compress::Zstd(19)));
        assert_eq!(compress("none"), Ok(Compress::None));
        assert!(compress("zstd:0").is_err() && compress("zstd:20").is_err() && compress("gzip").is_err());
        assert!(matches!(reserve("7%"), Ok(Reserve::Percent(7))));
        assert!(matches!(reserve("2G"), Ok(Reserve::Bytes(0x8000_0000))));
        assert!(reserve("100%").is_err() && reserve("-1%").is_err());
        assert_eq!((seconds("0.5"), seconds("10s")), (Ok(Duration::from_millis(500)), Ok(Duration::from_secs(10))));
        let table = [("90", 90), ("30s", 30), ("15m", 900), ("15min", 900), ("1h", 3600), ("1d", 86_400)];
        assert!(table.iter().all(|(text, secs)| interval(text) == Ok(Duration::from_secs(*secs))));
        assert!(["", "0", "-1m", "1.5h", "m", "1w", "367d"].iter().all(|text| interval(text).is_err()));
        assert_eq!(
            (milliseconds("250"), milliseconds("5ms")),
            (Ok(Duration::from_millis(250)), Ok(Duration::from_millis(5)))
        );
        assert!(["0", "600001", "1s", ""].iter().all(|text| milliseconds(text).is_err()));
        assert!(seconds("-1").is_err() && seconds("inf").is_err() && seconds("NaN").is_err());
    }

    #[test]
    fn shown_sizes() {
        let sizes = Sizes { exact: false };
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (430_080, "420 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (10_188, "9.9 KiB"),
            (10_200, "10 KiB"),
            (u64::MAX, "16 EiB"),
        ];
        for (bytes, text) in table {
            assert_eq!(sizes.show(bytes), text);
        }
        assert_eq!(Sizes { exact: true }.show(430_080), "430080 B");
        assert_eq!(sizes.step(1 << 18, (1 << 18) + 4), "256 KiB + 4 B");
        assert_eq!(sizes.step((1 << 30) + 2048, 1 << 30), "1.0 GiB - 2.0 KiB");
        assert_eq!((sizes.step(1, 2), sizes.step(5, 5)), ("1 B -> 2 B".into(), "5 B -> 5 B".into()));
        assert_eq!(Sizes { exact: true }.step(4096, 4097), "4096 B -> 4097 B");
    }

    #[test]
    fn shown_times() {
        let s = 1_000_000_000;
        let table = [(0, "now"), (40, "40 s"), (300, "5 min"), (7200, "2 h"), (864_000, "10 d"), (70_000_000, "2 y")];
        for (secs, text) in table {
            assert_eq!(age(secs * s, 0), text);
        }
        assert_eq!(age(0, 300 * s), "in 5 min");
        assert_eq!(age(i64::MAX, i64::MIN), "584 y");
        assert_eq!(duration(Duration::from_millis(123)), "0.12 s");
        assert_eq!((duration(Duration::from_secs(200)), count(1, "page")), ("3 min 20 s".into(), "1 page".into()));
    }

    proptest! {
        #[test]
        fn a_range_is_read_back(start in 0..MAX_LEN, len in 1..MAX_LEN, form in 0..4) {
            let end = start.saturating_add(len).min(MAX_LEN);
            let text = match form {
                0 => format!("{start}..{end}"),
                1 => format!("{start:#x}..{end:#x}"),
                2 => format!("{start}+{}", end - start),
                _ => format!("{start:#x}+{:#x}", end - start),
            };
            prop_assert_eq!(range(&text), Ok((start, end)));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,20}|[0-9a-fx.+:kMGTiBpage]{0,20}") {
            let _ = (range(&text), seconds(&text), compress(&text), reserve(&text));
        }
    }
}
