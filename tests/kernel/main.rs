//! Tests of the tracer on the running kernel, as root: `cargo xtask test` builds this binary as the user
//! and runs it with privileges.
//!
//! `TRACER_BINARY` names the tracer (default: `release/tracer` in the target folder), `TRACER_TESTS_DIRECTORY`
//! where images go (default: `tests` in the target folder), `TRACER_TESTS_PYTHON` a Python with xllamacpp,
//! `TRACER_TESTS_DUCKDB_PYTHON` one with DuckDB, `TRACER_TESTS_PERFETTO_PYTHON` one with Perfetto's and OpenTelemetry's classes, `TRACER_TESTS_PYTORCH_PYTHON` one with PyTorch,
//! `TRACER_TESTS_SPARK_PYTHON` one with Spark.
//! With `TRACER_TESTS_STRICT=1` a test that cannot run here is a failure. `TRACER_TESTS_RESULTS` names a file that
//! gets a line for each test ([`tests::case_result`]), `TRACER_TESTS_ONLY` has beginnings of tests' names, with
//! commas between them: no other test runs. `TRACER_TESTS_EMULATED=1` says that the machine is emulated in software,
//! `TRACER_TESTS_SPARE_DISKS` names disks that tests may overwrite ([`tests::disk::SpareDisk`]). Tests run one at a
//! time unless `--test-threads` says otherwise, and take turns with those of other processes in any case.

mod aggregates;
mod attach_mounts;
mod attach_target;
mod audit;
mod bench;
mod cgroup_v2;
mod containers;
mod detail;
mod device;
mod device_counter;
mod device_share;
mod early_programs;
mod engine_metrics;
mod experiment;
mod experts;
mod explain;
mod faults;
mod fixtures;
mod fleet;
mod formats;
mod fragmented;
mod golden;
mod ground;
mod known_order;
mod lifecycle;
mod live;
mod losses;
mod marks;
mod metrics;
mod models;
mod odd_files;
mod odd_storage;
mod page;
mod page_cache;
mod phases;
mod plain_user;
mod processes;
mod programs;
mod pytorch;
mod read_list;
mod real_engine;
mod recording;
mod results;
mod run_settings;
mod shapes;
mod sizes;
mod stacked;
mod stalls;
mod tensor_table;
mod tensors;
mod tune;
mod watch;
mod which_model;

use std::{process::ExitCode, sync::Arc};

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use tests::environment::{KernelLog, MachineLock, Unavailable, paged_out_bytes};

use ground::{Case, Ground};
use results::Results;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(1));
    let cases = [
        fixtures::cases(),
        programs::cases(),
        formats::cases(),
        known_order::cases(),
        golden::cases(),
        device_counter::cases(),
        odd_files::cases(),
        fragmented::cases(),
        early_programs::cases(),
        aggregates::cases(),
        audit::cases(),
        page::cases(),
        page_cache::cases(),
        tensors::cases(),
        experts::cases(),
        device_share::cases(),
        stalls::cases(),
        odd_storage::cases(),
        stacked::cases(),
        cgroup_v2::cases(),
        losses::cases(),
        detail::cases(),
        marks::cases(),
        lifecycle::cases(),
        faults::cases(),
        live::cases(),
        engine_metrics::cases(),
        metrics::cases(),
        fleet::cases(),
        watch::cases(),
        plain_user::cases(),
        which_model::cases(),
        attach_target::cases(),
        attach_mounts::cases(),
        containers::cases(),
        experiment::cases(),
        real_engine::cases(),
        pytorch::cases(),
        phases::cases(),
        read_list::cases(),
        recording::cases(),
        device::cases(),
        explain::cases(),
        sizes::cases(),
        tune::cases(),
        run_settings::cases(),
        bench::cases(),
    ];
    // Listing needs no privileges, and touches nothing.
    let ground = if arguments.list {
        Err(anyhow::anyhow!("the cases are only listed"))
    } else {
        Ground::prepare()
    };
    let ground = Arc::new(ground.map_err(|error| format!("{error:#}")));
    let strict = std::env::var_os("TRACER_TESTS_STRICT").is_some_and(|value| value == "1");
    let results = match Results::from_environment() {
        Ok(results) => Arc::new(results),
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    let only = std::env::var("TRACER_TESTS_ONLY").ok();
    let trials = cases
        .into_iter()
        .flatten()
        .filter(|case| is_selected(&case.name, only.as_deref()))
        .map(|case| {
            let (ground, results) = (Arc::clone(&ground), Arc::clone(&results));
            Trial::ignorable_test(case.name.clone(), move || {
                results.of(&case.name, || run(&case, &ground, strict))
            })
        })
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    // The ground is undone here, with its last user.
    drop(ground);
    conclusion.exit_code()
}

/// Whether a test's name begins with one of these, or there are none.
fn is_selected(name: &str, only: Option<&str>) -> bool {
    only.is_none_or(|only| only.split(',').any(|beginning| name.starts_with(beginning)))
}

/// How often a test is tried that the kernel disturbs.
const MOST_TRIES: usize = 4;

/// Runs a test, holding the machine's lock. One that says what is in memory, and fails while the kernel pages out by itself,
/// is tried again.
fn run_undisturbed(case: &Case, ground: &Ground) -> Result<()> {
    let lock = MachineLock::acquire()?;
    let mut tries = 0;
    loop {
        tries += 1;
        let before = paged_out_bytes()?;
        let mut kernel_log = KernelLog::from_now_on()?;
        let result = (case.run)(ground, &lock);
        // A complaint is a failure whatever else came out, and no second try makes it good.
        if let Err(complaint) = kernel_log.check_clean() {
            return Err(match result {
                Ok(()) => complaint,
                Err(error) => error.context(complaint.to_string()),
            });
        }
        let error = match result {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let paged_out = paged_out_bytes()?
            .zip(before)
            .map_or(0, |(after, before)| after.saturating_sub(before));
        if !case.needs_its_pages || paged_out == 0 || error.is::<Unavailable>() {
            return Err(error);
        }
        if tries == MOST_TRIES {
            return Err(error.context(format!("it failed in each of {tries} tries, the last time")));
        }
        eprintln!(
            "{}: tried again, since the kernel paged out {paged_out} bytes by itself meanwhile, and this failed: {error:#}",
            case.name
        );
    }
}

fn run(case: &Case, ground: &Result<Ground, String>, strict: bool) -> Result<Completion, Failed> {
    let result = match ground {
        Ok(ground) => run_undisturbed(case, ground),
        Err(reason) => Err(tests::environment::unavailable(reason)),
    };
    match result {
        Ok(()) => Ok(Completion::Completed),
        Err(error) => match error.downcast_ref::<Unavailable>() {
            Some(reason) if !strict => Ok(Completion::ignored_with(reason)),
            Some(reason) => {
                Err(format!("it cannot run here, and skips are failures: {reason}").into())
            }
            None => Err(error
                .chain()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n  since: ")
                .into()),
        },
    }
}
