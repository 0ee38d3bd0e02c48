//! Splits the rows of matrix-vector products over threads that live as long as the engine, as llama.cpp's do: the
//! tracer sees the same few threads from the first step to the last.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope};

use super::{arithmetic::Matrix, error::EngineError};

/// A matrix and the vector that it is multiplied with.
#[derive(Clone)]
pub(super) struct Product<'m> {
    pub(super) matrix: Matrix<'m>,
    pub(super) input: Arc<[f32]>,
}

/// The threads; the calling one does its share, too.
pub(super) struct RowThreads<'m> {
    helpers: Vec<Helper<'m>>,
    scratch: Vec<f32>,
}

struct Helper<'m> {
    work: Sender<Arc<[Product<'m>]>>,
    results: Receiver<Vec<f32>>,
}

impl<'m> RowThreads<'m> {
    /// Starts `threads` - 1 threads in `scope`; they end when this is dropped.
    pub(super) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        threads: usize,
    ) -> Result<Self, EngineError>
    where
        'm: 'scope,
    {
        // Not reserved: an absurd number fails at the first thread that the system refuses.
        let mut helpers = Vec::new();
        for number in 1..threads {
            let (work, incoming) = channel::<Arc<[Product<'m>]>>();
            let (outgoing, results) = channel();
            let help = move || {
                let mut scratch = Vec::new();
                while let Ok(products) = incoming.recv() {
                    // The receiver is gone only when the engine gave up.
                    if outgoing
                        .send(share_of(&products, number, threads, &mut scratch))
                        .is_err()
                    {
                        break;
                    }
                }
            };
            Builder::new()
                .name(format!("engine-{number}"))
                .spawn_scoped(scope, help)
                .map_err(|source| EngineError::Thread { number, source })?;
            helpers.push(Helper { work, results });
        }
        Ok(Self {
            helpers,
            scratch: Vec::new(),
        })
    }

    /// All products, in the order given.
    pub(super) fn multiply(
        &mut self,
        products: Vec<Product<'m>>,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let products: Arc<[Product<'m>]> = products.into();
        for helper in &self.helpers {
            helper
                .work
                .send(Arc::clone(&products))
                .map_err(|_| EngineError::ThreadLost)?;
        }
        let threads = self.helpers.len() + 1;
        let mut shares = vec![share_of(&products, 0, threads, &mut self.scratch)];
        for helper in &self.helpers {
            shares.push(helper.results.recv().map_err(|_| EngineError::ThreadLost)?);
        }
        let mut rests: Vec<&[f32]> = shares.iter().map(Vec::as_slice).collect();
        let results = products.iter().map(|product| {
            let mut result = Vec::with_capacity(product.matrix.rows);
            for (number, rest) in rests.iter_mut().enumerate() {
                let (mine, others) =
                    rest.split_at(rows_of(product.matrix.rows, number, threads).len());
                result.extend(mine);
                *rest = others;
            }
            result
        });
        Ok(results.collect())
    }
}

/// The rows that thread `number` of `threads` multiplies: neighbouring ones, as many as the others' give or take one.
fn rows_of(rows: usize, number: usize, threads: usize) -> Range<usize> {
    let edge = |number: usize| (rows as u128 * number as u128 / threads as u128) as usize;
    edge(number)..edge(number + 1)
}

fn share_of(
    products: &[Product<'_>],
    number: usize,
    threads: usize,
    scratch: &mut Vec<f32>,
) -> Vec<f32> {
    let mut share = Vec::new();
    for Product { matrix, input } in products {
        matrix.multiply_rows(
            rows_of(matrix.rows, number, threads),
            input,
            scratch,
            &mut share,
        );
    }
    share
}

#[cfg(test)]
mod tests {
    use std::thread;

    use crate::engine::arithmetic::Values;

    use super::*;

    #[test]
    fn each_row_belongs_to_one_thread() {
        for (rows, threads) in [(0, 3), (1, 4), (10, 3), (704, 7), (5, 1)] {
            let all: Vec<usize> = (0..threads)
                .flat_map(|number| rows_of(rows, number, threads))
                .collect();
            assert_eq!(all, (0..rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let values: Vec<f32> = (0..60).map(|value| (value as f32).sin()).collect();
        let product = |columns: usize| Product {
            matrix: Matrix {
                values: Values::F32(&values),
                columns,
                rows: 60 / columns,
            },
            input: (0..columns).map(|value| value as f32).collect(),
        };
        let multiply = |threads| {
            thread::scope(|scope| {
                let mut pool = RowThreads::start(scope, threads).unwrap();
                pool.multiply(vec![product(6), product(60), product(4)])
                    .unwrap()
            })
        };
        let alone = multiply(1);
        assert_eq!(alone.iter().map(Vec::len).collect::<Vec<_>>(), [10, 1, 15]);
        for threads in [2, 3, 16] {
            assert_eq!(multiply(threads), alone);
        }
    }
}
