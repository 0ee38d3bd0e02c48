//! The machine's own kernel beside those in guests: its results are those of `cargo xtask test`.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};

use super::{
    case_result::CaseResult,
    folder::{self, OWN},
    results::KernelResults,
};
use crate::workspace::Workspace;

/// Keeps what the tests on this machine wrote, line by line.
///
/// # Errors
/// The lines cannot be read, or the results not be written.
pub fn keep(workspace: &Workspace, lines: &Path) -> Result<()> {
    let text =
        fs::read_to_string(lines).with_context(|| format!("cannot read {}", lines.display()))?;
    let lines: Vec<CaseResult> = text.lines().filter_map(CaseResult::parse).collect();
    if lines.is_empty() {
        return Ok(());
    }
    KernelResults::of_lines(OWN, release()?, lines).save(&folder::own_results(workspace))
}

/// The results that were kept, if they are of the kernel that runs now.
pub fn results(workspace: &Workspace) -> KernelResults {
    let load = || -> Result<KernelResults> {
        let path = folder::own_results(workspace);
        if !path.exists() {
            anyhow::bail!("`cargo xtask test` has not run the tests on this machine's own kernel");
        }
        let (results, release) = (KernelResults::load(&path)?, release()?);
        if results.release.as_deref() != Some(release.as_str()) {
            anyhow::bail!(
                "`cargo xtask test` ran the tests on another kernel than {release}, which runs now"
            );
        }
        Ok(results)
    };
    load().unwrap_or_else(|error| KernelResults::not_run(OWN, format!("{error:#}")))
}

fn release() -> Result<String> {
    let name = nix::sys::utsname::uname().context("the kernel does not say its release")?;
    Ok(name.release().to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::results::Trouble;

    #[test]
    fn only_results_of_the_running_kernel_count() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = Workspace {
            root: folder.path().to_owned(),
            target: folder.path().join("target"),
        };
        let lines = folder.path().join("lines");
        fs::write(&lines, "").unwrap();
        keep(&workspace, &lines).unwrap();
        assert!(matches!(
            results(&workspace).trouble,
            Some(Trouble::NotRun(_))
        ));
        fs::write(&lines, "{\"name\":\"a\",\"outcome\":\"passed\"}\n").unwrap();
        keep(&workspace, &lines).unwrap();
        let mut kept = results(&workspace);
        assert_eq!((kept.counts().passed, &kept.trouble), (1, &None));
        kept.release = Some("1.2.3".to_owned());
        kept.save(&folder::own_results(&workspace)).unwrap();
        assert!(matches!(
            results(&workspace).trouble,
            Some(Trouble::NotRun(_))
        ));
    }
}
