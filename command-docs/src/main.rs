//! Writes manual pages and shell completions into the folder that is given, from the command line as clap sees it. A crate
//! of its own, so that neither the tracer nor its tests carry what writes them.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_complete::Shell;
use tracer_user::cli::Arguments;

fn main() -> Result<()> {
    let folder = PathBuf::from(
        env::args_os()
            .nth(1)
            .context("name a folder to write into")?,
    );
    let manual = folder.join("man");
    let completions = folder.join("completions");
    for folder in [&manual, &completions] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    clap_mangen::generate_to(Arguments::command(), &manual)
        .with_context(|| format!("cannot write into {}", manual.display()))?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Arguments::command(), "tracer", &completions)
            .with_context(|| format!("cannot write into {}", completions.display()))?;
    }
    Ok(())
}
