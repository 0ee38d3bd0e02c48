use std::fs;

use crate::{
    experiment::{
        cells::{PlannedRun, expand},
        manifest::{Manifest, Software},
        plan::Plan,
        summary::load,
    },
    process::Caller,
    schema::{EXPERIMENT_SCHEMA_VERSION, RunOutcome},
};

use super::{ExperimentFolder, Outcome, is_full_disk};

const PLAN: &str = "name = \"x\"\nrepetitions = 2\n[engine]\nadapter = \"built-in\"\n[axes]\nmodel = [\"m\"]\ntokens = [1, 2]\n";

fn caller() -> Caller {
    Caller::of_this_process().expect("the test's own user")
}

fn software() -> Software {
    Software {
        tracer_version: "0.1.0".into(),
        tracer_digest: "abc".into(),
        kernel: "6.1".into(),
    }
}

fn manifest(plan: &Plan) -> Manifest {
    Manifest {
        schema_version: EXPERIMENT_SCHEMA_VERSION,
        plan_digest: plan.digest(),
        plan_directory: "/plans".into(),
        began_at: "2026-01-01T00:00:00Z".into(),
        software: software(),
        accepted_changes: Vec::new(),
        models: Vec::new(),
        runs: expand(plan),
    }
}

fn outcome(run: &PlannedRun, plan: &Plan) -> Outcome {
    Outcome {
        plan_digest: plan.digest(),
        kernel: "6".into(),
        tracer_version: "0".into(),
        began_at: "2026-01-01T00:00:00Z".into(),
        wall_s: 1.5,
        run: crate::schema::ExperimentRunRecord {
            outcome: RunOutcome::Finished,
            ..run.record()
        },
    }
}

/// A folder with an experiment in it that has one finished run.
fn begun(scratch: &std::path::Path) -> (ExperimentFolder, Plan, Manifest) {
    let (folder, lock) = ExperimentFolder::create(&scratch.join("a b/ü"), caller()).expect("new");
    drop(lock);
    let plan = Plan::parse(PLAN).expect("a plan");
    let manifest = manifest(&plan);
    folder.write("plan.toml", PLAN.as_bytes()).expect("plan");
    folder.write_manifest(&manifest).expect("manifest");
    let run = manifest.runs.first().expect("a run");
    let partial = folder.begin_run(run).expect("partial");
    fs::write(partial.join("engine.stdout"), "x").expect("output");
    folder
        .complete_run(run, &outcome(run, &plan))
        .expect("complete");
    (folder, plan, manifest)
}

#[test]
fn a_run_is_there_whole_or_not_at_all() {
    let scratch = tempfile::tempdir().expect("scratch");
    let (folder, _, manifest) = begun(scratch.path());
    let [first, second, ..] = manifest.runs.as_slice() else {
        panic!("{:?}", manifest.runs);
    };
    let partial = folder.begin_run(second).expect("partial");
    fs::write(partial.join("run.json"), "{ half").expect("half a record");
    let outcome = |run| {
        folder
            .outcome(run, &manifest.plan_digest)
            .expect("readable")
    };
    assert!(outcome(first).is_some_and(|made| made.run.outcome == RunOutcome::Finished));
    assert!(outcome(second).is_none());
    let whole = folder.path().join(first.directory());
    assert!(whole.join("engine.stdout").is_file(), "all of it has moved");
    assert!(!folder.path().join(first.partial_directory()).exists());
    let states = || -> Vec<RunOutcome> {
        let experiment = load(folder.path()).expect("an experiment");
        experiment.runs.iter().map(|run| run.outcome).collect()
    };
    let expected = [
        RunOutcome::Finished,
        RunOutcome::Missing,
        RunOutcome::Missing,
        RunOutcome::Missing,
    ];
    assert_eq!(states(), expected);
    folder.remove_partial_runs().expect("removed");
    assert!(!partial.exists());
    assert_eq!(states(), expected);
}

#[test]
fn a_folder_is_begun_once() {
    let scratch = tempfile::tempdir().expect("scratch");
    let (folder, ..) = begun(scratch.path());
    let error = ExperimentFolder::create(folder.path(), caller()).expect_err("holds one");
    assert!(error.to_string().contains("resume"), "{error:#}");
    let error = ExperimentFolder::open(scratch.path(), caller()).expect_err("holds none");
    assert!(
        error.to_string().contains("holds no experiment"),
        "{error:#}"
    );
    let error = ExperimentFolder::create(scratch.path(), caller()).expect_err("not empty");
    assert!(error.to_string().contains("is not empty"), "{error:#}");
    // Killed before it had begun: it can be begun again.
    fs::remove_file(folder.path().join("manifest.json")).expect("removed");
    drop(ExperimentFolder::create(folder.path(), caller()).expect("not begun"));
}

#[test]
fn runs_of_different_plans_never_mix() {
    let scratch = tempfile::tempdir().expect("scratch");
    let (folder, plan, manifest) = begun(scratch.path());
    folder.read().expect("they fit");

    // A run of another plan, or of another cell, in the place of this one's.
    let first = manifest.runs.first().expect("a run");
    let error = folder
        .outcome(first, "another digest")
        .expect_err("another plan");
    assert!(
        error.to_string().contains("another experiment"),
        "{error:#}"
    );
    let mut other = first.clone();
    other.cell.insert("tokens".into(), "99".into());
    assert!(folder.outcome(&other, &plan.digest()).is_err());

    // The copy of the plan was changed.
    folder
        .write("plan.toml", PLAN.replace("[1, 2]", "[1, 3]").as_bytes())
        .expect("written");
    let error = folder.read().expect_err("another plan");
    assert!(format!("{error:#}").contains("not the plan"), "{error:#}");
    // A comment more is the same plan.
    folder
        .write("plan.toml", format!("# mine\n{PLAN}").as_bytes())
        .expect("written");
    folder.read().expect("the same");

    // The list of runs was changed.
    let mut changed = manifest.clone();
    changed.runs.swap(0, 1);
    folder.write_manifest(&changed).expect("written");
    assert!(folder.read().is_err());
    let mut changed = manifest;
    changed.schema_version += 1;
    folder.write_manifest(&changed).expect("written");
    assert!(format!("{:#}", folder.read().expect_err("another layout")).contains("layout"));
}

#[test]
fn another_kernel_or_tracer_is_a_change() {
    let now = software();
    assert_eq!(now.changes(&now), [""; 0]);
    for (other, word) in [
        (
            Software {
                kernel: "5.0".into(),
                ..now.clone()
            },
            "kernel",
        ),
        (
            Software {
                tracer_version: "9".into(),
                ..now.clone()
            },
            "is 9",
        ),
        (
            Software {
                tracer_digest: "00".into(),
                ..now.clone()
            },
            "another build",
        ),
    ] {
        let changes = now.changes(&other);
        assert!(
            matches!(changes.as_slice(), [one] if one.contains(word)),
            "{changes:?}"
        );
    }
}

#[test]
fn a_full_disk_is_told_from_other_failures() {
    use anyhow::Context as _;
    let of = |number| {
        Err::<(), _>(std::io::Error::from_raw_os_error(number))
            .context("cannot write")
            .expect_err("an error")
    };
    assert!(is_full_disk(&of(libc::ENOSPC)) && is_full_disk(&of(libc::EDQUOT)));
    assert!(!is_full_disk(&of(libc::EIO)));
}
