//! The file that makes a directory a store: the first byte says whether to put the right digest behind the others.

use memsnap::page::Digest;
use memsnap::store::Store;

use super::ground;

/// A store is opened only if the line is, word for word, one that is written for a new store.
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
        let opened = Store::open(&dir).is_ok();
        ground.put(&dir.join("format"), &good);
        if opened {
            let text = String::from_utf8(bytes).expect("it is text");
            let words: Vec<_> = text.strip_suffix('\n').expect("it is a line").split(' ').collect();
            assert_eq!((words.len(), words[0], words[1], words[2].len()), (4, "memsnap", "1", 32));
            assert_eq!(words[3], Digest::of(words[..3].join(" ").as_bytes()).to_hex());
        }
    });
}
