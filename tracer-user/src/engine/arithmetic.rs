//! The operations of a transformer layer on plain slices. Sums are taken in one fixed order, so that a result depends
//! neither on the number of threads nor on the vector instructions of the processor.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Partial sums that a dot product keeps: enough for two 256-bit registers.
const LANES: usize = 16;

/// The dot product of two slices of the same length.
pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (left_chunks, right_chunks) = (left.chunks_exact(LANES), right.chunks_exact(LANES));
    let rest: f32 = left_chunks
        .remainder()
        .iter()
        .zip(right_chunks.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in left_chunks.zip(right_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// The values of a matrix, as they lie in the file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Values<'m> {
    F16(&'m [f16]),
    F32(&'m [f32]),
}

/// A matrix in the mapped file; rows are contiguous.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'m> {
    pub(super) values: Values<'m>,
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Matrix<'_> {
    /// One row as F32: the file's own memory, or converted into `scratch`.
    fn row<'a>(&'a self, row: usize, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        let place = row * self.columns..(row + 1) * self.columns;
        match self.values {
            Values::F32(values) => &values[place],
            Values::F16(values) => {
                scratch.resize(self.columns, 0.0);
                values[place].convert_to_f32_slice(scratch);
                scratch
            }
        }
    }

    /// A copy of one row.
    pub(super) fn row_vector(&self, row: usize) -> Vec<f32> {
        self.row(row, &mut Vec::new()).to_vec()
    }

    /// The products of `rows` with `input`, appended to `output`.
    pub(super) fn multiply_rows(
        &self,
        rows: std::ops::Range<usize>,
        input: &[f32],
        scratch: &mut Vec<f32>,
        output: &mut Vec<f32>,
    ) {
        output.extend(rows.map(|row| dot(self.row(row, scratch), input)));
    }
}

/// Root-mean-square normalisation, then a factor for each element.
pub(super) fn rms_norm(values: &[f32], factors: &[f32], epsilon: f32) -> Vec<f32> {
    let mean_square = dot(values, values) / values.len() as f32;
    let scale = 1.0 / (mean_square + epsilon).sqrt();
    values
        .iter()
        .zip(factors)
        .map(|(value, factor)| value * scale * factor)
        .collect()
}

pub(super) fn softmax(values: &mut [f32]) {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values
        .iter_mut()
        .for_each(|value| *value = (*value - largest).exp());
    let sum: f32 = values.iter().sum();
    values.iter_mut().for_each(|value| *value /= sum);
}

/// SwiGLU: SiLU of the gate, times the up projection.
pub(super) fn swiglu(gate: &[f32], up: &[f32]) -> Vec<f32> {
    gate.iter()
        .zip(up)
        .map(|(gate, up)| gate / (1.0 + (-gate).exp()) * up)
        .collect()
}

/// Rotary position embedding of one head, in place, in the NeoX pairing (i, i + half) that llama.cpp uses for OLMoE.
pub(super) fn rotate(head: &mut [f32], position: usize, base: f32) {
    let length = head.len();
    let (first, second) = head.split_at_mut(length / 2);
    for (index, (a, b)) in first.iter_mut().zip(second).enumerate() {
        let angle = position as f32 * base.powf(-2.0 * index as f32 / length as f32);
        let (sine, cosine) = angle.sin_cos();
        (*a, *b) = (*a * cosine - *b * sine, *a * sine + *b * cosine);
    }
}

/// The indices of the `count` largest values, largest first; of equal ones the first.
pub(super) fn largest(values: &[f32], count: usize) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..values.len()).collect();
    indices.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    indices.truncate(count);
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: &[f32], right: &[f32]) -> bool {
        left.len() == right.len() && left.iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-5)
    }

    #[test]
    fn dot_takes_every_element_once() {
        for length in [0, 1, 15, 16, 17, 100] {
            let left: Vec<f32> = (0..length).map(|value| value as f32).collect();
            let right = vec![2.0; length];
            assert_eq!(
                dot(&left, &right),
                (0..length).sum::<usize>() as f32 * 2.0,
                "{length}"
            );
        }
    }

    #[test]
    fn a_half_precision_matrix_gives_what_a_single_one_gives() {
        let single = [1.0, 2.0, 3.0, -1.0, 0.5, 0.25];
        let half = single.map(f16::from_f32);
        let (mut scratch, input) = (Vec::new(), [1.0, 10.0, 100.0]);
        for values in [Values::F16(&half), Values::F32(&single)] {
            let matrix = Matrix {
                values,
                columns: 3,
                rows: 2,
            };
            let mut output = Vec::new();
            matrix.multiply_rows(0..2, &input, &mut scratch, &mut output);
            assert_eq!(output, [321.0, 29.0]);
            assert_eq!(matrix.row_vector(1), [-1.0, 0.5, 0.25]);
        }
    }

    #[test]
    fn norm_softmax_and_swiglu_of_known_values() {
        assert!(close(
            &rms_norm(&[3.0, 4.0], &[1.0, 2.0], 0.0),
            &[3.0 / 12.5f32.sqrt(), 8.0 / 12.5f32.sqrt()]
        ));
        let mut values = [1000.0, 1000.0 + 3.0f32.ln()];
        softmax(&mut values);
        assert!(close(&values, &[0.25, 0.75]), "{values:?}");
        assert!(close(
            &swiglu(&[0.0, 1.0], &[5.0, 2.0]),
            &[0.0, 2.0 / (1.0 + (-1.0f32).exp())]
        ));
    }

    #[test]
    fn rotation_keeps_lengths_and_depends_on_distance_only() {
        let (query, key) = ([0.3, -1.0, 0.7, 0.2], [1.0, 0.1, -0.4, 0.9]);
        let rotated = |values: [f32; 4], position| {
            let mut values = values;
            rotate(&mut values, position, 10_000.0);
            values
        };
        assert_eq!(rotated(query, 0), query);
        assert!((dot(&rotated(query, 7), &rotated(query, 7)) - dot(&query, &query)).abs() < 1e-5);
        let score = |at: usize| dot(&rotated(query, at + 3), &rotated(key, at));
        assert!((score(0) - score(11)).abs() < 1e-5);
        assert!((score(0) - dot(&query, &key)).abs() > 1e-3);
        // Element 0 pairs with element 2, by the angle of the position itself.
        assert!(close(
            &rotated([1.0, 0.0, 0.0, 0.0], 1),
            &[1.0f32.cos(), 0.0, 1.0f32.sin(), 0.0]
        ));
    }

    #[test]
    fn largest_is_sorted_and_takes_the_first_of_equals() {
        assert_eq!(largest(&[1.0, 5.0, 5.0, 7.0, -2.0], 3), [3, 1, 2]);
    }
}
