//! The index by which the programs find the span of a bit.

use tracer_common::slice::SpanIndex;

/// Most pieces that the bits are cut into.
const MOST_PIECES: u64 = 1 << 18;
/// Pieces to a span: few, so that the table stays in a processor's cache. The spans from where it leads on are neighbours.
const PIECES_TO_A_SPAN: u64 = 1;

/// The index of spans that end before these bits, each after the one before it, and the table that it points into.
pub fn build(ends: &[u64]) -> anyhow::Result<(SpanIndex, Vec<u32>)> {
    let Some(last_end) = ends.last().copied().filter(|end| *end > 0) else {
        return Ok((SpanIndex::default(), Vec::new()));
    };
    let wanted = (PIECES_TO_A_SPAN * ends.len() as u64)
        .next_power_of_two()
        .min(MOST_PIECES);
    let mut shift = 0;
    while (last_end - 1) >> shift >= wanted {
        shift += 1;
    }
    let mut table = Vec::new();
    for piece in 0..=(last_end - 1) >> shift {
        let start = piece << shift;
        table.push(u32::try_from(ends.partition_point(|end| *end <= start))?);
    }
    let index = SpanIndex {
        spans: u32::try_from(ends.len())?,
        shift,
    };
    Ok((index, table))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::build;

    proptest! {
        /// From where the index leads, the span that has a bit is reached by going on, over spans that have bits of the piece.
        #[test]
        fn the_index_leads_to_the_span_or_before_it(
            lengths in prop::collection::vec(1u64..5000, 1..80), probe: prop::sample::Index,
        ) {
            let ends: Vec<u64> = lengths
                .iter()
                .scan(0, |end, length| {
                    *end += length;
                    Some(*end)
                })
                .collect();
            let (index, table) = build(&ends).expect("small");
            let last = ends.last().copied().unwrap_or_default();
            let bit = probe.index(last as usize) as u64;
            let found = table[(bit >> index.shift) as usize] as usize;
            let sought = ends.partition_point(|end| *end <= bit);
            prop_assert!(found <= sought);
            let piece_start = bit >> index.shift << index.shift;
            for between in &ends[found..sought] {
                prop_assert!(*between > piece_start);
            }
        }
    }
}
