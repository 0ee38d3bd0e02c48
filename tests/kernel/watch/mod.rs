//! `tracer watch`: engines that come and go, the service that is killed, a full disk, a recording when it thrashes.

mod collector;
mod condition;
mod follow;
mod scene;
mod survive;
mod whole;

use anyhow::Result;
use tests::{disk::FileSystem, surroundings::Surroundings};

use crate::ground::{Case, Ground, case};

type Test = fn(&Ground) -> Result<()>;

pub fn cases() -> Vec<Case> {
    let tests: [(&str, Test); 12] = [
        ("engine_that_comes_later", follow::engine_that_comes_later),
        ("engine_restarts", follow::engine_restarts),
        ("another_model", follow::another_model),
        ("two_engines", follow::two_engines),
        ("one_model_of_two_engines", follow::one_model_of_two_engines),
        (
            "killed_and_started_again",
            survive::killed_and_started_again,
        ),
        ("disk_full", survive::disk_full),
        ("window_that_hangs", survive::window_that_hangs),
        ("condition_is_met", condition::condition_is_met),
        ("otlp", collector::otlp),
        ("otlp_of_a_run", collector::otlp_of_a_run),
        ("llama_cpp_and_prometheus", whole::llama_cpp_and_prometheus),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            case(format!("watch::{name}"), move |ground, _| {
                let before = Surroundings::observe()?;
                test(ground)?;
                Surroundings::check_nothing_left_since(&before)
            })
        })
        .collect()
}

const FILE_SYSTEM: FileSystem = FileSystem::Ext4;
