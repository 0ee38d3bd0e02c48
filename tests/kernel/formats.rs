//! Layout of the tracepoints: BTF, the `format` files and the formats that other kernels were seen with.
//!
//! BTF is read here with the same library as in the tracer, and with none of its code; the format files come from
//! another part of the kernel.

use std::{collections::BTreeMap, fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use btf_rs::{Btf, BtfType, Member, Type};
use tests::{
    environment::unavailable,
    reader::RunningProgram,
    reference::{FormatField, fields_of, format_of, has_tracepoint},
    tracer,
};

use crate::ground::{Case, Ground, case};

/// A tracepoint that the tracer attaches to.
struct Tracepoint {
    /// Folder and name below `events`.
    path: &'static str,
    /// Names of its record in BTF, without `trace_event_raw_`; the first that this kernel has.
    records: &'static [&'static str],
    /// Its arguments on the kernels that are known, first those of new kernels. `*name` is a pointer to a struct, a number
    /// the bytes of an integer. Empty where the programs read none: they come and go.
    arguments: &'static [&'static [&'static str]],
}

const fn tracepoint(
    path: &'static str,
    records: &'static [&'static str],
    arguments: &'static [&'static [&'static str]],
) -> Tracepoint {
    Tracepoint {
        path,
        records,
        arguments,
    }
}

const REQUEST: &[&[&str]] = &[&["*request"], &["*request_queue", "*request"]];
const BIO: &[&[&str]] = &[&["*bio"], &["*request_queue", "*bio"]];
const FOLIO: &[&[&str]] = &[&["*folio"], &["*page"]];
const PAGES: &[&[&str]] = &[&["*address_space", "8", "8"]];

const TRACEPOINTS: [Tracepoint; 20] = [
    tracepoint("block/block_rq_issue", &["block_rq"], REQUEST),
    tracepoint("block/block_rq_insert", &["block_rq"], REQUEST),
    tracepoint("block/block_rq_requeue", &["block_rq_requeue"], REQUEST),
    tracepoint(
        "block/block_rq_complete",
        &["block_rq_completion", "block_rq_complete"],
        &[&["*request", "1", "4"], &["*request", "4", "4"]],
    ),
    tracepoint(
        "block/block_bio_queue",
        &["block_bio", "block_bio_queue"],
        BIO,
    ),
    tracepoint(
        "block/block_bio_complete",
        &["block_bio_complete"],
        &[&["*request_queue", "*bio"]],
    ),
    tracepoint(
        "block/block_getrq",
        &["block_get_rq", "block_bio"],
        &[&["*bio"], &["*request_queue", "*bio", "4"]],
    ),
    tracepoint(
        "block/block_bio_remap",
        &["block_bio_remap"],
        &[&["*bio", "4", "8"], &["*request_queue", "*bio", "4", "8"]],
    ),
    tracepoint(
        "filemap/mm_filemap_add_to_page_cache",
        &["mm_filemap_op_page_cache"],
        FOLIO,
    ),
    tracepoint(
        "filemap/mm_filemap_delete_from_page_cache",
        &["mm_filemap_op_page_cache"],
        FOLIO,
    ),
    tracepoint(
        "filemap/mm_filemap_fault",
        &["mm_filemap_fault"],
        &[&["*address_space", "8"]],
    ),
    tracepoint(
        "filemap/mm_filemap_map_pages",
        &["mm_filemap_op_page_cache_range"],
        PAGES,
    ),
    tracepoint(
        "filemap/mm_filemap_get_pages",
        &["mm_filemap_op_page_cache_range"],
        PAGES,
    ),
    tracepoint(
        "sched/sched_switch",
        &["sched_switch"],
        &[
            &["1", "*task_struct", "*task_struct", "4"],
            &["1", "*task_struct", "*task_struct"],
        ],
    ),
    tracepoint(
        "sched/sched_process_fork",
        &["sched_process_fork"],
        &[&["*task_struct", "*task_struct"]],
    ),
    tracepoint(
        "sched/sched_process_free",
        &["sched_process_template"],
        &[&["*task_struct"]],
    ),
    tracepoint(
        "vmscan/mm_vmscan_direct_reclaim_begin",
        &["mm_vmscan_direct_reclaim_begin_template"],
        &[],
    ),
    tracepoint(
        "vmscan/mm_vmscan_direct_reclaim_end",
        &["mm_vmscan_direct_reclaim_end_template"],
        &[],
    ),
    tracepoint(
        "vmscan/mm_vmscan_memcg_reclaim_begin",
        &["mm_vmscan_direct_reclaim_begin_template"],
        &[],
    ),
    tracepoint(
        "vmscan/mm_vmscan_memcg_reclaim_end",
        &["mm_vmscan_direct_reclaim_end_template"],
        &[],
    ),
];

/// Tracepoints that every kernel has had since 5.10.
const ALWAYS: [&str; 5] = [
    "block/block_rq_issue",
    "block/block_rq_complete",
    "block/block_rq_requeue",
    "filemap/mm_filemap_add_to_page_cache",
    "filemap/mm_filemap_delete_from_page_cache",
];

/// Formats as they were on kernels of Debian, by series.
const RECORDED: [(&str, &str); 5] = [
    (
        "5.10",
        include_str!("../../tracer-user/src/probe/testdata/tracepoint-formats/5.10.0-46.txt"),
    ),
    (
        "6.1",
        include_str!("../../tracer-user/src/probe/testdata/tracepoint-formats/6.1.0-56.txt"),
    ),
    (
        "6.12",
        include_str!("../../tracer-user/src/probe/testdata/tracepoint-formats/6.12.117+deb12.txt"),
    ),
    (
        "6.18",
        include_str!("../../tracer-user/src/probe/testdata/tracepoint-formats/6.18.15+deb13.txt"),
    ),
    (
        "7.3",
        include_str!("../../tracer-user/src/probe/testdata/tracepoint-formats/7.3.4+deb13.txt"),
    ),
];

pub fn cases() -> Vec<Case> {
    vec![
        case("formats::records_are_as_btf_says", |_, _| {
            records_are_as_btf_says()
        }),
        case(
            "formats::arguments_are_as_the_programs_read_them",
            |_, _| arguments_are_known(),
        ),
        case("formats::as_recorded", |_, _| as_recorded()),
        case("formats::doctor_compares_them", |ground, _| {
            doctor_compares_them(ground)
        }),
    ]
}

/// The tracepoints that this kernel has.
fn present() -> Result<Vec<&'static Tracepoint>> {
    for path in ALWAYS {
        ensure!(has_tracepoint(path)?, "this kernel has no {path}");
    }
    let mut present = Vec::new();
    for tracepoint in &TRACEPOINTS {
        if has_tracepoint(tracepoint.path)? {
            present.push(tracepoint);
        }
    }
    Ok(present)
}

fn btf() -> Result<Btf> {
    Btf::from_file("/sys/kernel/btf/vmlinux").context("read the kernel's BTF")
}

fn records_are_as_btf_says() -> Result<()> {
    let btf = btf()?;
    for tracepoint in present()? {
        let expected = record_in_btf(&btf, tracepoint)
            .with_context(|| format!("the record of {}", tracepoint.path))?;
        let format = format_of(tracepoint.path)?;
        let found: BTreeMap<String, (u64, u64)> = format
            .iter()
            .map(|field| {
                (
                    field.name().to_owned(),
                    (field.offset_bytes, field.size_bytes),
                )
            })
            .collect();
        ensure!(
            found == expected,
            "{}: the format file has {found:?}, BTF {expected:?}",
            tracepoint.path
        );
        ensure!(
            found.len() == format.len() && found.len() > 4,
            "{}: {format:?}",
            tracepoint.path
        );
    }
    Ok(())
}

/// Name, offset and size of each field.
fn record_in_btf(btf: &Btf, tracepoint: &Tracepoint) -> Result<BTreeMap<String, (u64, u64)>> {
    let record = tracepoint
        .records
        .iter()
        .find_map(|name| structure(btf, &format!("trace_event_raw_{name}")))
        .with_context(|| format!("BTF has none of {:?}", tracepoint.records))?;
    let mut fields = BTreeMap::new();
    for member in &record.members {
        let name = btf.resolve_name(member)?;
        if name == "ent" {
            let common = structure(btf, "trace_entry").context("no struct trace_entry")?;
            for inner in &common.members {
                let name = format!("common_{}", btf.resolve_name(inner)?);
                fields.insert(name, place(btf, inner)?);
            }
        } else if name != "__data" {
            let name = name.strip_prefix("__data_loc_").unwrap_or(&name);
            fields.insert(name.to_owned(), place(btf, member)?);
        }
    }
    Ok(fields)
}

fn structure(btf: &Btf, name: &str) -> Option<btf_rs::Struct> {
    let types = btf.resolve_types_by_name(name).ok()?;
    types.into_iter().find_map(|found| match found {
        Type::Struct(found) => Some(found),
        _ => None,
    })
}

fn place(btf: &Btf, member: &Member) -> Result<(u64, u64)> {
    Ok((u64::from(member.bit_offset() / 8), size(btf, member)?))
}

/// Size of what a member or an element is, in bytes.
fn size(btf: &Btf, reference: &dyn BtfType) -> Result<u64> {
    let mut target = btf.resolve_chained_type(reference)?;
    loop {
        let size = match &target {
            Type::Int(found) => found.size(),
            Type::Enum(found) => found.size(),
            Type::Struct(found) | Type::Union(found) => found.size(),
            Type::Ptr(_) => 8,
            Type::Array(found) => return Ok(found.len() as u64 * size(btf, found)?),
            other => {
                let next = other.as_btf_type().context("a type without a size")?;
                target = btf.resolve_chained_type(next)?;
                continue;
            }
        };
        return Ok(size as u64);
    }
}

fn arguments_are_known() -> Result<()> {
    let btf = btf()?;
    for tracepoint in present()? {
        let (_, name) = tracepoint.path.split_once('/').context("a path")?;
        let found = arguments(&btf, name).with_context(|| format!("btf_trace_{name}"))?;
        let is_known = tracepoint.arguments.iter().any(|known| {
            known.len() == found.len()
                && known
                    .iter()
                    .zip(&found)
                    .all(|(known, found)| known == found)
        });
        ensure!(
            is_known || tracepoint.arguments.is_empty(),
            "{name} has the arguments {found:?}; known are {:?}",
            tracepoint.arguments
        );
    }
    Ok(())
}

/// Arguments of a tracepoint, without the context: as [`Tracepoint::arguments`].
fn arguments(btf: &Btf, tracepoint: &str) -> Result<Vec<String>> {
    let types = btf.resolve_types_by_name(&format!("btf_trace_{tracepoint}"))?;
    let definition = types
        .into_iter()
        .find_map(|found| match found {
            Type::Typedef(definition) => Some(definition),
            _ => None,
        })
        .context("no such type")?;
    let Type::Ptr(pointer) = btf.resolve_chained_type(&definition)? else {
        bail!("it is no pointer");
    };
    let Type::FuncProto(prototype) = btf.resolve_chained_type(&pointer)? else {
        bail!("it leads to no function");
    };
    prototype
        .parameters
        .iter()
        .skip(1)
        .map(|parameter| {
            let Type::Ptr(pointer) = btf.resolve_chained_type(parameter)? else {
                return Ok(size(btf, parameter)?.to_string());
            };
            let to = btf
                .chained_type_iter(&pointer)
                .find(|target| matches!(target, Type::Struct(_) | Type::Fwd(_)));
            let name = match &to {
                Some(Type::Struct(found)) => btf.resolve_name(found)?,
                Some(Type::Fwd(found)) => btf.resolve_name(found)?,
                _ => "?".to_owned(),
            };
            Ok(format!("*{name}"))
        })
        .collect()
}

/// A kernel of the same series has the formats that another one of it had.
fn as_recorded() -> Result<()> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("ask for the kernel")?;
    let series: Vec<&str> = release.trim().split(['.', '-', '+']).take(2).collect();
    let series = series.join(".");
    let Some((_, recorded)) = RECORDED.iter().find(|(known, _)| *known == series) else {
        return Err(unavailable(format!(
            "no format was recorded on a kernel {series}"
        )));
    };
    let mut compared = 0;
    for part in recorded.split("## ").skip(1) {
        let (path, text) = part.split_once('\n').context("a tracepoint")?;
        let expected: Vec<FormatField> = fields_of(text)?;
        let found = format_of(path)?;
        ensure!(
            found == expected && !found.is_empty(),
            "{path}: this kernel {} has {found:?}, recorded were {expected:?}",
            release.trim()
        );
        compared += 1;
    }
    ensure!(compared >= 4, "only {compared} formats were recorded");
    // What was not there then is not there now.
    for path in [
        "mm_filemap_fault",
        "mm_filemap_map_pages",
        "mm_filemap_get_pages",
    ] {
        ensure!(
            has_tracepoint(&format!("filemap/{path}"))? == recorded.contains(&format!("/{path}\n")),
            "{path} is there on one kernel {series} and not on another"
        );
    }
    Ok(())
}

/// `tracer doctor` makes the same comparison, and says of how many.
fn doctor_compares_them(ground: &Ground) -> Result<()> {
    let present = present()?.len();
    let mut command = Command::new(tracer::binary()?);
    command.arg("doctor");
    let doctor =
        RunningProgram::start(&ground.scratch, command)?.finish(Duration::from_secs(120))?;
    for expected in [
        format!("ok       records of the tracepoints: {present} are as their format files say"),
        "ok       fields that the programs read: all in the kernel's types, with the sizes that the programs load".to_owned(),
    ] {
        ensure!(
            doctor.output.contains(&expected),
            "doctor does not say {expected:?}:\n{}",
            doctor.output
        );
    }
    Ok(())
}
