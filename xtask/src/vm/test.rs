//! `cargo xtask vm test`: the tests on the kernel, on several kernels.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use super::{
    guest::{
        ending::How,
        job::Job,
        kernel::Kernel,
        machine::{self, Settings},
        programs::{self, Files},
    },
    own_kernel,
    prepared::{Prepared, architectures, prepare},
    results::{KernelResults, Trouble},
    series::{self, Series},
    static_build::StaticBuild,
    table,
};
use crate::{progress, test::RESULTS};

/// Longest that the tests may take on one kernel.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// Beginnings of the names of tests that run in a guest where no others are asked for. In an emulated machine
/// everything takes many times as long. Not among them: `experts`, which read for minutes; `stalls`, whose waits of
/// some 100 µs the kernel of a slow machine accounts for wrongly; `phases` and `real_engine`, whose engine needs Python.
const IN_A_GUEST: [&str; 18] = [
    "aggregates::",
    "cgroup_v2::",
    "device_counter::",
    "device_share::",
    "fixtures::",
    "formats::",
    "fragmented::",
    "golden::",
    "known_order::",
    "lifecycle::",
    "losses::",
    "marks::",
    "odd_files::",
    "odd_storage::",
    "page_cache::",
    "programs::",
    "stacked::",
    "tensors::",
];

/// The guest's empty disks, which the tests may overwrite.
const SPARE_DISKS: &str = "virtio=/dev/spare-virtio,nvme=/dev/spare-nvme";

/// Which tests on which kernels.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Kernels, with commas between them; without, all of the usual architecture.
    #[arg(long = "kernel", value_delimiter = ',', default_values_t = series::USUAL)]
    kernels: Vec<Series>,
    /// A kernel that cannot be fetched, and a test that cannot run, are failures.
    #[arg(long)]
    strict: bool,
    /// So many kernels at once. Each takes one processor and 3 GiB of memory.
    #[arg(long, value_name = "NUMBER", default_value_t = NonZeroUsize::MIN)]
    at_once: NonZeroUsize,
    /// Run the tests whose names begin with one of these, and not all those that are chosen for guests.
    #[arg(long, value_delimiter = ',', conflicts_with = "filter")]
    only: Vec<String>,
    /// Run the tests whose names contain this, and not those that are chosen for guests.
    filter: Option<String>,
}

/// Runs the tests on one kernel after the other, then shows the table.
///
/// # Errors
/// A test or a machine failed, or nothing can be built or started.
pub fn test(options: &Options) -> Result<()> {
    let prepared = prepare(&options.kernels)?;
    let mut guests = BTreeMap::new();
    for architecture in architectures(&options.kernels) {
        let mut programs = programs::collect(&prepared.folder, architecture)?;
        let build = StaticBuild::tests(&prepared.ready, architecture)?;
        build.add_to(&mut programs);
        guests.insert(architecture, (programs, job(&build, options)?));
    }
    // One after the other: kernels of one suite share what apt keeps.
    let kernels: Vec<_> = options
        .kernels
        .iter()
        .map(|series| (*series, Kernel::fetch(&prepared.folder, *series)))
        .collect();
    let run = |(series, kernel): &(Series, Result<Kernel>)| {
        let (programs, job) = guests
            .get(&series.architecture)
            .with_context(|| format!("nothing is built for {series}"))?;
        let results = on_kernel(&prepared, *series, kernel, programs, job)?;
        results.save(&prepared.folder.results(series.name))?;
        Ok(results)
    };
    let mut all = vec![own_kernel::results(&prepared.ready.workspace)];
    all.extend(at_once(&kernels, options.at_once, run)?);
    print!("{}", table::render(&all));
    let failed: Vec<&str> = all
        .iter()
        // The own kernel's tests fail where they run.
        .skip(1)
        .filter(|results| !results.hold(options.strict))
        .map(|results| results.kernel.as_str())
        .collect();
    if !failed.is_empty() {
        bail!("the tests fail on {}", failed.join(", "));
    }
    Ok(())
}

/// Does work on each item, on so many at once; the results in the items' order.
fn at_once<Item: Sync, Done: Send>(
    items: &[Item],
    most: NonZeroUsize,
    work: impl Fn(&Item) -> Result<Done> + Sync,
) -> Result<Vec<Done>> {
    let next = AtomicUsize::new(0);
    let results: Vec<_> = items.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..most.get().min(items.len()) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let (Some(item), Some(result)) = (items.get(place), results.get(place)) else {
                        return;
                    };
                    let done = work(item);
                    if done.is_err() {
                        // As where they come one after the other: what has not begun does not begin.
                        next.store(items.len(), Ordering::Relaxed);
                    }
                    *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
                }
            });
        }
    });
    results
        .into_iter()
        .filter_map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner))
        .collect()
}

fn job(build: &StaticBuild, options: &Options) -> Result<Job> {
    let tests = build.tests.as_ref().context("the tests are not built")?;
    let mut job = Job::of([tests.executable.clone().into_os_string()])
        .with_path("TRACER_BINARY", StaticBuild::tracer_in_guest())
        .with_path("TRACER_TESTS_DIRECTORY", "/guest/disk/tests".as_ref())
        .with_path(RESULTS, Path::new(machine::REPORT));
    for (name, value) in [
        ("TRACER_TESTS_EMULATED", "1"),
        ("TRACER_TESTS_SPARE_DISKS", SPARE_DISKS),
    ] {
        job.environment.push((name.to_owned(), value.to_owned()));
    }
    match &options.filter {
        Some(filter) => job.command.push(filter.into()),
        None => {
            let only = if options.only.is_empty() {
                IN_A_GUEST.join(",")
            } else {
                options.only.join(",")
            };
            job.environment.push(("TRACER_TESTS_ONLY".to_owned(), only));
        }
    }
    Ok(job)
}

/// Runs the tests on one kernel. That it fails is a result; that we were interrupted is an error.
fn on_kernel(
    prepared: &Prepared,
    series: Series,
    kernel: &Result<Kernel>,
    programs: &Files,
    job: &Job,
) -> Result<KernelResults> {
    let kernel = match kernel {
        Ok(kernel) => kernel,
        Err(error) => {
            let reason = format!("{error:#}");
            progress::say(&format!("no kernel {series}: {reason}"));
            return Ok(KernelResults::not_run(series.name, reason));
        }
    };
    progress::say(&format!("running the tests on {}", kernel.release));
    let settings = Settings {
        limit: Some(LIMIT),
        out: None,
    };
    let ending = machine::run(&prepared.folder, kernel, programs, job, &settings)?;
    let mut results = KernelResults::of_lines(series.name, kernel.release.clone(), ending.cases);
    // The status says no more than the lines where there are any.
    if !matches!(ending.how, How::Finished(0)) && results.counts().failed == 0
        || !matches!(ending.how, How::Finished(_))
    {
        results.trouble = Some(Trouble::Failed(ending.how.to_string()));
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

    #[test]
    fn results_keep_the_order_of_the_items() {
        let wait = |milliseconds: &u64| {
            thread::sleep(Duration::from_millis(*milliseconds));
            Ok(*milliseconds)
        };
        assert_eq!(at_once(&[30, 1, 5], TWO, wait).unwrap(), [30, 1, 5]);
        assert!(at_once(&[], TWO, wait).unwrap().is_empty());
    }

    #[test]
    fn two_are_at_work_at_once_and_no_more() {
        let (working, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        at_once(&[(); 6], TWO, |(): &()| {
            let now = working.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(20));
            working.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        })
        .unwrap();
        assert_eq!(most.into_inner(), 2);
    }

    #[test]
    fn a_failure_is_told_and_nothing_more_begins() {
        let begun = AtomicUsize::new(0);
        let failed = at_once(&[0, 1, 2], NonZeroUsize::MIN, |item| {
            begun.fetch_add(1, Ordering::Relaxed);
            if *item == 1 {
                bail!("it broke")
            }
            Ok(())
        });
        assert_eq!(failed.unwrap_err().to_string(), "it broke");
        assert_eq!(begun.into_inner(), 2);
    }
}
