//! The environment as it was before cargo and rustup added to it.
//!
//! The tracer starts an engine with the environment of the process that called it, which is xtask; so
//! xtask starts itself anew without what `cargo run` put there.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::{Component, Path},
    process::Command,
};

/// Variables, in no special order.
type Variables = Vec<(OsString, OsString)>;

/// Takes what cargo and rustup added to our environment out of a command's; `target` is cargo's target folder.
pub fn restore(command: &mut Command, target: &Path) {
    let own: Variables = env::vars_os().collect();
    let cleaned = cleaned(own.clone(), target);
    for (name, value) in own {
        match cleaned.iter().find(|(kept, _)| *kept == name) {
            None => command.env_remove(name),
            Some((_, kept)) if *kept != value => command.env(name, kept),
            Some(_) => command,
        };
    }
}

/// The variables without what cargo and rustup added for a program that `cargo run` starts.
///
/// `CARGO_HOME`, `RUSTUP_HOME` and `SSL_CERT_*` stay: rustup and cargo set them only where they are not set,
/// to what holds without them, and one cannot tell.
fn cleaned(variables: Variables, target: &Path) -> Variables {
    let value = |name: &str| {
        variables
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.clone())
    };
    let toolchain_is_the_users =
        value("RUSTUP_TOOLCHAIN_SOURCE").is_none_or(|source| source == "env");
    let toolchains = value("RUSTUP_HOME").map(|home| Path::new(&home).join("toolchains"));
    variables
        .into_iter()
        .filter(|(name, _)| match name.to_str() {
            Some("RUSTUP_TOOLCHAIN") => toolchain_is_the_users,
            Some("CARGO" | "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH") => false,
            Some("RUSTUP_TOOLCHAIN_SOURCE" | "RUST_RECURSION_COUNT") => false,
            Some(name) => !name.starts_with("CARGO_PKG_"),
            None => true,
        })
        .filter_map(|(name, value)| {
            if name == "LD_LIBRARY_PATH" {
                let value = library_path(&value, target, toolchains.as_deref())?;
                Some((name, value))
            } else {
                Some((name, value))
            }
        })
        .collect()
}

/// A library path without the folders that cargo and rustup put in front; `None` where nothing is left.
fn library_path(value: &OsStr, target: &Path, toolchains: Option<&Path>) -> Option<OsString> {
    let added = |folder: &Path| {
        folder.starts_with(target)
            || toolchains.is_some_and(|toolchains| folder.starts_with(toolchains))
            || folder
                .components()
                .any(|component| component == Component::Normal("rustlib".as_ref()))
    };
    let mut folders = env::split_paths(value)
        .skip_while(|folder| added(folder))
        .peekable();
    folders.peek()?;
    // Folders from a split have no separator in them.
    env::join_paths(folders).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }

    fn library_path(value: &str) -> Option<OsString> {
        super::library_path(
            value.as_ref(),
            Path::new("/w/target"),
            Some(Path::new("/h/.rustup/toolchains")),
        )
    }

    #[test]
    fn what_cargo_and_rustup_add_goes_and_the_rest_stays() {
        let kept = [
            ("HOME", "/h"),
            ("CARGO_HOME", "/h/.cargo"),
            ("CARGO_TARGET_DIR", "/w/target"),
            ("RUSTUP_HOME", "/h/.rustup"),
            ("LD_LIBRARY_PATH", "/opt/cuda"),
        ];
        let mut all = variables(&kept[..4]);
        all.extend(variables(&[
            (
                "LD_LIBRARY_PATH",
                "/w/target/debug/deps:/h/.rustup/toolchains/1.95.0/lib:/opt/cuda",
            ),
            ("CARGO", "/h/.rustup/toolchains/1.95.0/bin/cargo"),
            ("CARGO_MANIFEST_DIR", "/w/xtask"),
            ("CARGO_MANIFEST_PATH", "/w/xtask/Cargo.toml"),
            ("CARGO_PKG_VERSION_MAJOR", "0"),
            ("RUSTUP_TOOLCHAIN", "1.95.0"),
            ("RUSTUP_TOOLCHAIN_SOURCE", "toolchain-file"),
            ("RUST_RECURSION_COUNT", "1"),
        ]));
        assert_eq!(cleaned(all, Path::new("/w/target")), variables(&kept));
    }

    #[test]
    fn a_toolchain_that_the_user_chose_stays() {
        let chosen = variables(&[
            ("RUSTUP_TOOLCHAIN", "nightly"),
            ("RUSTUP_TOOLCHAIN_SOURCE", "env"),
        ]);
        assert_eq!(
            cleaned(chosen, Path::new("/t")),
            variables(&[("RUSTUP_TOOLCHAIN", "nightly")])
        );
        let without_rustup = variables(&[("RUSTUP_TOOLCHAIN", "nightly")]);
        assert_eq!(
            cleaned(without_rustup.clone(), Path::new("/t")),
            without_rustup
        );
    }

    #[test]
    fn only_leading_folders_of_the_library_path_go() {
        assert_eq!(library_path("/w/target/debug:/usr/lib/rustlib/x/lib"), None);
        assert_eq!(
            library_path("/w/target/debug:/a:/w/target/mine:"),
            Some("/a:/w/target/mine:".into())
        );
        assert_eq!(library_path("/w/targets:/a"), Some("/w/targets:/a".into()));
    }
}
