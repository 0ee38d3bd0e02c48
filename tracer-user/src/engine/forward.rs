//! One step of the model: a token in, the next token's logits out. The arithmetic is that of llama.cpp's
//! `src/models/olmoe.cpp` and `build_moe_ffn` (`src/llama-graph.cpp`): the query and key norms span all heads and come
//! before the rotation, the router's softmax is taken over all experts, and the picked ones' weights are not scaled
//! to a sum of 1.
//!
//! Of the file it touches only what the step needs: the token's row of the embedding, the picked experts' slices, and the
//! output matrix only where logits are asked for.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::arithmetic::{dot, largest, rms_norm, rotate, softmax, swiglu};
use super::error::EngineError;
use super::row_threads::{Product, RowThreads};
use super::weights::{Layer, Weight, Weights};

/// Told a layer's number and the experts that its router picks, most probable first.
pub(super) type ExpertsPicked<'a> = dyn FnMut(usize, &[usize]) -> Result<(), EngineError> + 'a;

/// A sequence being generated.
pub(super) struct Sequence<'m> {
    weights: &'m Weights,
    file: &'m [u8],
    threads: RowThreads<'m>,
    caches: Vec<KeyValueCache>,
    position: usize,
}

/// The keys and values of one layer's past positions, in half precision as llama.cpp keeps them.
#[derive(Default)]
struct KeyValueCache {
    keys: Vec<f16>,
    values: Vec<f16>,
}

impl<'m> Sequence<'m> {
    /// An empty sequence of the model whose `weights` lie in `file`.
    pub(super) fn new(weights: &'m Weights, file: &'m [u8], threads: RowThreads<'m>) -> Self {
        let caches = weights
            .layers
            .iter()
            .map(|_| KeyValueCache::default())
            .collect();
        Self {
            weights,
            file,
            threads,
            caches,
            position: 0,
        }
    }

    /// Appends `token` (below the vocabulary's size). `picked` is told of each layer.
    pub(super) fn step(
        &mut self,
        token: u32,
        picked: &mut ExpertsPicked<'_>,
    ) -> Result<(), EngineError> {
        self.hidden(token, picked).map(|_| ())
    }

    /// As [`Self::step`], and returns the logits of the token that follows.
    pub(super) fn step_with_logits(
        &mut self,
        token: u32,
        picked: &mut ExpertsPicked<'_>,
    ) -> Result<Vec<f32>, EngineError> {
        let hidden = self.hidden(token, picked)?;
        let normed = self.norm(&hidden, &self.weights.output_norm);
        let product = self.product(&self.weights.output, 0, &normed);
        Ok(self
            .threads
            .multiply(vec![product])?
            .into_iter()
            .flatten()
            .collect())
    }

    fn hidden(
        &mut self,
        token: u32,
        picked: &mut ExpertsPicked<'_>,
    ) -> Result<Vec<f32>, EngineError> {
        let weights = self.weights;
        let mut hidden = weights
            .token_embedding
            .matrix(self.file, 0)
            .row_vector(token as usize);
        for (number, layer) in weights.layers.iter().enumerate() {
            let attended = self.attention(number, layer, &hidden)?;
            add(&mut hidden, &attended, 1.0);

            let normed = self.norm(&hidden, &layer.feed_forward_norm);
            let mut probabilities = self
                .multiply([self.product(&layer.router, 0, &normed)])?
                .concat();
            softmax(&mut probabilities);
            let experts = largest(&probabilities, weights.dimensions.experts_used);
            picked(number, &experts)?;
            for (expert, output) in experts.iter().zip(self.experts(layer, &experts, &normed)?) {
                add(&mut hidden, &output, probabilities[*expert]);
            }
        }
        self.position += 1;
        Ok(hidden)
    }

    fn attention(
        &mut self,
        number: usize,
        layer: &'m Layer,
        hidden: &[f32],
    ) -> Result<Vec<f32>, EngineError> {
        let dimensions = &self.weights.dimensions;
        let head_length = dimensions.head_length;
        let normed = self.norm(hidden, &layer.attention_norm);
        let projections =
            [&layer.query, &layer.key, &layer.value].map(|weight| self.product(weight, 0, &normed));
        let [queries, keys, values] = self.multiply(projections)?;
        let mut queries = self.norm(&queries, &layer.query_norm);
        let mut keys = self.norm(&keys, &layer.key_norm);
        for head in queries
            .chunks_exact_mut(head_length)
            .chain(keys.chunks_exact_mut(head_length))
        {
            rotate(head, self.position, dimensions.rotation_base);
        }
        let cache = &mut self.caches[number];
        cache.append(&keys, &values);
        let mut attended = Vec::with_capacity(dimensions.embedding);
        for (head, query) in queries.chunks_exact(head_length).enumerate() {
            attended.extend(cache.attend(query, head * head_length, dimensions.embedding));
        }
        let product = self.product(&layer.attention_output, 0, &attended);
        Ok(self.multiply([product])?.concat())
    }

    /// The output of each of `experts`, in that order.
    fn experts(
        &mut self,
        layer: &'m Layer,
        experts: &[usize],
        input: &[f32],
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let gates = experts
            .iter()
            .map(|&expert| self.product(&layer.expert_gates, expert, input));
        let ups = experts
            .iter()
            .map(|&expert| self.product(&layer.expert_ups, expert, input));
        let products = gates.chain(ups).collect();
        let results = self.threads.multiply(products)?;
        let (gates, ups) = results.split_at(experts.len());
        let downs = experts
            .iter()
            .zip(gates.iter().zip(ups))
            .map(|(&expert, (gate, up))| {
                self.product(&layer.expert_downs, expert, &swiglu(gate, up))
            });
        let products = downs.collect();
        self.threads.multiply(products)
    }

    fn norm(&self, values: &[f32], factors: &Weight) -> Vec<f32> {
        rms_norm(
            values,
            &factors.vector(self.file),
            self.weights.dimensions.norm_epsilon,
        )
    }

    fn product(&self, weight: &Weight, slice: usize, input: &[f32]) -> Product<'m> {
        Product {
            matrix: weight.matrix(self.file, slice),
            input: input.into(),
        }
    }

    fn multiply<const N: usize>(
        &mut self,
        products: [Product<'m>; N],
    ) -> Result<[Vec<f32>; N], EngineError> {
        self.threads
            .multiply(products.into())?
            .try_into()
            .map_err(|_| EngineError::ThreadLost)
    }
}

impl KeyValueCache {
    fn append(&mut self, keys: &[f32], values: &[f32]) {
        self.keys
            .extend(keys.iter().map(|&value| f16::from_f32(value)));
        self.values
            .extend(values.iter().map(|&value| f16::from_f32(value)));
    }

    /// Attention of one head's `query` over all positions; the head's keys and values start at `start` of each
    /// position's `width` elements.
    fn attend(&self, query: &[f32], start: usize, width: usize) -> Vec<f32> {
        let place = start..start + query.len();
        let mut past = vec![0.0; query.len()];
        let scale = 1.0 / (query.len() as f32).sqrt();
        let mut scores = Vec::with_capacity(self.keys.len() / width);
        for keys in self.keys.chunks_exact(width) {
            keys[place.clone()].convert_to_f32_slice(&mut past);
            scores.push(dot(query, &past) * scale);
        }
        softmax(&mut scores);
        let mut attended = vec![0.0; query.len()];
        for (score, values) in scores.iter().zip(self.values.chunks_exact(width)) {
            values[place.clone()].convert_to_f32_slice(&mut past);
            add(&mut attended, &past, *score);
        }
        attended
    }
}

/// `sum` += `factor` · `values`.
fn add(sum: &mut [f32], values: &[f32], factor: f32) {
    sum.iter_mut()
        .zip(values)
        .for_each(|(sum, value)| *sum += factor * value);
}
