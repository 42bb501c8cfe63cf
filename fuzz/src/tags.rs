//! Tags: a name, a line end, and what its file holds; the first byte says whether to put the right check behind the id.

use std::time::Duration;

use memsnap::page::Digest;
use memsnap::store::Ref;
use memsnap::store::check_tag;

use super::ground;

/// The file of a tag is refused, or written again it is the same; whatever may be a tag is read as that tag.
pub fn check(input: &[u8]) {
    let Some((how, bytes)) = input.split_first() else { return };
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else { return };
    let Ok(tag) = std::str::from_utf8(&bytes[..end]) else { return };
    if check_tag(tag).is_err() {
        return;
    }
    assert_eq!(tag.parse::<Ref>().expect("it may be a tag"), Ref::Tag(tag.into()));
    let mut content = bytes[end + 1..].to_vec();
    if how & 1 == 1 && content.len() >= 64 {
        let id = String::from_utf8_lossy(&content[..64]).into_owned();
        let check = Digest::of(format!("memsnap tag 1\n{tag}\n{id}").as_bytes());
        content.truncate(64);
        content.extend(format!(" {}\n", &check.to_string()[..16]).bytes());
    }
    ground::with(|ground| {
        let path = ground.history.dir().join("names").join(format!("tag-{tag}"));
        ground.put(&path, &content);
        if let Some(id) = ground.history.tagged(tag).ok().flatten() {
            let writing = ground.history.write_lock(Duration::ZERO).expect("no other writer");
            ground.history.tag(&writing, tag, &id).expect("it can be written");
            assert!(std::fs::read(&path).expect("it can be read") == content, "written again it is the same");
            let all = ground.history.tags().expect("they can be listed");
            assert!(all.iter().any(|(name, found)| name == tag && found.as_ref().is_ok_and(|found| *found == id)));
        }
        std::fs::remove_file(&path).expect("it can be removed");
    });
}
