//! An engine that only calls functions by the names that llama.cpp of 2024 and 2025 exports, in a known order: what a
//! tracer that probes them should see is known to the call.
//!
//! It reads nothing; each step takes `--step-milliseconds`.

use std::{ffi::c_void, hint::black_box, ptr, thread, time::Duration};

use clap::Parser;

/// Calls llama.cpp's functions by name: a load, a warm-up, a prompt, steps.
#[derive(Debug, Parser)]
struct Arguments {
    /// Steps of the generation.
    #[arg(long)]
    steps: u32,
    /// Tokens of the prompt.
    #[arg(long)]
    prompt: i32,
    /// Tokens of the warm-up; 0: none.
    #[arg(long, default_value_t = 0)]
    warm_up: i32,
    /// How long each call takes.
    #[arg(long, default_value_t = 20)]
    step_milliseconds: u64,
    /// Call `a_step_of_our_own` for the steps of the generation.
    #[arg(long)]
    own_symbol: bool,
    /// Begin each step, the prompt too, as PyTorch does: with a call that returns before the work is done.
    #[arg(long)]
    embedding: bool,
}

/// `struct llama_batch` of llama.cpp's `include/llama.h`, which is passed by value.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Batch {
    tokens: i32,
    token: *const c_void,
    embedding: *const c_void,
    position: *const c_void,
    sequences: *const c_void,
    sequence_ids: *const c_void,
    logits: *const c_void,
}

impl Batch {
    const fn of(tokens: i32) -> Self {
        Self {
            tokens,
            token: ptr::null(),
            embedding: ptr::null(),
            position: ptr::null(),
            sequences: ptr::null(),
            sequence_ids: ptr::null(),
            logits: ptr::null(),
        }
    }
}

fn work(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn llama_model_load_from_file(milliseconds: u64) -> u64 {
    work(milliseconds);
    black_box(1)
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn llama_set_warmup(context: u64, on: bool) {
    black_box((context, on));
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn llama_decode(milliseconds: u64, batch: Batch) -> i32 {
    work(milliseconds);
    black_box(batch.tokens.min(0))
}

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn a_step_of_our_own(milliseconds: u64) -> i32 {
    work(milliseconds);
    black_box(0)
}

/// `at::_ops::embedding::call` of PyTorch 1.13.
#[inline(never)]
#[unsafe(export_name = "_ZN2at4_ops9embedding4callERKNS_6TensorES4_lbb")]
extern "C" fn embedding(tensor: u64) -> u64 {
    black_box(tensor)
}

fn main() {
    let arguments = Arguments::parse();
    let milliseconds = arguments.step_milliseconds;
    if arguments.embedding {
        work(milliseconds);
        for _ in 0..=arguments.steps {
            embedding(1);
            work(milliseconds);
        }
        return;
    }
    // A fitting pass first, as llama.cpp does: the last one counts.
    llama_model_load_from_file(milliseconds);
    llama_model_load_from_file(milliseconds);
    if arguments.warm_up > 0 {
        llama_set_warmup(1, true);
        llama_decode(milliseconds, Batch::of(arguments.warm_up));
        llama_set_warmup(1, false);
    }
    llama_decode(milliseconds, Batch::of(arguments.prompt));
    for _ in 0..arguments.steps {
        if arguments.own_symbol {
            a_step_of_our_own(milliseconds);
        } else {
            llama_decode(milliseconds, Batch::of(1));
        }
    }
    work(milliseconds);
}
