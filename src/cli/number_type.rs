//! `--as TYPE`: bytes as numbers, little-endian or big-endian.

use memsnap::ops::vec::{Number, Scalar};

/// A number type, and the order of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NumberType {
    kind: NumberKind,
    big: bool,
}

/// A number type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NumberKind {
    Scalar(Scalar),
    /// IEEE 754 binary16: 5 bits of exponent, 10 of fraction.
    Half,
    /// bfloat16: the upper half of an f32.
    Brain,
}

impl NumberKind {
    fn all() -> impl Iterator<Item = NumberKind> {
        Scalar::ALL.into_iter().map(NumberKind::Scalar).chain([NumberKind::Half, NumberKind::Brain])
    }

    fn name(self) -> &'static str {
        match self {
            NumberKind::Scalar(scalar) => scalar.name(),
            NumberKind::Half => "f16",
            NumberKind::Brain => "bf16",
        }
    }
}

/// The number as an f32, which represents every f16 exactly; NaNs keep their bits.
fn from_half(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let (exponent, fraction) = (u32::from(bits >> 10 & 0x1f), u32::from(bits & 0x3ff));
    let magnitude = match exponent {
        // Subnormal: a multiple of the smallest number, 2^-24.
        0 => (fraction as f32 / (1 << 24) as f32).to_bits(),
        0x1f => 0x7f80_0000 | fraction << 13,
        _ => (exponent + 127 - 15) << 23 | fraction << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// Parses `u8`, `i32`, `f64`, also with a suffix `le` (the default) or `be`.
pub(crate) fn parse(text: &str) -> Result<NumberType, String> {
    let (name, big) = match (text.strip_suffix("be"), text.strip_suffix("le")) {
        (Some(name), _) => (name, true),
        (None, name) => (name.unwrap_or(text), false),
    };
    let kind = NumberKind::all().find(|kind| kind.name() == name).ok_or_else(|| {
        let names: Vec<_> = NumberKind::all().map(NumberKind::name).collect();
        format!("use one of {}, with a suffix be for big-endian", names.join(", "))
    })?;
    Ok(NumberType { kind, big })
}

impl NumberType {
    /// Bytes of a number.
    pub(crate) fn size(self) -> usize {
        match self.kind {
            NumberKind::Scalar(scalar) => scalar.size(),
            NumberKind::Half | NumberKind::Brain => 2,
        }
    }

    /// Its name: `u32`, `u32be`.
    pub(crate) fn name(self) -> String {
        format!("{}{}", self.kind.name(), if self.big { "be" } else { "" })
    }

    /// A number as text for a column: floats that would be too wide are shown with an exponent.
    pub(crate) fn text(self, number: Number) -> String {
        let text = number.to_string();
        match number {
            Number::Single(n) if text.len() > self.width() => format!("{n:e}"),
            Number::Double(n) if text.len() > self.width() => format!("{n:e}"),
            _ => text,
        }
    }

    /// The most columns that [`NumberType::text`] needs.
    pub(crate) fn width(self) -> usize {
        let NumberKind::Scalar(scalar) = self.kind else { return 16 };
        match scalar {
            Scalar::U8 => 3,
            Scalar::I8 => 4,
            Scalar::U16 => 5,
            Scalar::I16 => 6,
            Scalar::U32 => 10,
            Scalar::I32 => 11,
            Scalar::U64 | Scalar::I64 => 20,
            Scalar::F32 => 16,
            Scalar::F64 => 24,
        }
    }

    /// The number in `bytes`.
    ///
    /// # Panics
    /// When their number is not [`NumberType::size`].
    pub(crate) fn number(self, bytes: &[u8]) -> Number {
        let mut element = [0; 8];
        let element = &mut element[..bytes.len()];
        element.copy_from_slice(bytes);
        if self.big != cfg!(target_endian = "big") {
            element.reverse();
        }
        match (self.kind, &*element) {
            (NumberKind::Scalar(scalar), element) => scalar.number(element),
            (NumberKind::Half, element) => Number::Single(from_half(short(element))),
            (NumberKind::Brain, element) => Number::Single(f32::from_bits(u32::from(short(element)) << 16)),
        }
    }

    /// The bits of a number of this type as hexadecimal digits, the highest first.
    pub(crate) fn bits(self, number: Number) -> String {
        match (self.kind, number) {
            (NumberKind::Brain, Number::Single(n)) => format!("{:04x}", n.to_bits() >> 16),
            // Called for NaNs only.
            (NumberKind::Half, Number::Single(n)) if n.is_nan() => {
                format!("{:04x}", n.to_bits() >> 16 & 0x8000 | 0x7c00 | n.to_bits() >> 13 & 0x3ff)
            }
            (_, Number::Whole(n)) => format!("{n:x}"),
            (_, Number::Single(n)) => format!("{:08x}", n.to_bits()),
            (_, Number::Double(n)) => format!("{:016x}", n.to_bits()),
        }
    }
}

/// Two bytes in the order of this machine.
#[allow(clippy::host_endian_bytes, reason = "they have been brought into this order")]
fn short(bytes: &[u8]) -> u16 {
    u16::from_ne_bytes([bytes[0], bytes[1]])
}

/// Whether it is a NaN.
pub(crate) fn is_nan(number: Number) -> bool {
    match number {
        Number::Whole(_) => false,
        Number::Single(n) => n.is_nan(),
        Number::Double(n) => n.is_nan(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_fits_its_column_and_is_read_back(bytes: [u8; 8], which in 0..12usize) {
            let typed = NumberType { kind: NumberKind::all().nth(which).unwrap(), big: false };
            let number = typed.number(&bytes[..typed.size()]);
            let text = typed.text(number);
            prop_assert!(text.len() <= typed.width(), "{}", text);
            let same = match number {
                Number::Whole(n) => text.parse() == Ok(n),
                Number::Single(n) => n.is_nan() || text.parse() == Ok(n),
                Number::Double(n) => n.is_nan() || text.parse() == Ok(n),
            };
            prop_assert!(same, "{}", text);
        }
    }

    /// All of them, compared with the definition in the standard.
    #[test]
    fn every_half() {
        let [half, brain] = ["f16be", "bf16"].map(|name| parse(name).unwrap());
        for bits in 0..=u16::MAX {
            let single = |number| match number {
                Number::Single(n) => n,
                other => panic!("{other:?}"),
            };
            let (h, b) =
                (single(half.number(&bits.swap_bytes().to_le_bytes())), single(brain.number(&bits.to_le_bytes())));
            let check = |got: f32, digits: i32, shown: String| {
                let most = (1 << (15 - digits)) - 1;
                let (sign, exponent, fraction) =
                    (bits >> 15 == 1, i32::from(bits >> digits) & most, f64::from(bits & ((1 << digits) - 1)));
                let scale = f64::from(1 << digits);
                let magnitude = match exponent {
                    0 => fraction / scale * 2f64.powi(1 - most / 2),
                    e if e == most && fraction == 0.0 => f64::INFINITY,
                    e if e == most => f64::NAN,
                    e => (1.0 + fraction / scale) * 2f64.powi(e - most / 2),
                };
                assert_eq!(got.is_sign_negative(), sign, "{bits:04x}");
                if magnitude.is_nan() {
                    assert!(got.is_nan() && shown == format!("{bits:04x}"), "{bits:04x}: {got} {shown}");
                } else {
                    assert_eq!(f64::from(got.abs()), magnitude, "{bits:04x}");
                }
            };
            check(h, 10, half.bits(Number::Single(h)));
            check(b, 7, brain.bits(Number::Single(b)));
        }
    }

    #[test]
    fn both_orders() {
        let bytes = [0xff, 0x00, 0x00, 0x01];
        let of = |name: &str| parse(name).unwrap().number(&bytes).to_string();
        assert_eq!(["u32", "u32le", "u32be", "i32be"].map(of), ["16777471", "16777471", "4278190081", "-16777215"]);
        assert_eq!(parse("f64be").unwrap().number(&[0x3f, 0xf8, 0, 0, 0, 0, 0, 0]), Number::Double(1.5));
        assert_eq!(parse("f32").unwrap().number(&[0, 0, 0xc0, 0xbf]), Number::Single(-1.5));
        assert_eq!(
            (parse("i8be").unwrap().number(&[0x80]), parse("i8be").unwrap().name()),
            (Number::Whole(-128), "i8be".into())
        );
        assert!(is_nan(parse("f32").unwrap().number(&[0, 0, 0xc0, 0x7f])));
        for bad in ["", "le", "u128", "u32 be", "U8", "u8lebe", "f8", "bf32"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
