//! The file that makes a directory a store: the first byte says whether to put the right digest behind the others.

use memsnap::page::Digest;
use memsnap::store::Store;

use super::ground;

/// A store is opened only if the line has the words of one that is written for a new store; one that requires features
/// is refused as newer, and never as damaged.
pub fn check(input: &[u8]) {
    let Some((how, line)) = input.split_first() else { return };
    let mut bytes = line.to_vec();
    if how & 1 == 1 {
        bytes.extend(format!(" {}\n", Digest::of(line)).bytes());
    }
    ground::with(|ground| {
        let dir = ground.path("store");
        let good = std::fs::read(dir.join("format")).expect("it is there");
        ground.put(&dir.join("format"), &bytes);
        let opened = Store::open(&dir);
        ground.put(&dir.join("format"), &good);
        let newer = matches!(opened, Err(memsnap::Error::Version { .. }));
        if opened.is_ok() || newer {
            let text = String::from_utf8(bytes).expect("it is text");
            let words: Vec<_> = text.strip_suffix('\n').expect("it is a line").split(' ').collect();
            let (check, line) = words.split_last().expect("there is a check");
            assert_eq!(*check, Digest::of(line.join(" ").as_bytes()).to_string());
            assert_eq!(line[0], "memsnap");
            if line[1] == "1" {
                assert_eq!((line[2].len(), line.len() > 4), (32, newer), "what it requires decides");
            }
        }
    });
}
