//! Histories with a blow in the middle: every verb that writes, against a plain model; see `script.rs` for the input,
//! `crash.rs` for blows, `model.rs` for what must hold.
#![no_main]

mod crash;
mod ground;
mod model;
mod script;
mod vec;

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: blows_fall(),
    |input: &[u8]| {
        if let Some(script) = script::Script::of(input) {
            model::play(&script);
        }
    }
);

/// A fuzzer whose blows miss would find nothing: the first step of each primitive must be struck, and leave no trace.
fn blows_fall() {
    use memsnap::sys::{create, sparse, xattr};
    use std::io::Write;
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().expect("a directory can be made");
    let (path, other) = (dir.path().join("file"), dir.path().join("other"));
    std::fs::write(&path, [7; 10_000]).expect("it can be written");
    let file = std::fs::File::options().read(true).write(true).open(&path).expect("it is there");
    let pending = create::Pending::new(dir.path()).expect("it can be made");
    let owner = create::check_private(dir.path()).expect("it is of this user alone");
    let struck = |what: &str, work: &mut dyn FnMut() -> bool| {
        let (done, fell) = crash::during(1, crash::Blow::Death, work);
        assert!(fell && !done, "{what} is not stopped");
    };
    struck("writing", &mut || (&file).write_all(b"x").is_ok());
    struck("writing at a place", &mut || file.write_all_at(b"x", 5000).is_ok());
    struck("setting the length", &mut || file.set_len(1).is_ok());
    struck("making a hole", &mut || sparse::punch(&file, 0, 4096).is_ok_and(|made| made));
    struck("making history", &mut || sparse::allocate(&file, 0, 40_960).is_ok_and(|made| made));
    struck("bringing to the disk", &mut || file.sync_all().is_ok());
    struck("bringing data to the disk", &mut || file.sync_data().is_ok());
    struck("setting an attribute", &mut || xattr::set(&file, b"user.x", b"x").is_ok());
    struck("removing an attribute", &mut || xattr::remove(&file, b"user.x").is_ok());
    struck("making a file", &mut || create::write_small_for(dir.path(), owner, "other".as_ref(), b"x").is_ok());
    struck("removing a file", &mut || std::fs::remove_file(&path).is_ok());
    struck("renaming a file", &mut || std::fs::rename(&path, &other).is_ok());
    struck("making a directory", &mut || create::make_dir_for(&other, None).is_ok());
    let mut pending = Some(pending);
    struck("naming a file", &mut || pending.take().is_some_and(|file| file.replace_unsynced("other".as_ref()).is_ok()));
    let untouched = |path: &Path| std::fs::read(path).is_ok_and(|bytes| bytes == [7; 10_000]);
    assert!(untouched(&path) && !other.exists(), "a blow leaves no trace");
}
