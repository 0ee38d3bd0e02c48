//! Pages of the model that the engine needs no more once it has loaded: what it has copied to a GPU, into another layout
//! or into memory of its own. They may lie in the page cache all the same.

use crate::{schema::RunRecord, stats::formulas::dead_bytes, units::bytes};

/// How much of what was cached is dead, and a sentence that says so.
pub fn add_dead_pages(record: &mut RunRecord) {
    let Some(copied) = record.engine.copied_weights_bytes else {
        record.notes.extend(asked_for_offload(&record.command));
        return;
    };
    let Some(model) = &mut record.single else {
        return;
    };
    let size = model.model.size_bytes;
    let dead = |cached: Option<u64>| dead_bytes(cached?, size, copied);
    model.cache.load_end_dead_bytes = dead(model.cache.load_end_bytes);
    model.cache.after_dead_bytes = dead(model.cache.after_bytes);
    let most = [
        (
            "at the load's end",
            model.cache.load_end_dead_bytes,
            model.cache.load_end_bytes,
        ),
        (
            "after the run",
            model.cache.after_dead_bytes,
            model.cache.after_bytes,
        ),
    ]
    .into_iter()
    .filter_map(|(when, dead, cached)| Some((dead.filter(|dead| *dead > 0)?, cached?, when)))
    .next();
    let Some((dead, cached, when)) = most else {
        return;
    };
    let where_to = match (
        record.engine.offloaded_layers,
        record.engine.layers,
        record.engine.offloaded_weights_bytes,
    ) {
        (Some(layers), Some(all), Some(offloaded)) if offloaded > 0 => {
            format!(
                " ({layers} of {all} layers, {}, on a GPU)",
                bytes(offloaded)
            )
        }
        (_, _, Some(offloaded)) if offloaded > 0 => format!(" ({} on a GPU)", bytes(offloaded)),
        _ => String::new(),
    };
    record.notes.push(format!(
        "by its log the engine has copied {} of the weights out of the file{where_to}, and does not use their pages again: of the {} that were cached {when}, at least {} are such pages. They make the next load faster; this engine does not need them",
        bytes(copied),
        bytes(cached),
        bytes(dead)
    ));
}

/// What the command says of a GPU, where the log said nothing of buffers.
fn asked_for_offload(command: &[String]) -> Option<String> {
    const OPTIONS: [&str; 3] = ["-ngl", "--gpu-layers", "--n-gpu-layers"];
    let asked = command.iter().enumerate().find_map(|(index, argument)| {
        let (option, value) = match argument.split_once('=') {
            Some((option, value)) => (option, Some(value)),
            None => (
                argument.as_str(),
                command.get(index + 1).map(String::as_str),
            ),
        };
        let value = value.filter(|_| OPTIONS.contains(&option))?;
        (value != "0").then(|| format!("{option} {value}"))
    })?;
    Some(format!(
        "the command asks for layers on a GPU ({asked}), and the log does not say how much of the model that is (llama.cpp: -lv 4): what is on a GPU is not used from the page cache again, so what is cached is not what is needed"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        process::{EngineLogParser, OutputStream},
        run::watch::weights::add_places_of_weights,
        schema::{EngineRecord, ModelRecord},
    };

    const MIB: u64 = 1 << 20;

    fn said(log: &str) -> EngineRecord {
        let mut parser = EngineLogParser::new();
        for line in log.lines() {
            parser.line(OutputStream::Stderr, line.as_bytes());
        }
        let mut record = EngineRecord::default();
        add_places_of_weights(&mut record, parser.buffers(), parser.offloaded_layers());
        record
    }

    fn run(engine: EngineRecord, cached: Option<u64>) -> RunRecord {
        let mut model = ModelRecord::default();
        model.model.size_bytes = 1000 * MIB;
        model.cache.after_bytes = cached;
        let mut run = RunRecord {
            single: Some(model),
            engine,
            ..RunRecord::default()
        };
        add_dead_pages(&mut run);
        run
    }

    fn after(run: &RunRecord) -> Option<u64> {
        run.single.as_ref()?.cache.after_dead_bytes
    }

    const PARTLY: &str = "llama_model_loader: loaded meta data with 26 key-value pairs and 291 tensors from /m.gguf (version GGUF V3 (latest))
load_tensors: offloading 20 repeating layers to GPU
load_tensors: offloaded 20/33 layers to GPU
load_tensors:        CUDA0 model buffer size =   600.00 MiB
load_tensors:   CPU_Mapped model buffer size =   390.00 MiB
llama_kv_cache:      CUDA0 KV buffer size =   100.00 MiB";

    #[test]
    fn what_is_on_a_gpu_is_cached_and_not_needed() {
        let engine = said(PARTLY);
        assert_eq!(
            (engine.offloaded_layers, engine.layers),
            (Some(20), Some(33))
        );
        assert_eq!(engine.offloaded_weights_bytes, Some(600 * MIB));
        // 400 MiB of the file are needed at most: of 900 that are cached, 500 are not.
        let whole = run(engine.clone(), Some(900 * MIB));
        assert_eq!(after(&whole), Some(500 * MIB));
        assert!(
            whole.notes[0].contains("600.00 MiB of the weights out of the file (20 of 33 layers, 600.00 MiB, on a GPU)")
                && whole.notes[0].contains("of the 900.00 MiB that were cached after the run, at least 500.00 MiB are such pages"),
            "{:?}",
            whole.notes
        );
        // What is cached may all be what is needed.
        let part = run(engine.clone(), Some(300 * MIB));
        assert_eq!((after(&part), part.notes.len()), (Some(0), 0));
        assert_eq!(after(&run(engine, None)), None);
    }

    #[test]
    fn copies_in_host_memory_are_dead_too_and_not_on_a_gpu() {
        let engine = said(
            "load_tensors:   CPU_Mapped model buffer size = 990.00 MiB
load_tensors:   CPU_REPACK model buffer size = 300.00 MiB
load_tensors:    CUDA_Host model buffer size = 50.00 MiB",
        );
        assert_eq!(engine.copied_weights_bytes, Some(350 * MIB));
        assert_eq!(engine.offloaded_weights_bytes, Some(0));
        assert_eq!(engine.offloaded_layers, None);
        let run = run(engine, Some(1000 * MIB));
        assert_eq!(after(&run), Some(350 * MIB));
        assert!(!run.notes[0].contains("GPU"), "{:?}", run.notes);
    }

    #[test]
    fn a_draft_model_beside_it_leaves_both_unknown() {
        let draft = PARTLY.replace("/m.gguf", "/draft.gguf");
        let engine = said(&format!("{PARTLY}\n{draft}"));
        assert_eq!(
            (engine.offloaded_layers, engine.copied_weights_bytes),
            (None, None)
        );
        assert_eq!(after(&run(engine, Some(900 * MIB))), None);
    }

    #[test]
    fn a_command_that_asks_for_a_gpu_is_said_where_the_log_is_silent() {
        let note = |arguments: &[&str]| {
            let command: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            asked_for_offload(&command)
        };
        assert!(
            note(&["llama-server", "-m", "m.gguf", "-ngl", "99"])
                .is_some_and(|note| note.contains("(-ngl 99)"))
        );
        assert!(note(&["llama-cli", "--n-gpu-layers=all"]).is_some());
        assert_eq!(note(&["llama-cli", "-ngl", "0"]), None);
        assert_eq!(note(&["llama-cli", "-ngl"]), None);
    }
}
