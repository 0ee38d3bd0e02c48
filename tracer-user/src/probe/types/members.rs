//! Offsets of the members that the programs read, each checked for what the programs take it for.

use btf_rs::Type;
use tracer_common::settings::MemberOffsets;

use super::{
    KernelTypes, TypesError, UNSUPPORTED,
    value::{Kind, Value},
};

/// A member of a struct.
struct Place {
    bits: u32,
    kind: Kind,
}

/// A name that a member has had, and what it was then.
type Name = (&'static str, Value);

impl KernelTypes {
    /// Offsets of the members that the programs read.
    ///
    /// # Errors
    /// The first struct or member that this kernel lacks, or that is not what the programs load.
    pub fn members(&self) -> Result<MemberOffsets, TypesError> {
        use Value::{Integer, LowestOf, Pointer, Signed};
        let folio = self.folio_structure();
        let bio_position = self.structure_inside("bio", "bi_iter")?;
        Ok(MemberOffsets {
            request_queue: self.member("request", "q", Pointer("request_queue"))?,
            request_hardware_context: self.member(
                "request",
                "mq_hctx",
                Pointer("blk_mq_hw_ctx"),
            )?,
            request_command_flags: self.member("request", "cmd_flags", Integer(4))?,
            request_tag: self.member("request", "tag", Signed(4))?,
            request_internal_tag: self.member("request", "internal_tag", Signed(4))?,
            request_data_length: self.member("request", "__data_len", Integer(4))?,
            request_sector: self.member("request", "__sector", Integer(8))?,
            request_deadline: self.member("request", "deadline", Integer(8))?,
            request_start_time: self.member("request", "start_time_ns", Integer(8))?,
            queue_disk: match self.disk_in_request()? {
                Some(offset) => offset,
                None => self.member("request_queue", "disk", Pointer("gendisk"))?,
            },
            disk_major: self.member("gendisk", "major", Integer(4))?,
            disk_first_minor: self.member("gendisk", "first_minor", Integer(4))?,
            hardware_context_number: self.member("blk_mq_hw_ctx", "queue_num", Integer(4))?,
            folio_flags: self.member(folio, "flags", Integer(8))?,
            folio_order: self.folio_order()?,
            folio_mapping: self.member(folio, "mapping", Pointer("address_space"))?,
            folio_index: self.member(folio, "index", Integer(8))?,
            mapping_host: self.member("address_space", "host", Pointer("inode"))?,
            inode_number: self.member("inode", "i_ino", Integer(8))?,
            inode_superblock: self.member("inode", "i_sb", Pointer("super_block"))?,
            superblock_device: self.member("super_block", "s_dev", Integer(4))?,
            task_flags: self.member("task_struct", "flags", Integer(4))?,
            task_thread_id: self.member("task_struct", "pid", Integer(4))?,
            task_process_id: self.member("task_struct", "tgid", Integer(4))?,
            // Linux 5.14 renamed it, and made it shorter (commit 2f064a59a11f). The states are in the lowest bits.
            task_state: self.first_of(
                "task_struct",
                &[("__state", Integer(4)), ("state", LowestOf(&[8]))],
            )?,
            task_in_iowait: self.in_iowait()?.0,
            task_run_time: if self.hides_from_process_1() {
                self.structure_inside("task_struct", "se")?
                    .saturating_add(self.member("sched_entity", "sum_exec_runtime", Integer(8))?)
            } else {
                0
            },
            task_read_calls: self.read_calls()?.unwrap_or(0),
            request_bio: self.member("request", "bio", Pointer("bio"))?,
            bio_vectors: self.member("bio", "bi_io_vec", Pointer("bio_vec"))?,
            vector_page: self.member("bio_vec", "bv_page", Pointer("page"))?,
            // Renamed in Linux 7.
            page_compound_head: self.first_of(
                "page",
                &[("compound_head", Integer(8)), ("compound_info", Integer(8))],
            )?,
            superblock_magic: self.member("super_block", "s_magic", Integer(8))?,
            bio_block_device: match self.disk_in_bio()? {
                Some(offset) => offset,
                None => self.member("bio", "bi_bdev", Pointer("block_device"))?,
            },
            block_device_disk: self.member("block_device", "bd_disk", Pointer("gendisk"))?,
            bio_operation: self.member("bio", "bi_opf", Integer(4))?,
            bio_sector: bio_position.saturating_add(self.member(
                "bvec_iter",
                "bi_sector",
                Integer(8),
            )?),
            bio_bytes: bio_position.saturating_add(self.member(
                "bvec_iter",
                "bi_size",
                Integer(4),
            )?),
            bio_status: self.member("bio", "bi_status", Integer(1))?,
            fault_area: self.member("vm_fault", "vma", Pointer("vm_area_struct"))?,
            fault_page: self.member("vm_fault", "pgoff", Integer(8))?,
            area_file: self.member("vm_area_struct", "vm_file", Pointer("file"))?,
            file_mapping: self.member("file", "f_mapping", Pointer("address_space"))?,
        })
    }

    /// The byte that holds `task_struct.in_iowait`, and its mask in it.
    pub(super) fn in_iowait(&self) -> Result<(u32, u32), TypesError> {
        let bits = self.member_bits("task_struct", "in_iowait", Value::Bit)?;
        // Bits are numbered from the least significant one on the little-endian machines this builds for.
        Ok((bits / 8, 1 << (bits % 8)))
    }

    /// Offset of `task_struct.ioac.syscr`, where the kernel counts calls (`CONFIG_TASK_XACCT`).
    fn read_calls(&self) -> Result<Option<u32>, TypesError> {
        let count = known(self.member("task_io_accounting", "syscr", Value::Integer(8)))?;
        let accounting = known(self.structure_inside("task_struct", "ioac"))?;
        Ok(count
            .zip(accounting)
            .map(|(count, accounting)| accounting.saturating_add(count)))
    }

    /// Whether the kernel counts each thread's calls of `read()`: by these a look-up is known to be of the call that waited.
    #[must_use]
    pub fn counts_read_calls(&self) -> bool {
        self.read_calls().is_ok_and(|offset| offset.is_some())
    }

    /// Offset of `request.rq_disk`, where a request names its disk itself: before Linux 5.17 (commit f3fa33acca9f).
    pub(super) fn disk_in_request(&self) -> Result<Option<u32>, TypesError> {
        known(self.member("request", "rq_disk", Value::Pointer("gendisk")))
    }

    /// Offset of `bio.bi_disk`, where a bio names its disk itself: before Linux 5.12 (commit 309dca309fc3).
    pub(super) fn disk_in_bio(&self) -> Result<Option<u32>, TypesError> {
        known(self.member("bio", "bi_disk", Value::Pointer("gendisk")))
    }

    /// The byte with a large folio's order. Linux 6.6 moved it into the lowest byte of `_flags_1`, which was there before;
    /// before `_folio_order` (Linux 6.1) it is in the second page.
    fn folio_order(&self) -> Result<u32, TypesError> {
        let names = [
            ("_folio_order", Value::Integer(1)),
            ("_flags_1", Value::LowestOf(&[8])),
        ];
        match known(self.first_of("folio", &names))? {
            Some(offset) => Ok(offset),
            None => {
                let order = self.member("page", "compound_order", Value::Integer(1))?;
                Ok(self.size_of("page")?.saturating_add(order))
            }
        }
    }

    /// Whether the kernel skips a program on a tracepoint's or function's own hook that would interrupt itself. What tells
    /// it is `bpf_prog.active`, which came with the skipping and just before the count of it (Linux 5.12, commits
    /// ca06f55b9002 and 9ed9e9ba2337): before, such programs always ran.
    #[must_use]
    pub fn can_skip(&self) -> bool {
        // Whatever it is.
        self.place("bpf_prog", "active", Value::Bit).is_ok()
    }

    /// Whether the kernel shows no event to programs while a thread of process 1 runs: a patch that is in no kernel of
    /// kernel.org adds `bpf_prog_aux.init_owned`, and returns before a program, uncounted, where it is not set.
    #[must_use]
    pub fn hides_from_process_1(&self) -> bool {
        // Whatever it is.
        self.place("bpf_prog_aux", "init_owned", Value::Bit).is_ok()
    }

    /// Whether a program of this kernel has a stack of its own, and not what is left of the one that it interrupted: from Linux
    /// 6.13 on (`bpf_prog_aux.jits_use_priv_stack`), where the processor's JIT can do it.
    #[must_use]
    pub fn has_stacks_of_programs(&self) -> bool {
        // Whatever it is. The JIT of 64-bit Arm has had it since Linux 6.17 only.
        cfg!(target_arch = "x86_64")
            && self
                .place("bpf_prog_aux", "jits_use_priv_stack", Value::Bit)
                .is_ok()
    }

    /// The first member that the struct has.
    fn first_of(&self, structure: &'static str, names: &[Name]) -> Result<u32, TypesError> {
        for (name, value) in names {
            match self.member(structure, name, *value) {
                Err(TypesError::MissingMember { .. }) => {}
                answer => return answer,
            }
        }
        let join = |words: Vec<String>| words.join(" or ");
        Err(TypesError::MissingMember {
            kernel: self.kernel.clone(),
            structure,
            member: join(names.iter().map(|(name, _)| (*name).to_owned()).collect()),
            expected: join(names.iter().map(|(_, value)| value.to_string()).collect()),
        })
    }

    /// Byte offset of a member, also of one inside anonymous structs and unions.
    fn member(
        &self,
        structure: &'static str,
        member: &'static str,
        value: Value,
    ) -> Result<u32, TypesError> {
        let bits = self.member_bits(structure, member, value)?;
        Ok(bits / 8)
    }

    fn member_bits(
        &self,
        structure: &'static str,
        member: &'static str,
        value: Value,
    ) -> Result<u32, TypesError> {
        let place = self.place(structure, member, value)?;
        if self.fits(value, &place.kind) && (value == Value::Bit || place.bits.is_multiple_of(8)) {
            Ok(place.bits)
        } else {
            Err(TypesError::UnexpectedMember {
                kernel: self.kernel.clone(),
                structure,
                member,
                found: place.kind.to_string(),
                expected: value.to_string(),
            })
        }
    }

    /// Offset of a struct of its own inside another one.
    fn structure_inside(
        &self,
        structure: &'static str,
        member: &'static str,
    ) -> Result<u32, TypesError> {
        let mut structures = self.structures(structure).peekable();
        if structures.peek().is_none() {
            return Err(self.missing_structure(structure));
        }
        for definition in structures {
            for found in &definition.members {
                if self
                    .btf
                    .resolve_name(found)
                    .is_ok_and(|name| name == member)
                {
                    return Ok(found.bit_offset() / 8);
                }
            }
        }
        Err(self.missing_member(structure, member, "a struct".to_owned()))
    }

    fn place(
        &self,
        structure: &'static str,
        member: &'static str,
        value: Value,
    ) -> Result<Place, TypesError> {
        let mut structures = self.structures(structure).peekable();
        if structures.peek().is_none() {
            return Err(self.missing_structure(structure));
        }
        structures
            .find_map(|definition| self.place_in(&definition, member))
            .ok_or_else(|| self.missing_member(structure, member, value.to_string()))
    }

    fn place_in(&self, structure: &btf_rs::Struct, wanted: &str) -> Option<Place> {
        structure.members.iter().find_map(|member| {
            let name = self.btf.resolve_name(member).unwrap_or_default();
            if name == wanted {
                return Some(Place {
                    bits: member.bit_offset(),
                    kind: match member.bitfield_size() {
                        None | Some(0) => self.kind_of(member),
                        Some(bits) => Kind::Bits(bits),
                    },
                });
            }
            if !name.is_empty() {
                return None;
            }
            // Through a qualifier, such as the `const struct` in `struct vm_fault`.
            self.btf
                .chained_type_iter(member)
                .find_map(|target| match target {
                    Type::Struct(inner) | Type::Union(inner) => {
                        self.place_in(&inner, wanted).map(|place| Place {
                            bits: member.bit_offset().saturating_add(place.bits),
                            ..place
                        })
                    }
                    _ => None,
                })
        })
    }

    fn size_of(&self, structure: &'static str) -> Result<u32, TypesError> {
        self.structures(structure)
            .find_map(|definition| u32::try_from(definition.size()).ok())
            .ok_or_else(|| self.missing_structure(structure))
    }

    fn missing_structure(&self, structure: &str) -> TypesError {
        TypesError::MissingType {
            kernel: self.kernel.clone(),
            kind: "struct",
            name: structure.to_owned(),
            hint: UNSUPPORTED,
        }
    }

    fn missing_member(
        &self,
        structure: &'static str,
        member: &'static str,
        expected: String,
    ) -> TypesError {
        TypesError::MissingMember {
            kernel: self.kernel.clone(),
            structure,
            member: member.to_owned(),
            expected,
        }
    }
}

/// None where the kernel has no such type or member.
fn known(answer: Result<u32, TypesError>) -> Result<Option<u32>, TypesError> {
    match answer {
        Ok(offset) => Ok(Some(offset)),
        Err(TypesError::MissingMember { .. } | TypesError::MissingType { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
