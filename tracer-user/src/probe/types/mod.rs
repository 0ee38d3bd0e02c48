//! Member offsets and enumerators from the kernel's BTF.
//!
//! Rust emits no CO-RE relocations, so the loader looks up what the programs need and hands it to them as
//! constants. Nothing here depends on a version number: what a kernel lacks is named.

mod arguments;
#[cfg(test)]
mod blob;
mod error;
mod members;
mod record;
mod value;

use std::path::Path;

use btf_rs::{Btf, Struct, Type};
use tracer_common::settings::KernelConstants;

pub use error::TypesError;
pub use value::Value;

/// Where the kernel publishes its types.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

const UNSUPPORTED: &str = "this kernel is not supported yet";
/// Why a kernel's BTF has no `btf_trace_NAME`: the last one makes them (`include/trace/bpf_probe.h`).
pub(super) const NO_TRACEPOINT: &str = "boot a kernel with CONFIG_TRACEPOINTS=y, CONFIG_BLOCK=y and CONFIG_BPF_EVENTS=y (without the last one no eBPF program can sit on a tracepoint by its types, and others lose events)";

/// The kernel's types.
pub struct KernelTypes {
    btf: Btf,
    kernel: String,
}

impl KernelTypes {
    /// Reads the running kernel's BTF.
    ///
    /// # Errors
    /// [`TypesError::Unreadable`] where there is none.
    pub fn of_running_kernel() -> Result<Self, TypesError> {
        Self::from_path(Path::new(KERNEL_BTF), &running_release())
    }

    /// Reads the BTF of the kernel of that release from a file.
    ///
    /// # Errors
    /// [`TypesError::Unreadable`] where there is none.
    pub fn from_path(path: &Path, release: &str) -> Result<Self, TypesError> {
        Btf::from_file(path)
            .map(|btf| Self {
                btf,
                kernel: release.to_owned(),
            })
            .map_err(|source| TypesError::Unreadable {
                kernel: release.to_owned(),
                path: path.display().to_string(),
                source,
            })
    }

    /// The kernel's release.
    #[must_use]
    pub fn kernel(&self) -> &str {
        &self.kernel
    }

    /// Whether the kernel has a function of this name.
    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        self.btf
            .resolve_types_by_name(name)
            .is_ok_and(|types| types.iter().any(|found| matches!(found, Type::Func(_))))
    }

    /// Whether eBPF programs can call a helper, by its name without `bpf_`.
    #[must_use]
    pub fn has_helper(&self, name: &str) -> bool {
        self.enumerator(&["bpf_func_id"], &format!("BPF_FUNC_{name}"))
            .is_ok()
    }

    /// Whether the programs can count each model's reads in the kernel: that takes `bpf_loop`, of Linux 5.17, and
    /// atomics with a result, which came before it (Linux 5.12).
    #[must_use]
    pub fn counts_models(&self) -> bool {
        self.has_helper("loop")
    }

    /// Values of the enumerators that the programs compare with.
    ///
    /// # Errors
    /// The first enumerator that this kernel lacks.
    pub fn constants(&self) -> Result<KernelConstants, TypesError> {
        // Linux 6.1 renamed req_opf to req_op.
        let operations = ["req_op", "req_opf"];
        let flags = ["req_flag_bits"];
        if self.tracepoint_arguments("block_rq_issue").is_none() {
            return Err(self.missing_tracepoint("block_rq_issue"));
        }
        Ok(KernelConstants {
            operation_read: self.enumerator(&operations, "REQ_OP_READ")?,
            operation_write: self.enumerator(&operations, "REQ_OP_WRITE")?,
            operation_flush: self.enumerator(&operations, "REQ_OP_FLUSH")?,
            operation_discard: self.enumerator(&operations, "REQ_OP_DISCARD")?,
            flag_metadata: 1 << self.enumerator(&flags, "__REQ_META")?,
            flag_readahead: 1 << self.enumerator(&flags, "__REQ_RAHEAD")?,
            flag_synchronous: 1 << self.enumerator(&flags, "__REQ_SYNC")?,
            bit_head: self.enumerator(&["pageflags"], "PG_head")?,
            // (rq) since Linux 5.11, (q, rq) before; commit a54895fa057c.
            request_argument: self.first_argument("block_rq_issue")?,
            requeued_argument: self.first_argument("block_rq_requeue")?,
            flag_swap: self
                .enumerator(&flags, "__REQ_SWAP")
                .map_or(0, |bit| 1 << bit),
            in_iowait_mask: self.in_iowait()?.1,
            // Each lost its queue with a54895fa057c too, in Linux 5.11; block_getrq also lost the direction.
            queued_bio_argument: self.first_argument("block_bio_queue")?,
            allocated_bio_argument: self.first_argument("block_getrq")?,
            inserted_request_argument: self.first_argument("block_rq_insert")?,
            remapped_bio_argument: self.first_argument("block_bio_remap")?,
            disk_in_request: u32::from(self.disk_in_request()?.is_some()),
            disk_in_bio: u32::from(self.disk_in_bio()?.is_some()),
        })
    }

    /// The error where a required tracepoint is not there.
    pub(super) fn missing_tracepoint(&self, name: &str) -> TypesError {
        TypesError::MissingType {
            kernel: self.kernel.clone(),
            kind: "tracepoint",
            name: name.to_owned(),
            hint: NO_TRACEPOINT,
        }
    }

    fn structures(&self, name: &str) -> impl Iterator<Item = Struct> {
        self.btf
            .resolve_types_by_name(name)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|candidate| match candidate {
                Type::Struct(definition) => Some(definition),
                _ => None,
            })
    }

    fn enumerator(&self, names: &[&str], wanted: &str) -> Result<u32, TypesError> {
        for name in names {
            for candidate in self.btf.resolve_types_by_name(name).unwrap_or_default() {
                let Type::Enum(definition) = candidate else {
                    continue;
                };
                for member in &definition.members {
                    if self.btf.resolve_name(member).is_ok_and(|own| own == wanted) {
                        return Ok(member.val());
                    }
                }
            }
        }
        Err(TypesError::MissingType {
            kernel: self.kernel.clone(),
            kind: "enumerator",
            name: wanted.to_owned(),
            hint: UNSUPPORTED,
        })
    }
}

fn running_release() -> String {
    nix::sys::utsname::uname().map_or_else(
        |_| "of unknown release".to_owned(),
        |names| names.release().to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::{KernelTypes, TypesError};
    use std::path::Path;

    #[test]
    fn a_file_that_is_no_btf_is_named() {
        let Err(error) = KernelTypes::from_path(Path::new("/dev/null"), "5.0-x") else {
            panic!("an empty file is no BTF");
        };
        assert!(matches!(error, TypesError::Unreadable { .. }));
        assert!(error.to_string().contains("/dev/null") && error.to_string().contains("5.0-x"));
    }
}
