//! `cargo xtask test`: unit tests as the user, the tests on the kernel as root.

pub mod fuzz;

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    caller_environment,
    cargo::{self, Built},
    packages::Architecture,
    privilege::Elevation,
    progress,
    run::build_tracer,
    setup::{self, Ready},
    supervise,
    tools::{programs_of_tests, python, pytorch, spark},
    vm::{self, StaticBuild},
};

/// What to test.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A test on the kernel that cannot run here is a failure.
    #[arg(long)]
    pub strict: bool,
    /// Test on the kernel what guests run too: tracer and tests built without shared libraries.
    #[arg(long = "static")]
    pub without_shared_libraries: bool,
    /// Fetch Spark and Java, 0.7 GB, and run the test that takes them too: spark::.
    #[arg(long)]
    pub spark: bool,
    /// Run only tests whose names contain this.
    pub filter: Option<OsString>,
    /// Arguments for the test programs, such as --exact or --skip NAME.
    #[arg(last = true)]
    pub arguments: Vec<OsString>,
}

impl Options {
    /// What every test program is called with.
    fn for_programs(&self) -> Vec<OsString> {
        self.filter.iter().chain(&self.arguments).cloned().collect()
    }
}

/// Runs all tests, those after a failed one too.
///
/// # Errors
/// A test fails, or something cannot be built.
pub fn test(options: &Options) -> Result<()> {
    let ready = setup::setup()?;
    let search_path = programs_of_tests::search_path(&ready.workspace)?;
    let pythons = Pythons {
        engine: python::find(&ready, &python::ENGINE),
        duckdb: python::find(&ready, &python::DUCKDB),
        perfetto: python::find(&ready, &python::PERFETTO),
        pytorch: pytorch::find(&ready),
        spark: options.spark.then(|| spark::find(&ready)).flatten(),
    };
    // The build of the tests comes first: where it fails, the unit tests would too.
    let (tracer, kernel_tests) = if options.without_shared_libraries {
        let architecture = Architecture::of_machine()
            .with_context(|| format!("no static build is made for {}", env::consts::ARCH))?;
        let built = StaticBuild::tests(&ready, architecture)?;
        let tests = built.tests.context("the tests are not built")?;
        (built.tracer, tests)
    } else {
        (build_tracer(&ready)?, build_kernel_tests(&ready)?)
    };
    let failed: Vec<_> = [
        ("the unit tests", unit_tests(&ready, &search_path, options)),
        (
            "the tests on the kernel",
            run_kernel_tests(&ready, &kernel_tests, tracer, pythons, search_path, options),
        ),
    ]
    .into_iter()
    .filter_map(|(what, result)| result.err().map(|error| format!("{what}: {error:#}")))
    .collect();
    if !failed.is_empty() {
        bail!("failed\n  {}", failed.join("\n  "));
    }
    Ok(())
}

/// Pythons for the tests on the kernel, where they are to be had.
#[derive(Debug, Default)]
struct Pythons {
    /// With the real engine.
    engine: Option<PathBuf>,
    /// With DuckDB.
    duckdb: Option<PathBuf>,
    /// With Perfetto's classes.
    perfetto: Option<PathBuf>,
    /// With PyTorch.
    pytorch: Option<PathBuf>,
    /// With Spark, where it was asked for.
    spark: Option<PathBuf>,
}

/// The unit and documentation tests of everything but `tests`, then those of `tests` itself: its target
/// `kernel` needs root.
fn unit_tests(ready: &Ready, search_path: &OsStr, options: &Options) -> Result<()> {
    progress::say("running the unit tests");
    let selections: [&[&str]; 2] = [
        &[
            "--workspace",
            "--exclude",
            "tests",
            "--exclude",
            "tracer-ebpf",
        ],
        &["--package", "tests", "--lib", "--bins"],
    ];
    let failed: Vec<_> = selections
        .into_iter()
        .filter_map(|selection| {
            let mut command = cargo::cargo(&ready.workspace, &ready.toolchain);
            command
                .args(["test", "--no-fail-fast"])
                .args(selection)
                .env("PATH", search_path)
                .arg("--")
                .args(options.for_programs());
            if options.strict {
                strictly(&mut command).err()
            } else {
                cargo::succeed(&mut command).err()
            }
            .map(|error| format!("{error:#}"))
        })
        .collect();
    if !failed.is_empty() {
        bail!("{}", failed.join("; "));
    }
    Ok(())
}

/// Runs unit tests of which none may be skipped. A few of them need root or a tool; where that is missing they
/// print a line that begins with `skipped:`, which the test runner hides of a test that passed.
fn strictly(command: &mut Command) -> Result<()> {
    let output = command
        .arg("--show-output")
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        print!("{text}");
        bail!("they ended with {}", output.status);
    }
    for line in text.lines().filter(|line| line.starts_with("test ")) {
        println!("{line}");
    }
    let skipped: Vec<&str> = text.lines().filter(|line| is_skip(line)).collect();
    if !skipped.is_empty() {
        bail!(
            "with --strict none may be skipped:\n  {}",
            skipped.join("\n  ")
        );
    }
    Ok(())
}

fn is_skip(line: &str) -> bool {
    line.trim_start().starts_with("skipped:")
}

fn build_kernel_tests(ready: &Ready) -> Result<Built> {
    progress::say("building the tests on the kernel");
    let mut command = cargo::cargo(&ready.workspace, &ready.toolchain);
    command.args([
        "test",
        "--release",
        "--no-run",
        "--package",
        "tests",
        "--test",
        "kernel",
    ]);
    cargo::build(&mut command, "kernel")
}

fn run_kernel_tests(
    ready: &Ready,
    tests: &Built,
    tracer: PathBuf,
    pythons: Pythons,
    search_path: OsString,
    options: &Options,
) -> Result<()> {
    // Made as the user, who can remove it then.
    let directory = ready.workspace.target.join("tests");
    fs::create_dir_all(&directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let results = directory.join("results.jsonl");
    // The tests add lines, as root to the user's file.
    fs::write(&results, "").with_context(|| format!("cannot write {}", results.display()))?;
    let mut variables = variables(tracer, directory, pythons, options.strict);
    variables.extend(env::var_os(KILLS).map(|kills| (KILLS, kills)));
    variables.push((RESULTS, results.clone().into()));
    // Without it sudo would give the tests a search path of its own.
    variables.push(("PATH", search_path));
    let by_hand = std::iter::once(OsString::from("env"))
        .chain(variables.iter().map(|(name, value)| {
            let mut assignment = OsString::from(format!("{name}="));
            assignment.push(value);
            assignment
        }))
        .chain([tests.executable.clone().into()])
        .chain(options.for_programs());
    let elevation = Elevation::find(by_hand)?;
    progress::say("running the tests on the kernel, as root");
    let mut command = elevation.command(&tests.executable, &options.for_programs(), &variables);
    caller_environment::restore(&mut command, &ready.workspace.target);
    // Where cargo would run them.
    command.current_dir(&tests.package);
    let status = supervise::run(&mut command, &elevation)?;
    vm::keep_own_results(&ready.workspace, &results)?;
    if !status.success() {
        bail!("they ended with {status}");
    }
    Ok(())
}

/// Names the file that gets a line for each test on the kernel.
pub const RESULTS: &str = "TRACER_TESTS_RESULTS";

/// How often the tests kill the tracer at random moments, where they are to do it more often than by themselves.
const KILLS: &str = "TRACER_TESTS_KILLS";

/// What the tests on the kernel are told.
fn variables(
    tracer: PathBuf,
    directory: PathBuf,
    pythons: Pythons,
    strict: bool,
) -> Vec<(&'static str, OsString)> {
    let mut variables = vec![
        ("TRACER_BINARY", tracer.into()),
        ("TRACER_TESTS_DIRECTORY", directory.into()),
    ];
    for (name, python) in [
        ("TRACER_TESTS_PYTHON", pythons.engine),
        ("TRACER_TESTS_DUCKDB_PYTHON", pythons.duckdb),
        ("TRACER_TESTS_PERFETTO_PYTHON", pythons.perfetto),
        ("TRACER_TESTS_PYTORCH_PYTHON", pythons.pytorch),
        ("TRACER_TESTS_SPARK_PYTHON", pythons.spark),
    ] {
        variables.extend(python.map(|python| (name, python.into())));
    }
    variables.extend(strict.then(|| ("TRACER_TESTS_STRICT", "1".into())));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_told_from_results() {
        assert!(is_skip("skipped: needs root"));
        assert!(!is_skip("test a::that_is_skipped ... ok"));
    }

    #[test]
    fn the_tests_on_the_kernel_are_told_only_what_there_is() {
        let names = |pythons, strict| {
            variables("/t/tracer".into(), "/t/tests".into(), pythons, strict)
                .into_iter()
                .map(|(name, value)| format!("{name}={}", value.display()))
                .collect::<Vec<_>>()
        };
        let always = ["TRACER_BINARY=/t/tracer", "TRACER_TESTS_DIRECTORY=/t/tests"];
        assert_eq!(names(Pythons::default(), false), always);
        let pythons = Pythons {
            engine: Some("/v/python".into()),
            duckdb: Some("/d/python".into()),
            perfetto: Some("/p/python".into()),
            pytorch: Some("/t/pytorch/python".into()),
            spark: Some("/t/java/python".into()),
        };
        let more = [
            "TRACER_TESTS_PYTHON=/v/python",
            "TRACER_TESTS_DUCKDB_PYTHON=/d/python",
            "TRACER_TESTS_PERFETTO_PYTHON=/p/python",
            "TRACER_TESTS_PYTORCH_PYTHON=/t/pytorch/python",
            "TRACER_TESTS_SPARK_PYTHON=/t/java/python",
            "TRACER_TESTS_STRICT=1",
        ];
        assert_eq!(names(pythons, true), [&always[..], &more].concat());
    }
}
