//! `tracer watch`: engines that come and go, the service that is killed, a full disk, a recording when it thrashes.

mod collector;
mod condition;
mod follow;
mod scene;
mod survive;
mod whole;

use std::{fs, io::ErrorKind, process::Command};

use anyhow::{Result, ensure};
use tests::{
    disk::FileSystem, environment::unavailable, surroundings::Surroundings, tracer::binary,
};

use crate::ground::{Case, Ground, case};

type Test = fn(&Ground) -> Result<()>;

pub fn cases() -> Vec<Case> {
    let tests: [(&str, Test); 13] = [
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
        ("unit_is_valid", unit_is_valid),
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

/// systemd understands every line of the unit: of one that it does not, it says so and goes on.
fn unit_is_valid(ground: &Ground) -> Result<()> {
    let unit = include_str!("../../../deploy/systemd/tracer-watch.service");
    let binary = binary()?;
    let here = unit.replace("/usr/bin/tracer ", &format!("{} ", binary.display()));
    ensure!(here != unit, "it starts another program");
    let path = ground
        .scratch
        .fresh_directory("unit")?
        .join("tracer-watch.service");
    fs::write(&path, here)?;
    let mut command = Command::new("systemd-analyze");
    let started = command.args(["verify", "--man=no"]).arg(&path).output();
    let output = match started {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(unavailable("there is no systemd-analyze"));
        }
        started => started?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && said.is_empty(), "{said}");
    Ok(())
}

const FILE_SYSTEM: FileSystem = FileSystem::Ext4;
