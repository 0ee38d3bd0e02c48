//! Which parts of a model are worth keeping in memory, by what came back in a run.

use crate::{schema::ModelRecord, stats::formulas::ratio, units::bytes};

/// Which tensors may be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinChoice {
    /// Those that every token uses: all but the routed experts.
    Shared,
    /// Any.
    Hot,
}

impl PinChoice {
    pub const ALL: [Self; 2] = [Self::Shared, Self::Hot];

    /// As plans, records and the command line write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Hot => "hot",
        }
    }

    fn may_keep(self, kind: &str) -> bool {
        match self {
            Self::Shared => kind != "expert_ffn",
            Self::Hot => true,
        }
    }
}

/// A piece of one of the model's files: whole pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptPiece {
    /// Place of the file among the model's files.
    pub file: u64,
    pub offset_bytes: u64,
    pub bytes: u64,
}

/// The pieces to keep: of tensors that came back, those of which most came back for each byte, as many as fit into the budget.
/// In the order of the files; they do not overlap.
///
/// # Errors
/// Why the run does not tell, or nothing is worth it; in words.
pub fn worth_keeping(
    model: &ModelRecord,
    choice: PinChoice,
    budget_bytes: u64,
    page_bytes: u64,
) -> Result<Vec<KeptPiece>, String> {
    let tensors = model.tensors.as_deref().unwrap_or_default();
    if tensors.is_empty() || tensors.iter().any(|tensor| tensor.refaults_bytes.is_none()) {
        return Err(
            "it does not say what came back by tensor; trace a run with `--detail events` and as little memory as there will be"
                .to_owned(),
        );
    }
    let mut worth: Vec<(f64, KeptPiece)> = tensors
        .iter()
        .filter(|tensor| tensor.bytes > 0 && !matches!(tensor.kind.as_str(), "file" | "padding"))
        .filter(|tensor| choice.may_keep(&tensor.kind))
        .filter_map(|tensor| {
            let again = ratio(tensor.refaults_bytes?, tensor.bytes)?;
            let start = tensor.offset_bytes / page_bytes * page_bytes;
            let end = (tensor.offset_bytes + tensor.bytes).next_multiple_of(page_bytes);
            let piece = KeptPiece {
                file: tensor.file,
                offset_bytes: start,
                bytes: end - start,
            };
            (again > 0.0).then_some((again, piece))
        })
        .collect();
    if worth.is_empty() {
        return Err(format!(
            "in it nothing came back of {}, so that nothing is worth keeping",
            match choice {
                PinChoice::Shared => "the tensors that every token uses",
                PinChoice::Hot => "the model",
            }
        ));
    }
    worth.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let mut left = budget_bytes;
    let mut kept: Vec<KeptPiece> = Vec::new();
    for (_, piece) in worth {
        if piece.bytes <= left {
            left -= piece.bytes;
            kept.push(piece);
        }
    }
    if kept.is_empty() {
        return Err(format!(
            "no tensor of it that came back fits into {}; choose a larger --pin-budget",
            bytes(budget_bytes)
        ));
    }
    Ok(joined(kept))
}

/// Pieces that touch or share a page as one.
fn joined(mut pieces: Vec<KeptPiece>) -> Vec<KeptPiece> {
    pieces.sort_by_key(|piece| (piece.file, piece.offset_bytes));
    let mut joined: Vec<KeptPiece> = Vec::new();
    for piece in pieces {
        match joined.last_mut() {
            Some(last)
                if last.file == piece.file
                    && piece.offset_bytes <= last.offset_bytes + last.bytes =>
            {
                let end = (piece.offset_bytes + piece.bytes).max(last.offset_bytes + last.bytes);
                last.bytes = end - last.offset_bytes;
            }
            _ => joined.push(piece),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::schema::{ModelRecord, TensorRecord};

    use super::{KeptPiece, PinChoice, worth_keeping};

    const PAGE: u64 = 4096;

    fn model(tensors: &[(&str, u64, u64, u64)]) -> ModelRecord {
        let tensor = |(kind, offset, bytes, again): &(&str, u64, u64, u64)| TensorRecord {
            kind: (*kind).into(),
            offset_bytes: *offset,
            bytes: *bytes,
            refaults_bytes: Some(*again),
            ..TensorRecord::default()
        };
        ModelRecord {
            tensors: Some(tensors.iter().map(tensor).collect()),
            ..ModelRecord::default()
        }
    }

    fn piece(offset_bytes: u64, bytes: u64) -> KeptPiece {
        KeptPiece {
            file: 0,
            offset_bytes,
            bytes,
        }
    }

    #[test]
    fn what_came_back_most_for_each_byte_is_kept_first() {
        let model = model(&[
            ("attention", 100, 8000, 16_000),
            ("expert_ffn", 40_960, 4096, 40_960),
            ("expert_ffn", 45_056, 4096, 4096),
            ("norm", 90_000, 10, 0),
        ]);
        let kept = |choice, budget| worth_keeping(&model, choice, budget, PAGE);
        // Ten times its size came back of the first expert; two pages of the attention are touched.
        assert_eq!(kept(PinChoice::Hot, 4096), Ok(vec![piece(40_960, 4096)]));
        assert_eq!(
            kept(PinChoice::Hot, 1 << 20),
            Ok(vec![piece(0, 8192), piece(40_960, 8192)])
        );
        assert_eq!(kept(PinChoice::Shared, 1 << 20), Ok(vec![piece(0, 8192)]));
        let small = kept(PinChoice::Shared, 4096).expect_err("too small");
        assert!(small.contains("larger --pin-budget"), "{small}");
    }

    #[test]
    fn a_run_that_does_not_tell_gives_nothing() {
        let nothing = worth_keeping(&model(&[("norm", 0, 10, 0)]), PinChoice::Hot, 9999, PAGE);
        assert!(nothing.is_err_and(|why| why.contains("nothing came back")));
        let mut unknown = model(&[("norm", 0, 10, 10)]);
        unknown.tensors.as_mut().expect("tensors")[0].refaults_bytes = None;
        for model in [unknown, ModelRecord::default()] {
            let why = worth_keeping(&model, PinChoice::Hot, 9999, PAGE).expect_err("unknown");
            assert!(why.contains("--detail events"), "{why}");
        }
    }

    proptest! {
        #[test]
        fn no_more_is_kept_than_fits_and_pieces_lie_apart(
            sizes in prop::collection::vec((1_u64..100_000, 0_u64..200_000), 1..40),
            budget in 4096_u64..2_000_000,
        ) {
            let mut at = 0;
            let tensors: Vec<_> = sizes
                .iter()
                .map(|(bytes, again)| {
                    let tensor = ("attention", at, *bytes, *again);
                    at += bytes;
                    tensor
                })
                .collect();
            if let Ok(kept) = worth_keeping(&model(&tensors), PinChoice::Hot, budget, PAGE) {
                let sum: u64 = kept.iter().map(|piece| piece.bytes).sum();
                prop_assert!(sum <= budget && sum > 0);
                for pair in kept.windows(2) {
                    prop_assert!(pair[0].offset_bytes + pair[0].bytes < pair[1].offset_bytes);
                }
                prop_assert!(kept.iter().all(|piece| piece.offset_bytes % PAGE == 0 && piece.bytes % PAGE == 0));
            }
        }
    }
}
