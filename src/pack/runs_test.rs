//! Runs written and read back; the strategies that other tests of this module use.

use super::*;
use proptest::prelude::*;

/// Any runs: (gap, length, source) each.
pub(in crate::pack) fn any_runs() -> impl Strategy<Value = Vec<Run>> {
    let source = prop_oneof![
        Just(Source::Hole),
        Just(Source::Zero),
        (0u32..5, 0u64..1 << 30).prop_map(|(pack, page)| Source::Pack(pack, page)),
    ];
    prop::collection::vec((0u64..50, 1u64..50, source, any::<bool>()), 0..60).prop_map(|list| {
        let mut at = 0;
        list.into_iter()
            .map(|(gap, len, mut source, stay)| {
                let start = at + gap;
                at = start + len;
                if let (true, Source::Pack(pack, _)) = (stay, source) {
                    source = Source::Pack(pack, start);
                }
                Run { pages: PageRange::new(start, at), source }
            })
            .collect()
    })
}

/// One run a page: what two sequences that mean the same have in common.
pub(in crate::pack) fn by_page(runs: &[Run]) -> Vec<(PageNo, Source)> {
    runs.iter().flat_map(|r| (0..r.pages.len()).map(|i| (r.pages.start + i, r.source.advance(i)))).collect()
}

pub(in crate::pack) fn collect(stream: &mut impl RunStream) -> Result<Vec<Run>, Bad> {
    stream.collect()
}

proptest! {
    #[test]
    fn runs_come_back(runs in any_runs()) {
        let mut writer = RunsWriter::new(Vec::new());
        runs.iter().for_each(|r| writer.push(*r).unwrap());
        let (section, packs, bytes) = writer.finish().unwrap();
        prop_assert_eq!(section.bytes, bytes.len() as u64);
        prop_assert_eq!(section.pages, runs.iter().map(|r| r.pages.len()).sum::<u64>());
        let mut reader = RunsReader::new(bytes, 0, section, packs.into());
        prop_assert_eq!(by_page(&collect(&mut reader).unwrap()), by_page(&runs));
    }

    #[test]
    fn any_bytes_are_runs_or_an_error(bytes: Vec<u8>, runs in 0u64..9) {
        let section = Section { bytes: bytes.len() as u64, runs, pages: runs };
        let _ = collect(&mut RunsReader::new(bytes, 0, section, vec![0, 1].into()));
    }
}

#[test]
fn many_runs_are_skipped_by_blocks() {
    let runs: Vec<_> = (0..40_000u64)
        .map(|i| Run { pages: PageRange::new(i * 2, i * 2 + 1), source: Source::Pack((i % 7) as u32, i * 2) })
        .collect();
    let mut writer = RunsWriter::new(Vec::new());
    runs.iter().for_each(|r| writer.push(*r).unwrap());
    let (section, packs, bytes) = writer.finish().unwrap();
    assert!(section.bytes < 100_000, "{} bytes for 40,000 runs", section.bytes);
    let mut reader = RunsReader::new(bytes, 0, section, packs.into());
    reader.skip_to(70_000).unwrap();
    let rest = collect(&mut reader).unwrap();
    assert!(rest[0].pages.start <= 70_000 && rest.len() < 15_000);
    assert_eq!(rest.last(), runs.last());
}

#[test]
fn sources_of_unknown_code_are_newer() {
    let of = |code: u64| {
        let mut raw = Vec::new();
        [0, 4, code].iter().for_each(|n| put_varint(&mut raw, *n));
        if code >= FIRST_PACK {
            put_varint(&mut raw, 0);
        }
        let head = BlockHead { runs: 1, raw: raw.len() as u32, coded: 0, start: 3, end: 8 };
        decode_runs(&raw, &head, &[5])
    };
    assert_eq!(of(0).unwrap()[0].source, Source::Hole);
    assert_eq!(of(1).unwrap()[0].source, Source::Zero);
    assert_eq!(of(FIRST_PACK).unwrap()[0].source, Source::Pack(5, 3));
    for code in 2..FIRST_PACK {
        assert!(matches!(of(code), Err(Bad::Version(_))), "code {code}");
    }
    assert!(matches!(of(FIRST_PACK + 1), Err(Bad::Damaged(_))), "a pack outside the list");
}

/// A list of packs may name one twice; the others keep their numbers all the same.
#[test]
fn packs_named_twice_keep_the_others_apart() {
    let of = |pack: u32| Run { pages: PageRange::new(pack.into(), u64::from(pack) + 1), source: Source::Pack(pack, 0) };
    let runs = [4, 5, 9].map(of);
    let mut writer = RunsWriter::continuing(Vec::new(), vec![4, 4, 5]);
    runs.iter().for_each(|run| writer.push(*run).unwrap());
    let (section, packs, bytes) = writer.finish().unwrap();
    let mut reader = RunsReader::new(bytes, 0, section, packs.into());
    assert_eq!(collect(&mut reader).unwrap(), runs);
}
