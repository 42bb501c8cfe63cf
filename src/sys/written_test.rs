use super::*;
use crate::sys::region::system_page;

fn watched(pages: usize) -> Option<(WriteWatch, Region)> {
    let watch = match WriteWatch::new() {
        Ok(watch) => watch,
        Err(e) => {
            crate::sys::skipped(&format!("no watch can be had: {e}"));
            return None;
        }
    };
    let region = Region::zeroed(pages * system_page()).unwrap();
    watch.register(&region).unwrap();
    Some((watch, region))
}

/// Writes to one page of `step` and gives them as ranges.
fn write_some(region: &mut Region, many: usize, step: usize) -> Vec<Range<usize>> {
    let page = system_page();
    let starts = (0..many).map(|i| i * step * page);
    starts
        .map(|start| {
            region.as_mut_slice()[start] ^= 1;
            start..start + page
        })
        .collect()
}

/// More runs than the kernel is asked for at once, and than it gathers at once (512): each is named, and once.
#[test]
fn each_run_is_named_once() {
    for many in [0, 1, 2, 511, 512, 513, 1023, 1024, 1025, 1536, 2047, 2048, 2049, 5000] {
        let Some((watch, mut region)) = watched(3 * 5000) else { return };
        for round in 0..3 {
            let expected = write_some(&mut region, many, 3);
            let all = 0..region.len();
            assert_eq!(
                watch.written(&region, all.clone(), Armed::Private, false).unwrap(),
                expected,
                "{many}, round {round}"
            );
            assert_eq!(
                watch.written(&region, all.clone(), Armed::Private, round > 0).unwrap(),
                expected,
                "{many}, round {round}"
            );
            if round == 0 {
                watch.arm(&region, &expected).unwrap();
            }
            assert_eq!(watch.written(&region, all, Armed::Private, true).unwrap(), [], "{many}, round {round}");
        }
        assert_eq!(private_pages(&region, 0..region.len()).unwrap().len(), many);
    }
}

#[test]
fn only_what_was_asked_for_is_named_and_armed() {
    let page = system_page();
    let Some((watch, mut region)) = watched(9) else { return };
    region.as_mut_slice().fill(1);
    let part = 2 * page + 1..5 * page - 1;
    let whole = 2 * page..5 * page;
    assert_eq!(watch.written(&region, part.clone(), Armed::Private, true).unwrap(), std::slice::from_ref(&whole));
    assert_eq!(watch.written(&region, part, Armed::Private, false).unwrap(), []);
    assert_eq!(
        watch.written(&region, 0..region.len(), Armed::Private, false).unwrap(),
        [0..whole.start, whole.end..9 * page]
    );
    assert_eq!(watch.written(&region, 7..7, Armed::Private, false).unwrap(), []);
}

/// Pages that were only read may be named, as the page of zeros is there then, but not once they were armed.
#[test]
fn zeros_that_were_read() {
    let page = system_page();
    let Some((watch, mut region)) = watched(100) else { return };
    assert_eq!(watch.written(&region, 0..region.len(), Armed::Private, false).unwrap(), []);
    assert!(region.as_slice().iter().all(|b| *b == 0));
    watch.written(&region, 0..region.len(), Armed::Private, true).unwrap();
    assert!(region.as_slice().iter().all(|b| *b == 0));
    assert_eq!(watch.written(&region, 0..region.len(), Armed::Private, false).unwrap(), []);
    region.as_mut_slice()[50 * page] = 1;
    let page_50 = 50 * page..51 * page;
    for _ in 0..2 {
        let written = watch.written(&region, 0..region.len(), Armed::Private, false).unwrap();
        assert_eq!(written, std::slice::from_ref(&page_50));
    }
    watch.arm(&region, std::slice::from_ref(&page_50)).unwrap();
    assert!(region.as_slice().contains(&1));
    assert_eq!(watch.written(&region, 0..region.len(), Armed::Private, true).unwrap(), []);
}
