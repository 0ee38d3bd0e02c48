//! Compressed memory as swap.

use std::{
    ffi::OsStr,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, Result};

use super::{
    program::run,
    zram_disk::{add, remove},
};
use crate::environment::{Cleanup, on_exit};

/// Swap on a zram device of its own, taken away on drop.
#[derive(Debug)]
pub struct ZramSwap {
    _cleanup: Cleanup,
}

impl ZramSwap {
    /// Makes it, for so many bytes of swapped pages.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where the kernel has no zram, or there are no programs for swap.
    pub fn new(size_bytes: u64) -> Result<Self> {
        let number = Arc::new(Mutex::new(None::<u32>));
        let cleanup = on_exit({
            let number = Arc::clone(&number);
            move || {
                if let Some(number) = number.lock().ok().and_then(|number| *number) {
                    let _ = run("swapoff", [node(number).as_os_str()]);
                    remove(number);
                }
            }
        });
        let added = add()?;
        if let Ok(mut number) = number.lock() {
            *number = Some(added);
        }
        let path = format!("/sys/block/zram{added}/disksize");
        fs::write(&path, size_bytes.to_string())
            .with_context(|| format!("write {size_bytes} to {path}"))?;
        let node = node(added);
        run("mkswap", [node.as_os_str()])?;
        run("swapon", [OsStr::new("--priority=100"), node.as_os_str()])?;
        Ok(Self { _cleanup: cleanup })
    }
}

fn node(number: u32) -> PathBuf {
    PathBuf::from(format!("/dev/zram{number}"))
}
