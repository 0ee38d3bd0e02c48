//! Which blocks of a long file to keep, so that what is left has a given number of extents.

/// Blocks that lie in one piece, both in the file and on the device. All in blocks of the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// First block in the file.
    pub(super) logical: u64,
    /// First block on the device.
    pub(super) physical: u64,
    pub(super) length: u64,
}

/// A piece that stays, and what is cut out behind it, in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) kept: u64,
    pub(super) cut: u64,
}

/// Blocks of a file that is long enough for any number of pieces: each is followed by as much that is cut out. One in
/// one piece has a choice of places.
pub(super) const fn long_blocks(blocks: u64) -> u64 {
    2 * blocks
}

/// Pieces of a file of `blocks` blocks, cut from the long file that lies in `runs`, so that they have `extents` extents,
/// or nearly so many: the file system's own breaks count too, and where there are more of them than extents are wanted,
/// nothing is cut.
pub(super) fn pieces(runs: &[Run], blocks: u64, extents: u64) -> Vec<Piece> {
    if extents == 1 {
        return one_piece(runs, blocks);
    }
    let mut count = extents.clamp(1, blocks.max(1));
    let mut best = equal_pieces(blocks, count);
    let mut best_error = extents_left(runs, &best).abs_diff(extents);
    // Each round takes off what the breaks have added; few are needed, and more than these bring nothing.
    for _ in 0..32 {
        let candidate = equal_pieces(blocks, count);
        let found = extents_left(runs, &candidate);
        if found.abs_diff(extents) < best_error {
            best_error = found.abs_diff(extents);
            best = candidate;
        }
        let next = (count + extents)
            .saturating_sub(found)
            .clamp(1, blocks.max(1));
        if next == count {
            break;
        }
        count = next;
    }
    best
}

/// The place in which a file in one piece has the fewest extents: the start of the long file, or of one of its runs.
fn one_piece(runs: &[Run], blocks: u64) -> Vec<Piece> {
    let end = runs.last().map_or(0, |run| run.logical + run.length);
    let from = |start| {
        let whole = Piece {
            kept: blocks,
            cut: 0,
        };
        let before = Piece {
            kept: 0,
            cut: start,
        };
        std::iter::once(before)
            .filter(|before| before.cut > 0)
            .chain([whole])
            .collect::<Vec<_>>()
    };
    runs.iter()
        .map(|run| run.logical)
        .filter(|start| start + blocks <= end)
        .map(from)
        .min_by_key(|pieces| extents_left(runs, pieces))
        .unwrap_or_else(|| from(0))
}

/// Pieces that differ by one block at most.
fn equal_pieces(blocks: u64, count: u64) -> Vec<Piece> {
    let end = |piece: u64| {
        u64::try_from(u128::from(blocks) * u128::from(piece) / u128::from(count)).unwrap_or(blocks)
    };
    (0..count)
        .map(|piece| {
            let kept = end(piece + 1) - end(piece);
            let is_last = piece + 1 == count;
            Piece {
                kept,
                cut: if is_last { 0 } else { kept },
            }
        })
        .collect()
}

/// Extents of what is kept.
pub(super) fn extents_left(runs: &[Run], pieces: &[Piece]) -> u64 {
    let mut runs = runs.iter().copied().peekable();
    let (mut extents, mut previous_end, mut from) = (0, None, 0);
    for piece in pieces {
        let to = from + piece.kept;
        while let Some(run) = runs.peek().copied() {
            let (start, end) = (run.logical.max(from), (run.logical + run.length).min(to));
            if start < end {
                let physical = run.physical + (start - run.logical);
                extents += u64::from(previous_end != Some(physical));
                previous_end = Some(physical + (end - start));
            }
            if run.logical + run.length > to {
                break;
            }
            runs.next();
        }
        from = to + piece.cut;
    }
    extents
}

#[cfg(test)]
mod tests {
    use super::{Run, extents_left, long_blocks, pieces};
    use proptest::prelude::*;

    /// A file whose runs have these lengths, with a hole of the device between any two.
    fn runs(lengths: &[u64]) -> Vec<Run> {
        let (mut logical, mut physical) = (0, 1000);
        lengths
            .iter()
            .map(|length| {
                let run = Run {
                    logical,
                    physical,
                    length: *length,
                };
                logical += length;
                physical += length + 7;
                run
            })
            .collect()
    }

    proptest! {
        #[test]
        fn a_file_in_one_run_gives_what_was_asked_for(blocks in 1u64..5_000, part in 0.0..1.0f64) {
            let extents = ((blocks as f64 * part) as u64).max(1);
            let long = runs(&[long_blocks(blocks)]);
            let pieces = pieces(&long, blocks, extents);
            prop_assert_eq!(pieces.iter().map(|piece| piece.kept).sum::<u64>(), blocks);
            prop_assert!(pieces.iter().all(|piece| piece.kept > 0));
            prop_assert_eq!(extents_left(&long, &pieces), extents);
        }

        /// The file system's own breaks are counted, and the rest is cut to suit.
        #[test]
        fn breaks_are_taken_off(
            lengths in proptest::collection::vec(200u64..3_000, 1..12), part in 0.1..1.0f64,
        ) {
            let blocks = lengths.iter().sum::<u64>() / 2;
            let extents = lengths.len() as u64 + (50.0 * part) as u64;
            let long = runs(&lengths);
            let pieces = pieces(&long, blocks, extents);
            prop_assert_eq!(pieces.iter().map(|piece| piece.kept).sum::<u64>(), blocks);
            let used: u64 = pieces.iter().map(|piece| piece.kept + piece.cut).sum();
            prop_assert!(used <= long_blocks(blocks));
            let found = extents_left(&long, &pieces);
            prop_assert!(found.abs_diff(extents) <= lengths.len() as u64, "{} for {}", found, extents);
        }
    }

    #[test]
    fn one_piece_is_put_where_it_fits() {
        let long = runs(&[30, 20, 100, 50]);
        let pieces = pieces(&long, 100, 1);
        assert_eq!(extents_left(&long, &pieces), 1);
        assert_eq!((pieces[0].kept, pieces[0].cut), (0, 50));
        assert_eq!(pieces[1].kept, 100);
    }

    #[test]
    fn more_breaks_than_asked_for_are_not_cut_further() {
        let long = runs(&[10; 20]);
        let whole = pieces(&long, 100, 3);
        assert_eq!(whole.len(), 1);
        assert_eq!(extents_left(&long, &whole), 10);
    }
}
