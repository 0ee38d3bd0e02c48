//! What the build needs: components of the pinned toolchain, and the eBPF linker. Nothing goes into the
//! user's home but what cargo and rustup keep there themselves.

use std::{path::Path, process::Command};

use anyhow::{Context as _, bail};

use crate::{
    progress::step,
    workspace::{cargo, pinned_toolchain, root, tools},
};

/// Version of the linker. Its default feature links with the LLVM of the pinned compiler; newer ones want a
/// newer LLVM.
const LINKER_VERSION: &str = "0.10.3";

/// Components beside the compiler: the sources of `core` for the eBPF target, and the checks.
const COMPONENTS: [&str; 3] = ["rust-src", "rustfmt", "clippy"];

/// Installs what is missing; a second call finds everything there and needs no network.
///
/// # Errors
/// What could not be installed, and how to do it by hand.
pub fn setup() -> anyhow::Result<()> {
    components()?;
    linker()
}

fn components() -> anyhow::Result<()> {
    let toolchain = pinned_toolchain()?;
    let listed = Command::new("rustup")
        .args([
            "component",
            "list",
            "--installed",
            "--toolchain",
            &toolchain,
        ])
        .output();
    let installed = match listed {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
        Ok(_) => bail!(
            "toolchain {toolchain} is not installed; install it with: rustup toolchain install {toolchain} --profile minimal --component {}",
            COMPONENTS.join(",")
        ),
        Err(error) => {
            return Err(error).context(format!(
                "cannot run rustup, which manages the pinned toolchain {toolchain}; install it from your distribution"
            ));
        }
    };
    for component in COMPONENTS {
        if !has_component(&installed, component) {
            step(
                &format!("adding {component} to toolchain {toolchain}"),
                Command::new("rustup").args([
                    "component",
                    "add",
                    component,
                    "--toolchain",
                    &toolchain,
                ]),
            )?;
        }
    }
    Ok(())
}

/// rustup lists `clippy-x86_64-unknown-linux-gnu` for clippy and plain `rust-src`.
fn has_component(installed: &str, component: &str) -> bool {
    installed.lines().any(|line| {
        line.strip_prefix(component)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-') || rest.starts_with(' '))
    })
}

fn linker() -> anyhow::Result<()> {
    let program = tools().join("bin/bpf-linker");
    if installed_version(&program).as_deref() == Some(LINKER_VERSION) {
        return Ok(());
    }
    // cargo install replaces the program only when it is complete.
    step(
        &format!("building bpf-linker {LINKER_VERSION} into target/tools (about a minute)"),
        cargo()
            .args([
                "install",
                "bpf-linker",
                "--locked",
                "--force",
                "--version",
                LINKER_VERSION,
            ])
            .arg("--root")
            .arg(tools())
            // Its own build directory: `cargo install` would otherwise share ours.
            .env("CARGO_TARGET_DIR", root().join("target/tools/build")),
    )?;
    let _ = std::fs::remove_dir_all(root().join("target/tools/build"));
    Ok(())
}

fn installed_version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(1).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::has_component;

    #[test]
    fn components_are_told_apart() {
        let listed = "cargo-x86_64-unknown-linux-gnu\nclippy-x86_64-unknown-linux-gnu\nrust-src\n";
        assert!(has_component(listed, "rust-src"));
        assert!(has_component(listed, "clippy"));
        assert!(!has_component(listed, "rustfmt"));
        assert!(!has_component("rust-srcs\n", "rust-src"));
    }
}
