//! Member offsets and enumerators from the kernel's BTF.
//!
//! Rust emits no CO-RE relocations, so the loader looks up what the programs need and hands it to them as
//! constants. Nothing here depends on a version number: what a kernel lacks is named.

use std::path::Path;

use btf_rs::{Btf, Type};
use tracer_common::settings::{KernelConstants, MemberOffsets};

/// Where the kernel publishes its types.
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Why the kernel's types could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TypesError {
    /// No BTF, or none that can be read.
    #[error(
        "cannot read the kernel's types from {path}: {source}; the tracer needs a kernel built with CONFIG_DEBUG_INFO_BTF=y (every current distribution kernel is)"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// What the parser said.
        source: btf_rs::Error,
    },
    /// A type that this kernel does not have.
    #[error("this kernel's BTF has no {kind} `{name}`; {hint}")]
    MissingType {
        /// `struct`, `enum` or `tracepoint`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What that means.
        hint: &'static str,
    },
    /// A member that this kernel's type does not have.
    #[error(
        "this kernel's `struct {structure}` has no member `{member}` that the tracer could read"
    )]
    MissingMember {
        /// The struct.
        structure: &'static str,
        /// The member.
        member: &'static str,
    },
}

const UNSUPPORTED: &str = "this kernel is not supported yet";

/// The kernel's types.
pub struct KernelTypes {
    btf: Btf,
}

impl KernelTypes {
    /// Reads the running kernel's BTF.
    ///
    /// # Errors
    /// [`TypesError::Unreadable`] where there is none.
    pub fn of_running_kernel() -> Result<Self, TypesError> {
        Self::from_path(Path::new(KERNEL_BTF))
    }

    /// Reads BTF from a file.
    ///
    /// # Errors
    /// [`TypesError::Unreadable`] where there is none.
    pub fn from_path(path: &Path) -> Result<Self, TypesError> {
        Btf::from_file(path)
            .map(|btf| Self { btf })
            .map_err(|source| TypesError::Unreadable {
                path: path.display().to_string(),
                source,
            })
    }

    /// Number of arguments of a tracepoint, without the context that comes first: the parameters of
    /// `btf_trace_<name>`. None where the kernel has no such tracepoint.
    #[must_use]
    pub fn tracepoint_arguments(&self, name: &str) -> Option<usize> {
        let types = self
            .btf
            .resolve_types_by_name(&format!("btf_trace_{name}"))
            .ok()?;
        types.into_iter().find_map(|candidate| {
            let Type::Typedef(definition) = candidate else {
                return None;
            };
            self.btf
                .chained_type_iter(&definition)
                .find_map(|target| match target {
                    Type::FuncProto(prototype) => {
                        Some(prototype.parameters.len().saturating_sub(1))
                    }
                    _ => None,
                })
        })
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

    /// Whether the kernel skips a program on a tracepoint's or function's own hook that would interrupt itself. What tells
    /// it is `bpf_prog.active`, which came with the skipping and just before the count of it (Linux 5.12, commits
    /// ca06f55b9002 and 9ed9e9ba2337): before, such programs always ran.
    #[must_use]
    pub fn can_skip(&self) -> bool {
        self.member("bpf_prog", "active").is_ok()
    }

    /// Offsets of the members that the programs read.
    ///
    /// # Errors
    /// The first member or struct that this kernel lacks.
    pub fn members(&self) -> Result<MemberOffsets, TypesError> {
        Ok(MemberOffsets {
            request_queue: self.member("request", "q")?,
            request_hardware_context: self.member("request", "mq_hctx")?,
            request_command_flags: self.member("request", "cmd_flags")?,
            request_tag: self.member("request", "tag")?,
            request_internal_tag: self.member("request", "internal_tag")?,
            request_data_length: self.member("request", "__data_len")?,
            request_sector: self.member("request", "__sector")?,
            request_deadline: self.member("request", "deadline")?,
            queue_disk: match self.disk_in_request()? {
                Some(offset) => offset,
                None => self.member("request_queue", "disk")?,
            },
            disk_major: self.member("gendisk", "major")?,
            disk_first_minor: self.member("gendisk", "first_minor")?,
            hardware_context_number: self.member("blk_mq_hw_ctx", "queue_num")?,
            folio_flags: self.folio_or_page("flags")?,
            folio_order: self.folio_order()?,
            folio_mapping: self.folio_or_page("mapping")?,
            folio_index: self.folio_or_page("index")?,
            mapping_host: self.member("address_space", "host")?,
            inode_number: self.member("inode", "i_ino")?,
            inode_superblock: self.member("inode", "i_sb")?,
            superblock_device: self.member("super_block", "s_dev")?,
            task_flags: self.member("task_struct", "flags")?,
            task_thread_id: self.member("task_struct", "pid")?,
            task_process_id: self.member("task_struct", "tgid")?,
            // Linux 5.14 renamed it (commit 2f064a59a11f).
            task_state: self
                .member("task_struct", "__state")
                .or_else(|_| self.member("task_struct", "state"))?,
            task_in_iowait: self.bit("task_struct", "in_iowait")?.0,
            request_bio: self.member("request", "bio")?,
            bio_vectors: self.member("bio", "bi_io_vec")?,
            vector_page: self.member("bio_vec", "bv_page")?,
            // Renamed in Linux 7.
            page_compound_head: self
                .member("page", "compound_head")
                .or_else(|_| self.member("page", "compound_info"))?,
            superblock_magic: self.member("super_block", "s_magic")?,
            bio_block_device: match self.disk_in_bio()? {
                Some(offset) => offset,
                None => self.member("bio", "bi_bdev")?,
            },
            block_device_disk: self.member("block_device", "bd_disk")?,
            bio_operation: self.member("bio", "bi_opf")?,
            bio_sector: self.member("bio", "bi_iter")? + self.member("bvec_iter", "bi_sector")?,
            bio_bytes: self.member("bio", "bi_iter")? + self.member("bvec_iter", "bi_size")?,
            bio_status: self.member("bio", "bi_status")?,
            fault_area: self.member("vm_fault", "vma")?,
            fault_page: self.member("vm_fault", "pgoff")?,
            area_file: self.member("vm_area_struct", "vm_file")?,
            file_mapping: self.member("file", "f_mapping")?,
        })
    }

    /// Values of the enumerators that the programs compare with.
    ///
    /// # Errors
    /// The first enumerator that this kernel lacks.
    pub fn constants(&self) -> Result<KernelConstants, TypesError> {
        // Linux 6.1 renamed req_opf to req_op.
        let operations = ["req_op", "req_opf"];
        let flags = ["req_flag_bits"];
        let arguments =
            self.tracepoint_arguments("block_rq_issue")
                .ok_or_else(|| TypesError::MissingType {
                    kind: "tracepoint",
                    name: "block_rq_issue".to_owned(),
                    hint: "the tracer needs CONFIG_BLOCK and CONFIG_TRACEPOINTS",
                })?;
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
            request_argument: u32::from(arguments > 1),
            flag_swap: self
                .enumerator(&flags, "__REQ_SWAP")
                .map_or(0, |bit| 1 << bit),
            in_iowait_mask: self.bit("task_struct", "in_iowait")?.1,
            // Each lost its queue with a54895fa057c too, in Linux 5.11; block_getrq also lost the direction.
            queued_bio_argument: self.argument_after_queue("block_bio_queue", 1),
            allocated_bio_argument: self.argument_after_queue("block_getrq", 1),
            inserted_request_argument: self.argument_after_queue("block_rq_insert", 1),
            remapped_bio_argument: self.argument_after_queue("block_bio_remap", 3),
            disk_in_request: u32::from(self.disk_in_request()?.is_some()),
            disk_in_bio: u32::from(self.disk_in_bio()?.is_some()),
            reserved: 0,
        })
    }

    /// Position of what a tracepoint is about: 0, or 1 where the queue comes first, and there are more arguments than
    /// `without_queue`.
    fn argument_after_queue(&self, tracepoint: &str, without_queue: usize) -> u32 {
        u32::from(
            self.tracepoint_arguments(tracepoint)
                .is_some_and(|arguments| arguments > without_queue),
        )
    }

    /// Offset of `request.rq_disk`, where a request names its disk itself: before Linux 5.17 (commit f3fa33acca9f).
    fn disk_in_request(&self) -> Result<Option<u32>, TypesError> {
        self.older_member("request", "rq_disk")
    }

    /// Offset of `bio.bi_disk`, where a bio names its disk itself: before Linux 5.12 (commit 309dca309fc3).
    fn disk_in_bio(&self) -> Result<Option<u32>, TypesError> {
        self.older_member("bio", "bi_disk")
    }

    /// Offset of a member that only older kernels have.
    fn older_member(
        &self,
        structure: &'static str,
        member: &'static str,
    ) -> Result<Option<u32>, TypesError> {
        match self.member(structure, member) {
            Ok(offset) => Ok(Some(offset)),
            Err(TypesError::MissingMember { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A member of `struct folio`, or of `struct page` where there are no folios (before Linux 5.16).
    fn folio_or_page(&self, member: &'static str) -> Result<u32, TypesError> {
        match self.member("folio", member) {
            Err(TypesError::MissingType { .. }) => self.member("page", member),
            found => found,
        }
    }

    /// Where a large folio's order is. Linux 6.6 moved it into the lowest byte of `_flags_1`, which was there before;
    /// before `_folio_order` (Linux 6.1) it is in the second page.
    fn folio_order(&self) -> Result<u32, TypesError> {
        self.member("folio", "_folio_order")
            .or_else(|_| self.member("folio", "_flags_1"))
            .or_else(|_| Ok(self.size_of("page")? + self.member("page", "compound_order")?))
    }

    fn size_of(&self, structure: &'static str) -> Result<u32, TypesError> {
        self.btf
            .resolve_types_by_name(structure)
            .unwrap_or_default()
            .into_iter()
            .find_map(|candidate| match candidate {
                Type::Struct(definition) => u32::try_from(definition.size()).ok(),
                _ => None,
            })
            .ok_or_else(|| TypesError::MissingType {
                kind: "struct",
                name: structure.to_owned(),
                hint: UNSUPPORTED,
            })
    }

    /// Byte offset of a member, also of one inside anonymous structs and unions.
    fn member(&self, structure: &'static str, member: &'static str) -> Result<u32, TypesError> {
        let types = self
            .btf
            .resolve_types_by_name(structure)
            .unwrap_or_default();
        let mut found = false;
        for candidate in types {
            if let Type::Struct(definition) = candidate {
                found = true;
                if let Some(bits) = self.member_bits(&definition, member)
                    && bits.is_multiple_of(8)
                {
                    return Ok(bits / 8);
                }
            }
        }
        if found {
            Err(TypesError::MissingMember { structure, member })
        } else {
            Err(TypesError::MissingType {
                kind: "struct",
                name: structure.to_owned(),
                hint: UNSUPPORTED,
            })
        }
    }

    /// Byte offset of a bit field of one bit, and its mask in that byte.
    fn bit(&self, structure: &'static str, member: &'static str) -> Result<(u32, u32), TypesError> {
        self.btf
            .resolve_types_by_name(structure)
            .unwrap_or_default()
            .into_iter()
            .find_map(|candidate| match candidate {
                Type::Struct(definition) => self.member_bits(&definition, member),
                _ => None,
            })
            // Bits are numbered from the least significant one on the little-endian machines this builds for.
            .map(|bits| (bits / 8, 1 << (bits % 8)))
            .ok_or(TypesError::MissingMember { structure, member })
    }

    fn member_bits(&self, structure: &btf_rs::Struct, wanted: &str) -> Option<u32> {
        structure.members.iter().find_map(|member| {
            let name = self.btf.resolve_name(member).unwrap_or_default();
            if name == wanted {
                return Some(member.bit_offset());
            }
            if !name.is_empty() {
                return None;
            }
            // Through a qualifier, such as the `const struct` in `struct vm_fault`.
            self.btf
                .chained_type_iter(member)
                .find_map(|target| match target {
                    Type::Struct(inner) | Type::Union(inner) => self
                        .member_bits(&inner, wanted)
                        .map(|bits| member.bit_offset() + bits),
                    _ => None,
                })
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
            kind: "enumerator",
            name: wanted.to_owned(),
            hint: UNSUPPORTED,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{KernelTypes, TypesError};
    use std::path::Path;

    #[test]
    fn a_file_that_is_no_btf_is_named() {
        let Err(error) = KernelTypes::from_path(Path::new("/dev/null")) else {
            panic!("an empty file is no BTF");
        };
        assert!(matches!(error, TypesError::Unreadable { .. }));
        assert!(error.to_string().contains("/dev/null"));
    }
}
