//! What llama.cpp's two benchmarks print: `llama-bench` and `llama-batched-bench`.

mod batched;
mod rows;
mod test;
mod together;

pub(crate) use batched::{BatchedColumns, has_batched_rate, tests_of_object};
pub(crate) use rows::{BenchColumns, from_sql, from_table_row, unread_table_row};
pub(crate) use test::BenchTest;
pub(crate) use together::bench_report;
