//! What every guest needs, made ready once.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use crate::{
    packages::Architecture,
    setup::{self, Ready},
};

use super::{
    folder::Folder,
    guest::{
        ending::How,
        job::Job,
        kernel::Kernel,
        machine::{self, Settings},
        programs::{self, Files},
    },
    host_tools,
    series::Series,
    static_build::StaticBuild,
};

/// All that guests need but kernels and programs.
pub struct Prepared {
    pub ready: Ready,
    pub folder: Folder,
}

/// Sets up, fetches what the host needs, and locks the folder.
pub fn prepare(kernels: &[Series]) -> Result<Prepared> {
    let ready = setup::setup()?;
    host_tools::ensure(&architectures(kernels))?;
    let folder = Folder::lock(&ready.workspace)?;
    Ok(Prepared { ready, folder })
}

/// Their architectures, each once.
pub fn architectures(kernels: &[Series]) -> BTreeSet<Architecture> {
    kernels.iter().map(|series| series.architecture).collect()
}

impl Prepared {
    /// Programs for guests, with the tracer.
    pub fn programs_with_tracer(&self, architecture: Architecture) -> Result<Files> {
        let mut programs = programs::collect(&self.folder, architecture)?;
        StaticBuild::tracer(&self.ready, architecture)?.add_to(&mut programs);
        Ok(programs)
    }

    /// Runs a job that must come to its end; its status.
    pub fn run(
        &self,
        series: Series,
        programs: &Files,
        job: &Job,
        settings: &Settings,
    ) -> Result<u8> {
        let kernel = Kernel::fetch(&self.folder, series)?;
        let ending = machine::run(&self.folder, &kernel, programs, job, settings)?;
        match ending.how {
            How::Finished(status) => Ok(status),
            how => bail!("{}: {how}", kernel.release),
        }
    }
}
