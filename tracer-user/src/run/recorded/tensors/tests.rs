//! Parts that share no tensor, beside the whole that they make up.

use glob::Pattern;
use proptest::prelude::*;

use crate::{
    model::{ModelFormat, ModelOutline, OutlineFile, TensorKind, TensorPlace},
    run::recorded::{
        RecordedSetup, ReopenError, Selection, TimeSpan,
        replay::{
            reopen,
            tests::{Drawn, FILE_BYTES, events, recorded, setup},
        },
    },
    schema::{ModelRecord, RunRecord},
};

/// Every byte is in exactly one of these.
const PARTS: [&[&str]; 4] = [&["a.*"], &["b.?"], &["b.long"], &["(*)"]];

/// Tensors that begin and end in the middle of pages and of sectors, one of them in slices of experts.
fn setup_with_tensors() -> RecordedSetup {
    let tensor = |name: &str, offset_bytes, length_bytes, experts| TensorPlace {
        name: name.into(),
        file: 0,
        offset_bytes,
        length_bytes,
        length_is_exact: true,
        kind: TensorKind::Other,
        layer: None,
        expert_slices: experts,
        expert: None,
        dimensions: Vec::new(),
        element_type: "F32".into(),
        row_bytes: None,
        used_by_decode_step: true,
    };
    let mut setup = setup();
    setup.models[0].outline = Some(ModelOutline {
        format: ModelFormat::Gguf,
        architecture: None,
        name: None,
        layer_count: None,
        expert_count: None,
        expert_used_count: None,
        files: vec![OutlineFile {
            path: "m".into(),
            size_bytes: FILE_BYTES,
            header_bytes: 10_016,
        }],
        tensors: vec![
            tensor("a.first", 10_016, 1_000_032, None),
            tensor("b.1", 1_010_048, 900_000, Some(4)),
            tensor("a.second", 1_910_048, 40, None),
            // Padding before it.
            tensor("b.long", 1_920_000, 2_000_000, None),
        ],
        tied_output: false,
        notes: Vec::new(),
    });
    setup
}

fn opened(folder: &std::path::Path, patterns: &[&str], time: Option<TimeSpan>) -> RunRecord {
    let tensors = patterns
        .iter()
        .map(|own| Pattern::new(own).expect("a pattern"));
    let selection = Selection {
        time,
        tensors: tensors.collect(),
    };
    reopen(folder, &selection).expect("a recording").record
}

fn model(record: &RunRecord) -> &ModelRecord {
    record.single.as_ref().expect("one model")
}

fn rows(record: &RunRecord) -> Vec<String> {
    let tensors = model(record).tensors.iter().flatten();
    let mut rows: Vec<String> = tensors.map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}

/// What bytes say of a record: these have no twofold meaning at the edges of tensors.
fn sums(record: &RunRecord) -> Vec<u64> {
    let model = model(record);
    let reads = model.reads.as_ref().expect("reads");
    let phases = model.phases.iter().flatten();
    let tokens = model.tokens.iter().flatten();
    vec![
        model.model.size_bytes,
        reads.amount.total_bytes,
        reads.amount.unique_bytes,
        reads.completed_bytes,
        reads.failed_bytes,
        phases.clone().filter_map(|phase| phase.read_bytes).sum(),
        phases.filter_map(|phase| phase.readahead_bytes).sum(),
        tokens.filter_map(|token| token.read_bytes).sum(),
        model
            .arrivals
            .as_ref()
            .map_or(0, |own| own.bytes.iter().sum()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn parts_without_a_common_tensor_add_up_to_the_whole(
        drawn in proptest::collection::vec(any::<Drawn>(), 20..300), cut: bool,
    ) {
        let folder = tempfile::tempdir().expect("scratch");
        recorded(folder.path(), &setup_with_tensors(), &events(&drawn));
        let time = cut.then_some(TimeSpan { from_ns: 200_000, to_ns: 3_000_000 });
        let whole = opened(folder.path(), &["*"], time);
        let parts: Vec<RunRecord> = PARTS
            .iter()
            .map(|patterns| opened(folder.path(), patterns, time))
            .collect();
        let added = parts.iter().map(sums).reduce(|one, other| {
            one.iter().zip(&other).map(|(one, other)| one + other).collect()
        });
        prop_assert_eq!(added, Some(sums(&whole)));
        let mut added: Vec<String> = parts.iter().flat_map(rows).collect();
        added.sort();
        prop_assert_eq!(added, rows(&whole));
        // A pattern of all is the whole.
        if !cut {
            let all = reopen(folder.path(), &Selection::whole()).expect("a recording").record;
            prop_assert_eq!(sums(&all), sums(&whole));
            prop_assert_eq!(rows(&all), rows(&whole));
        }
    }
}

#[test]
fn a_part_says_what_it_is_and_has_nothing_that_means_nothing_there() {
    let folder = tempfile::tempdir().expect("scratch");
    let drawn: Vec<Drawn> = (0..900u16)
        .map(|number| {
            (
                (number % 12) as u8,
                number.wrapping_mul(37),
                (number % 251) as u8,
            )
        })
        .collect();
    recorded(folder.path(), &setup_with_tensors(), &events(&drawn));
    let part = opened(folder.path(), &["a.*"], None);
    let why = part.partial_reason.as_deref().expect("a reason");
    assert!(
        part.partial && why.contains("a.*") && why.contains("2 tensors"),
        "{why}"
    );
    let own = model(&part);
    assert_eq!(own.model.size_bytes, 1_000_072);
    assert!(own.gaps.is_none());
    let coverage = own.reads.as_ref().and_then(|reads| reads.amount.coverage);
    assert!(
        coverage.is_some_and(|share| share > 0.0 && share <= 1.0),
        "{coverage:?}"
    );
    let tokens = own.tokens.as_deref().expect("steps");
    assert!(
        tokens
            .iter()
            .all(|token| token.need_bytes.is_none() && token.waits.reclaim_s.is_none())
    );
    let phases = own.phases.as_deref().expect("phases");
    let kinds: u64 = phases
        .iter()
        .flat_map(|phase| phase.kinds.iter().flatten())
        .map(|kind| kind.read_bytes)
        .sum();
    let read: u64 = phases.iter().filter_map(|phase| phase.read_bytes).sum();
    assert_eq!(kinds, read);
    assert!(part.residency_course.is_empty() && part.memory_course.is_empty());

    let nothing = Selection {
        tensors: vec![Pattern::new("blk.9.*").expect("a pattern")],
        ..Selection::whole()
    };
    let error = reopen(folder.path(), &nothing).expect_err("there is none");
    assert!(matches!(error, ReopenError::NoTensor { .. }));
    let error = error.to_string();
    assert!(
        error.contains("blk.9.*") && error.contains("a.first"),
        "{error}"
    );
}
