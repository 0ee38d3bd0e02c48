//! What a tracer takes while nothing happens: CPU time and memory.

use std::{collections::BTreeMap, fs, thread, time::Duration};

use anyhow::{Context as _, Result};

use super::processor_time::ticks_per_second;
use crate::bench::{
    compared::{Rounds, Running, Traced, Turn, Variant, Variants},
    ground::BenchGround,
    record::{Figure, MeasurementRecord, RoundRecord, WorkRecord},
};

/// Measures the tracers, attached to a process that does nothing.
///
/// # Errors
/// A tracer cannot be started, or ends by itself.
pub fn measure_idle(
    ground: &BenchGround<'_>,
    traced: Traced<'_>,
    variants: &Variants,
    rounds: Rounds,
    time: Duration,
) -> Result<MeasurementRecord> {
    let mut tracers = variants.clone();
    tracers
        .list
        .retain(|variant| matches!(variant, Variant::Tracer(_)));
    Ok(MeasurementRecord {
        work: WorkRecord::Idle {
            seconds: time.as_secs(),
            model_bytes: traced.model.metadata()?.len(),
        },
        variants: rounds.take(&tracers, |turn| one_turn(turn, ground, traced, time))?,
    })
}

fn one_turn(
    turn: Turn<'_>,
    ground: &BenchGround<'_>,
    traced: Traced<'_>,
    time: Duration,
) -> Result<RoundRecord> {
    let running = Running::start(turn, ground, traced, &[])?;
    let mut taken = BTreeMap::new();
    if let Some(process_id) = running.process_id() {
        let before = processor_seconds(process_id)?;
        thread::sleep(time);
        let spent = processor_seconds(process_id)? - before;
        taken.insert(
            Figure::IdleProcessorPercent,
            100.0 * spent / time.as_secs_f64(),
        );
        taken.insert(Figure::ResidentBytes, resident_bytes(process_id)? as f64);
        taken.insert(Figure::KernelBytes, kernel_bytes(process_id)? as f64);
    }
    let mut figures = running.finish()?;
    figures.extend(taken);
    Ok(RoundRecord {
        figures,
        ..RoundRecord::default()
    })
}

/// CPU time of a process so far, with the children that it has waited for, seconds.
fn processor_seconds(process_id: u32) -> Result<f64> {
    let path = format!("/proc/{process_id}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let ticks = process_ticks(&text).with_context(|| format!("{path} holds {text:?}"))?;
    Ok(ticks as f64 / ticks_per_second())
}

/// utime, stime, cutime and cstime: fields 14 to 17. The second one is a name in brackets that may hold anything.
fn process_ticks(text: &str) -> Option<u64> {
    let (_, after_name) = text.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    (0..4)
        .map(|_| fields.next()?.parse::<u64>().ok())
        .sum::<Option<u64>>()
}

fn resident_bytes(process_id: u32) -> Result<u64> {
    let path = format!("/proc/{process_id}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .trim()
                .strip_suffix(" kB")?
                .parse::<u64>()
                .ok()
        })
        .map(|kibibytes| kibibytes << 10)
        .with_context(|| format!("{path} has no VmRSS"))
}

/// `memlock` of all maps and programs that a process holds, each once.
fn kernel_bytes(process_id: u32) -> Result<u64> {
    let folder = format!("/proc/{process_id}/fdinfo");
    let mut objects = BTreeMap::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("list {folder}"))? {
        // Closed meanwhile.
        let Ok(text) = entry.and_then(|entry| fs::read_to_string(entry.path())) else {
            continue;
        };
        objects.extend(object_memory(&text));
    }
    Ok(objects.values().sum())
}

/// Which object a descriptor is of, by kind and number, and its memory.
fn object_memory(fdinfo: &str) -> Option<((bool, u32), u64)> {
    let field = |name: &str| {
        fdinfo.lines().find_map(|line| {
            line.strip_prefix(name)?
                .strip_prefix(':')?
                .trim()
                .parse()
                .ok()
        })
    };
    let memory = field("memlock")?;
    let number = |name| field(name).and_then(|number| u32::try_from(number).ok());
    let object = match number("map_id") {
        Some(map) => (true, map),
        None => (false, number("prog_id")?),
    };
    Some((object, memory))
}

#[cfg(test)]
mod tests {
    use super::{object_memory, process_ticks};

    #[test]
    fn a_name_may_hold_brackets_and_numbers() {
        let text = "71 (a) 1 (b) S 1 2 3 4 5 6 7 8 9 10 100 20 3 4 20 0 1";
        assert_eq!(process_ticks(text), Some(127));
        assert_eq!(process_ticks("71 (a) S 1 2"), None);
    }

    #[test]
    fn maps_and_programs_tell_their_memory() {
        let map = "pos:\t0\nmap_type:\t2\nmemlock:\t8192\nmap_id:\t17\n";
        assert_eq!(object_memory(map), Some(((true, 17), 8192)));
        let program = "prog_type:\t26\nmemlock:\t4096\nprog_id:\t17\n";
        assert_eq!(object_memory(program), Some(((false, 17), 4096)));
        assert_eq!(object_memory("link_type:\ttracing\nprog_id:\t17\n"), None);
    }
}
