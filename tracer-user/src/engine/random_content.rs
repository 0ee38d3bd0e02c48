//! The tensor data of a random model.
//!
//! The router and the token embedding are random throughout, so that the experts picked depend on the token; the large
//! matrices take their values from a pool of random numbers, each half mebibyte from another place of it, which is as fast
//! as copying and leaves a file system nothing to compress.

use std::fs::File;
use std::io::{self, Write};

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::gguf_encoding::Tensor;
use crate::model::GgmlType;
use crate::stats::random_numbers::SplitMix64;

/// Standard deviations of the weights. The embedding outweighs what the layers add to it, so that the router's choice in
/// the deeper layers still depends on the token.
const EMBEDDING_DEVIATION: f32 = 1.0;
const ROUTER_DEVIATION: f32 = 0.1;
const MATRIX_DEVIATION: f32 = 0.02;

/// Values in the pool that the large matrices are taken from: 2 MiB of F16.
const POOL_VALUES: usize = 1 << 20;
/// Values that are taken from one place of the pool: half a mebibyte of F16.
const PIECE_VALUES: u64 = 256 << 10;

/// Writes `header` and then the data of `tensors`; `progress` is told the bytes written so far.
pub(super) fn write(
    file: &File,
    header: &[u8],
    tensors: &[Tensor],
    seed: u64,
    progress: &mut dyn FnMut(u64),
) -> io::Result<()> {
    let mut sink = Sink {
        file,
        written_bytes: 0,
        progress,
    };
    sink.put(header)?;
    let pool = pool(seed);
    for (number, tensor) in tensors.iter().enumerate() {
        let random = SplitMix64::new(seed, number as u64 + 1);
        let values = tensor.dimensions.iter().product();
        match (Filling::of(tensor), tensor.element_type) {
            (Filling::Ones, _) => sink.repeat(&1.0f32.to_le_bytes(), values)?,
            (Filling::Random(deviation), GgmlType::F16) => {
                sink.put_f16(random, deviation, values)?
            }
            (Filling::Random(deviation), _) => sink.put_f32(random, deviation, values)?,
            (Filling::FromPool, _) => sink.put_pool(&pool, random, values)?,
        }
        sink.repeat(&[0], tensor.padded_bytes() - tensor.length_bytes())?;
    }
    Ok(())
}

/// What a tensor is filled with.
enum Filling {
    /// Norms: they change nothing.
    Ones,
    /// Random numbers of that deviation.
    Random(f32),
    FromPool,
}

impl Filling {
    fn of(tensor: &Tensor) -> Self {
        match tensor.name.as_str() {
            "token_embd.weight" => Self::Random(EMBEDDING_DEVIATION),
            name if name.ends_with(".ffn_gate_inp.weight") => Self::Random(ROUTER_DEVIATION),
            _ if tensor.dimensions.len() == 1 => Self::Ones,
            _ => Self::FromPool,
        }
    }
}

fn pool(seed: u64) -> Vec<u8> {
    let mut random = SplitMix64::new(seed, 0);
    let mut pool = Vec::with_capacity(POOL_VALUES * 2);
    (0..POOL_VALUES / 1024).for_each(|_| push_f16(&mut pool, &mut random, MATRIX_DEVIATION, 1024));
    pool
}

fn push_f16(bytes: &mut Vec<u8>, random: &mut SplitMix64, deviation: f32, count: usize) {
    let values: Vec<f32> = (0..count).map(|_| random.normal(deviation)).collect();
    let mut halves = vec![f16::ZERO; count];
    halves.convert_from_f32_slice(&values);
    halves
        .iter()
        .for_each(|half| bytes.extend(half.to_le_bytes()));
}

/// Where the content goes.
struct Sink<'a> {
    file: &'a File,
    written_bytes: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl Sink<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.file.write_all(bytes)?;
        self.written_bytes += bytes.len() as u64;
        (self.progress)(self.written_bytes);
        Ok(())
    }

    fn repeat(&mut self, value: &[u8], count: u64) -> io::Result<()> {
        // Norms and padding only: at most 65,536 values.
        self.put(&value.repeat(count as usize))
    }

    /// Calls `fill` for pieces of at most `PIECE_VALUES` values until there are `count`.
    fn pieces(&mut self, count: u64, mut fill: impl FnMut(&mut Vec<u8>, usize)) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut left = count;
        while left > 0 {
            let values = left.min(PIECE_VALUES);
            bytes.clear();
            fill(&mut bytes, values as usize);
            self.put(&bytes)?;
            left -= values;
        }
        Ok(())
    }

    fn put_f16(&mut self, mut random: SplitMix64, deviation: f32, count: u64) -> io::Result<()> {
        self.pieces(count, |bytes, values| {
            push_f16(bytes, &mut random, deviation, values)
        })
    }

    fn put_f32(&mut self, mut random: SplitMix64, deviation: f32, count: u64) -> io::Result<()> {
        self.pieces(count, |bytes, values| {
            (0..values).for_each(|_| bytes.extend(random.normal(deviation).to_le_bytes()));
        })
    }

    fn put_pool(&mut self, pool: &[u8], mut random: SplitMix64, count: u64) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            let values = left.min(PIECE_VALUES);
            let start = random.below(POOL_VALUES as u64 - values + 1) as usize * 2;
            self.put(&pool[start..start + values as usize * 2])?;
            left -= values;
        }
        Ok(())
    }
}
