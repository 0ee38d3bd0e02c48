//! What holds for any outline, for tests to call.

use super::{ModelOutline, PieceKind};

/// Sorted, none empty, no overlap, no gap, from 0 to the size; and each tensor's bytes are its own.
pub(in crate::model) fn check_partition(outline: &ModelOutline) {
    for (file, place) in (0u16..).zip(&outline.files) {
        let mut end = 0;
        let mut bytes_of = vec![0u64; outline.tensors.len()];
        for piece in outline.pieces(file) {
            assert_eq!(piece.start_bytes, end, "a gap or an overlap");
            assert!(piece.start_bytes < piece.end_bytes, "an empty piece");
            end = piece.end_bytes;
            if let PieceKind::Tensor { tensor, expert } = piece.what {
                let place = &outline.tensors[tensor as usize];
                assert!(
                    place.offset_bytes <= piece.start_bytes && piece.end_bytes <= place.end_bytes()
                );
                assert!(place.expert_slices.is_none() || expert.is_some());
                bytes_of[tensor as usize] += piece.end_bytes - piece.start_bytes;
            }
        }
        assert_eq!(end, place.size_bytes, "the file is not covered");
        for (tensor, bytes) in outline.tensors.iter().zip(bytes_of) {
            assert_eq!(
                bytes,
                if tensor.file == file {
                    tensor.length_bytes
                } else {
                    0
                },
                "{}",
                tensor.name
            );
        }
    }
}

/// Least is never more than most, both grow with the tokens and never pass all bytes of all tensors.
pub(in crate::model) fn check_need(outline: &ModelOutline) {
    let all: u128 = outline
        .tensors
        .iter()
        .map(|tensor| u128::from(tensor.length_bytes))
        .sum();
    let mut before = 0;
    for tokens in [1, 2, 3, 1000, u32::MAX] {
        let Some(need) = outline.need_of_tokens(tokens) else {
            assert_eq!(tokens, 1, "known for one token, not for more");
            return;
        };
        assert!(need.least_bytes <= need.most_bytes && before <= need.most_bytes);
        assert!(u128::from(need.most_bytes) <= all);
        assert_eq!(Some(need.least_bytes), outline.step_need_bytes());
        before = need.most_bytes;
    }
}
