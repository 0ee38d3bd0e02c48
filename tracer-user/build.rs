//! Builds the eBPF programs, which the loader embeds.

use anyhow::Context as _;
use aya_build::{Package, Toolchain};

/// The compiler of `rust-toolchain.toml`: compiler and linker then share one LLVM.
const TOOLCHAIN: &str = "1.95.0";

fn main() -> anyhow::Result<()> {
    // aya-build reruns this for changes of the eBPF crate itself, not of what it shares with us.
    println!("cargo:rerun-if-changed=../tracer-common/src");
    // SAFETY: a build script has one thread here.
    unsafe {
        // `-Z build-std=core` on the stable compiler: the target has no prebuilt `core`.
        std::env::set_var("RUSTC_BOOTSTRAP", "1");
    }
    aya_build::build_ebpf(
        [Package {
            name: "tracer-ebpf",
            root_dir: "../tracer-ebpf",
            ..Package::default()
        }],
        Toolchain::Custom(TOOLCHAIN),
    )
    .context(
        "building the eBPF programs failed; `cargo xtask setup` installs the linker and the sources of `core`",
    )
}
