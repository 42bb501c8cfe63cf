use super::super::file_names::MOST_NUMBER;
use super::*;

#[test]
fn names_of_snapshots() {
    let id = "0f".repeat(32);
    let parse = |name: &str| SnapName::parse(OsStr::new(name)).map(|name| name.number);
    assert_eq!(parse(&format!("00000001-{id}.snap")), Some(1));
    assert_eq!(parse(&format!("1000000000000000-{id}.snap")), Some(MOST_NUMBER));
    for number in ["00000000", "1", "000000001", "1000000000000001", "18446744073709551615", "99999999999999999999"] {
        assert_eq!(parse(&format!("{number}-{id}.snap")), None, "{number}");
    }
}
