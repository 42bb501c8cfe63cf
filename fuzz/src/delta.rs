//! Deltas: the first byte says whether to seal the others.

use memsnap::pack::{Bad, DeltaReader, DeltaWriter, Frame, FrameKind, PageChange, Run, Source, invert};
use memsnap::page::{Digest, PAGE, PageNo, PageRange, pages_of};

use super::seal;

/// What becomes of pages: a run, and what is in it where that is not zeros.
type Kept = (Run, Option<(Digest, Box<[u8; PAGE]>)>);

/// A delta is refused, or what it makes ascends and is within the result; turned round twice it is as it was, and
/// written again it makes the same.
pub fn check(input: &[u8]) {
    let Some((how, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if how & 1 == 1 {
        seal::delta(&mut bytes);
    }
    let Ok(delta) = DeltaReader::open(bytes.clone()) else { return };
    let forward = items_of(&delta, false);
    let back = if delta.head.reversible { items_of(&delta, true) } else { None };
    if delta.head.reversible {
        let (once, twice) = (inverse(&delta), inverse(&DeltaReader::open(inverse(&delta)).expect("turned round")));
        assert!(twice == bytes, "turned round twice it is as it was");
        let once = DeltaReader::open(once).expect("turned round");
        assert_eq!((once.head.base, once.head.result), (delta.head.result, delta.head.base));
        assert!(items_of(&once, false) == back && items_of(&once, true) == forward, "both directions change over");
    }
    if let Some(forward) = forward {
        again(&delta, &forward);
    }
}

fn inverse(delta: &DeltaReader<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    let bytes = invert(delta, &mut out).expect("memory takes all");
    assert_eq!(bytes, out.len() as u64);
    out
}

/// What one direction makes, if all of it is sound. Old pages are what a fixed rule says.
fn items_of(delta: &DeltaReader<Vec<u8>>, back: bool) -> Option<Vec<Kept>> {
    let mut direction = delta.direction(back).expect("its pack was opened before");
    let len = if back { delta.head.base.len } else { delta.head.result.len };
    let mut old = |page: PageNo, bytes: &mut [u8; PAGE]| -> Result<(), Bad> {
        bytes.fill(page as u8);
        Ok(())
    };
    let (mut out, mut at) = (Vec::<Kept>::new(), 0);
    while let Some(item) = direction.next(&mut old).ok()? {
        let (run, page) = match item {
            PageChange::Zeros(run) => (run, None),
            PageChange::Page(page, digest, bytes) => {
                let run = Run { pages: PageRange::new(page, page + 1), source: Source::Pack(0, page) };
                (run, Some((digest, Box::new(*bytes))))
            }
        };
        assert!(run.pages.start >= at && !run.pages.is_empty() && run.pages.end <= pages_of(len), "within the image");
        at = run.pages.end;
        // Neighbouring zeros are one, wherever a block of runs ends.
        let joined = out.last().filter(|last| last.1.is_none() && page.is_none()).and_then(|last| last.0.join(&run));
        match joined {
            Some(both) => out.last_mut().expect("one to join with").0 = both,
            None => out.push((run, page)),
        }
    }
    Some(out)
}

/// The way forward in a delta of its own, each page a frame.
fn again(delta: &DeltaReader<Vec<u8>>, items: &[Kept]) {
    let head = memsnap::pack::DeltaHead { reversible: false, ..delta.head.clone() };
    let mut bytes = Vec::new();
    let writer = DeltaWriter::new(&mut bytes, &head).expect("memory takes all");
    let mut direction = writer.direction(Vec::new()).expect("memory takes all");
    for (run, page) in items {
        let Some((digest, bytes)) = page else {
            direction.zeros(run.pages, run.source).expect("memory takes all");
            continue;
        };
        direction.page(run.pages.start).expect("memory takes all");
        let frame = Frame { kind: FrameKind::Raw, bytes: bytes.to_vec() };
        direction.frame(&[(run.pages.start, *digest)], &frame).expect("memory takes all");
    }
    direction.finish().and_then(DeltaWriter::finish).expect("memory takes all");
    let written = DeltaReader::open(bytes).expect("what was written can be read");
    assert_eq!(written.head, head);
    assert!(items_of(&written, false).as_deref() == Some(items), "it makes the same");
}
