//! Pieces of a model put together: by kind, by layer, by expert.

use std::{cmp::Reverse, sync::Arc};

use crate::{
    place::{ModelPieces, PieceIdentity},
    stats::phases::so_far::ModelSoFar,
};

use super::figures::{PartBytes, PartsSoFar};

/// Experts that are shown at most.
const MOST_EXPERTS: usize = 64;

/// One way of putting pieces together.
#[derive(Debug, Default)]
struct Grouping {
    /// By group.
    names: Vec<Arc<str>>,
    sizes: Vec<u64>,
    /// Group of each piece; [`NO_GROUP`] for one that is in none.
    of_pieces: Vec<u32>,
}

const NO_GROUP: u32 = u32::MAX;

impl Grouping {
    /// Groups by a key, in the order of the keys where `sorted`, else in that of the pieces.
    fn by<K: Ord + Copy>(
        pieces: &[PieceIdentity],
        key: impl Fn(&PieceIdentity) -> Option<K>,
        name: impl Fn(K) -> String,
        sorted: bool,
    ) -> Self {
        let mut keys: Vec<K> = Vec::new();
        let mut numbers = std::collections::BTreeMap::new();
        for own in pieces.iter().filter_map(&key) {
            numbers.entry(own).or_insert_with(|| {
                keys.push(own);
                keys.len() - 1
            });
        }
        if sorted {
            keys.sort_unstable();
            for (number, own) in keys.iter().enumerate() {
                numbers.insert(*own, number);
            }
        }
        let mut grouping = Self {
            names: keys.iter().map(|own| name(*own).into()).collect(),
            sizes: vec![0; keys.len()],
            of_pieces: Vec::with_capacity(pieces.len()),
        };
        for piece in pieces {
            let group = key(piece).and_then(|own| numbers.get(&own).copied());
            if let Some(size) = group.and_then(|group| grouping.sizes.get_mut(group)) {
                *size += piece.bytes;
            }
            let number = group.and_then(|group| u32::try_from(group).ok());
            grouping.of_pieces.push(number.unwrap_or(NO_GROUP));
        }
        grouping
    }

    fn sums(&self, piece_bytes: &[u64]) -> Vec<u64> {
        let mut sums = vec![0u64; self.names.len()];
        for (group, bytes) in self.of_pieces.iter().zip(piece_bytes) {
            if let Some(sum) = sums.get_mut(*group as usize) {
                *sum += bytes;
            }
        }
        sums
    }

    fn part(&self, group: usize, read_bytes: u64) -> Option<PartBytes> {
        Some(PartBytes {
            name: Arc::clone(self.names.get(group)?),
            size_bytes: *self.sizes.get(group)?,
            read_bytes,
        })
    }

    fn parts(&self, piece_bytes: &[u64]) -> Vec<PartBytes> {
        let sums = self.sums(piece_bytes);
        let numbered = sums.iter().enumerate();
        numbered
            .filter_map(|(group, bytes)| self.part(group, *bytes))
            .collect()
    }

    /// The groups of which most was read.
    fn hottest(&self, piece_bytes: &[u64], most: usize) -> Vec<PartBytes> {
        let mut sums: Vec<(usize, u64)> = self.sums(piece_bytes).into_iter().enumerate().collect();
        let order = |(group, bytes): &(usize, u64)| (Reverse(*bytes), *group);
        if sums.len() > most && most > 0 {
            sums.select_nth_unstable_by_key(most - 1, order);
            sums.truncate(most);
        }
        sums.sort_unstable_by_key(order);
        sums.retain(|(_, bytes)| *bytes > 0);
        sums.iter()
            .filter_map(|(group, bytes)| self.part(*group, *bytes))
            .collect()
    }
}

/// The pieces of one model put together.
#[derive(Debug, Default)]
pub struct PieceGroups {
    kinds: Grouping,
    layers: Grouping,
    experts: Grouping,
}

impl PieceGroups {
    /// Looks at what each piece is, once for a run.
    #[must_use]
    pub fn of(model: &ModelPieces) -> Self {
        let outline = model.outline.as_ref();
        let layer = |piece: &PieceIdentity| piece.tensor(outline)?.layer;
        let expert = |piece: &PieceIdentity| Some((layer(piece), piece.expert()?));
        Self {
            kinds: Grouping::by(
                &model.pieces,
                |piece| Some(piece.kind_name(outline)),
                |kind| kind.replace('_', " "),
                false,
            ),
            layers: Grouping::by(&model.pieces, layer, |layer| format!("layer {layer}"), true),
            experts: Grouping::by(
                &model.pieces,
                expert,
                |(layer, expert)| match layer {
                    Some(layer) => format!("layer {layer} expert {expert}"),
                    None => format!("expert {expert}"),
                },
                true,
            ),
        }
    }

    /// What is known of the model, in parts. Experts of which nothing was read are left out.
    #[must_use]
    pub fn parts(&self, so_far: ModelSoFar) -> PartsSoFar {
        let bytes = &so_far.piece_bytes;
        PartsSoFar {
            phases: so_far.phases,
            kinds: self.kinds.parts(bytes),
            layers: self.layers.parts(bytes),
            experts: self.experts.hottest(bytes, MOST_EXPERTS),
            expert_count: self.experts.names.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Grouping;
    use crate::place::PieceIdentity;

    fn pieces() -> Vec<PieceIdentity> {
        let piece = |offset_bytes| PieceIdentity {
            file: 0,
            offset_bytes,
            bytes: 10,
            what: None,
        };
        (0..6).map(|number| piece(number * 10)).collect()
    }

    #[test]
    fn pieces_of_a_group_add_up_and_the_hottest_come_first() {
        // Pieces 0 and 3, 1 and 4, 2 and 5; the last pair is of no group.
        let key = |piece: &PieceIdentity| {
            Some(2 - piece.offset_bytes / 10 % 3).filter(|group| *group > 0)
        };
        let groups = Grouping::by(&pieces(), key, |group| format!("g{group}"), true);
        let shown = |parts: Vec<super::PartBytes>| -> Vec<(String, u64, u64)> {
            parts
                .iter()
                .map(|part| (part.name.to_string(), part.size_bytes, part.read_bytes))
                .collect()
        };
        let bytes = [1, 20, 300, 4000, 50_000, 600_000];
        assert_eq!(
            shown(groups.parts(&bytes)),
            [("g1".into(), 20, 50_020), ("g2".into(), 20, 4001)]
        );
        assert_eq!(
            shown(groups.hottest(&bytes, 1)),
            [("g1".into(), 20, 50_020)]
        );
        // Nothing was read of what is not there yet.
        assert_eq!(shown(groups.hottest(&[], 5)), []);
        assert_eq!(groups.parts(&[]).len(), 2);
    }
}
