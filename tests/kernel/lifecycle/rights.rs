//! Whose rights are needed, and as whom things run.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::LoopDisk,
    model_file::ModelFile,
    reader::RunningProgram,
    tracer::{self, TracerCall},
};

use super::{FAILED, LIMIT, check_said, direct_reader, plan};
use crate::{
    ground::{Ground, Traced, check_sound},
    plain_user::{Bound, SOMEBODY, open_folder},
};

/// Called through sudo, the engine runs as the calling user, and what is written is that user's.
pub(super) fn calling_user(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let folder = open_folder()?;
    let reader = direct_reader(ground, file)?.option("--print-identity");
    let program = folder.path.join("scripted_reader");
    fs::copy(reader.program(), &program).context("copy the reader")?;
    let plan_path = folder.path.join("plan");
    fs::write(&plan_path, plan().to_text()).context("write the plan")?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))
        .context("let everybody read the model")?;
    // The scratch folder may lie where this user cannot go; the mount itself is then shown elsewhere.
    let shown = folder.path.join("disk");
    fs::create_dir(&shown).context("make a folder")?;
    let mount_point = file.path().parent().context("the model lies on a disk")?;
    let _shown = Bound::new(mount_point, &shown)?;
    let model = shown.join(file.path().file_name().context("the model has a name")?);
    let arguments = [
        model.as_os_str(),
        "--plan".as_ref(),
        plan_path.as_os_str(),
        "--mode".as_ref(),
        "direct".as_ref(),
        "--print-identity".as_ref(),
    ];
    let run = TracerCall::launch(&ground.scratch, &model)?
        .engine(&program, &arguments)
        .adjusted(|command| {
            command
                .current_dir("/")
                .env("SUDO_UID", SOMEBODY.to_string())
                .env("SUDO_GID", SOMEBODY.to_string());
        })
        .run()?;
    let directory = run.directory.clone();
    let traced = Traced::of(run)?;
    let identity = traced
        .report
        .identity
        .context("the reader does not say as whom it ran")?;
    ensure!(
        (identity.uid, identity.gid) == (SOMEBODY, SOMEBODY)
            && identity.groups.iter().all(|group| *group == SOMEBODY)
            && identity
                .effective_capabilities
                .trim_start_matches('0')
                .is_empty(),
        "the engine ran as {identity:?}"
    );
    for entry in fs::read_dir(&directory).context("list the run's folder")? {
        let entry = entry.context("list the run's folder")?;
        let owner =
            std::os::unix::fs::MetadataExt::uid(&entry.metadata().context("look at a file")?);
        ensure!(
            owner == SOMEBODY,
            "{} belongs to {owner}",
            entry.path().display()
        );
    }
    check_sound(&traced.record)
}

/// A plain user gets told what is missing, before anything is touched.
pub(super) fn no_privileges(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let folder = open_folder()?;
    let copy = folder.path.join("tracer");
    fs::copy(tracer::binary()?, &copy).context("copy the tracer")?;
    let mark = folder.path.join("the-engine-ran");
    let out = folder.path.join("run");
    let mut command = std::process::Command::new(&copy);
    command
        .args([
            Path::new("launch"),
            Path::new("--model"),
            file.path(),
            Path::new("--out"),
            &out,
        ])
        .args([Path::new("--"), Path::new("/bin/touch"), &mark])
        .current_dir("/")
        .uid(SOMEBODY)
        .gid(SOMEBODY);
    let finished = RunningProgram::start(&ground.scratch, command)?.finish(LIMIT)?;
    let line = format!("setcap cap_bpf,cap_perfmon+ep {}", copy.display());
    check_said(
        &finished,
        FAILED,
        &["tracer doctor", "MISSING", "root", &line],
    )?;
    ensure!(
        !mark.exists() && !out.exists(),
        "something was touched all the same"
    );

    let mut doctor = std::process::Command::new(&copy);
    doctor
        .arg("doctor")
        .current_dir("/")
        .uid(SOMEBODY)
        .gid(SOMEBODY);
    let doctor = RunningProgram::start(&ground.scratch, doctor)?.finish(LIMIT)?;
    ensure!(
        doctor.code() == 1,
        "doctor ends with {}: {}",
        doctor.code(),
        doctor.output
    );
    // The same words: each line of the error is one of doctor's.
    for line in finished
        .errors
        .lines()
        .filter(|line| line.contains("MISSING"))
    {
        ensure!(
            doctor.output.contains(line.trim()),
            "doctor does not say {line:?}:\n{}",
            doctor.output
        );
    }
    Ok(())
}
