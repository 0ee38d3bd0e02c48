//! What the running kernel's eBPF can do, by its types.

use std::fs;

use anyhow::{Context as _, Result};

/// Whether eBPF programs can call a helper, by its name without `bpf_`: the kernel's types then hold the enumerator
/// `BPF_FUNC_…` of `include/uapi/linux/bpf.h`.
///
/// # Errors
/// Where the types cannot be read.
pub fn has_helper(name: &str) -> Result<bool> {
    let types = fs::read("/sys/kernel/btf/vmlinux").context("read the kernel's types")?;
    // Names are in the section of strings, each with a 0 behind it.
    let name = format!("\0BPF_FUNC_{name}\0").into_bytes();
    Ok(types.windows(name.len()).any(|window| window == name))
}
