//! Sizes of an engine's buffers, as its log states them: mapped and repacked weights, KV cache, compute buffers.
//!
//! llama.cpp prints one line for each buffer, with two decimals of a MiB, at a verbosity that its server and its newer
//! command-line tools do not have by default (`-lv 4` shows them in builds of 2026). Forms that are read, `<f>` being a
//! function's name (a time stamp, a level letter or a container's prefix may stand before it):
//!
//! ```text
//! load_tensors:   CPU_Mapped model buffer size =  3647.87 MiB      llm_load_tensors:        CPU buffer size =  3647.87 MiB
//! llama_kv_cache:        CPU KV buffer size =  2048.00 MiB         <f>: KV self size  = 2048.00 MiB, K (f16): …
//! sched_reserve:        CPU compute buffer size =   164.01 MiB     llama_kv_cache: size = 2048.00 MiB (  4096 cells, …
//! llama_context:        CPU  output buffer size =     0.12 MiB     llama_memory_recurrent: CPU RS buffer size = …
//! ```
//!
//! A mapped buffer's size is the span from the first to the last tensor in the file that stayed mapped. Tensors in between
//! that were repacked are part of that span too, so mapped + repacked may be more than the file.

use serde::{Deserialize, Serialize};

use super::timing_line::plain_text;

/// Longest text that is looked at as one line, bytes. What is longer is no line of a log.
const LONGEST_LINE_BYTES: usize = 4096;
/// Longest name of a device (`RPC0[host:port]` is among the longer ones), bytes.
const LONGEST_DEVICE_BYTES: usize = 64;
/// Larger than any buffer, MiB (1 PiB). Above it a number is not a size.
const LARGEST_MIB: f64 = (1_u64 << 30) as f64;

/// What a buffer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BufferPurpose {
    /// Weights in memory of the engine's own (anonymous, or on another device).
    Model,
    /// Weights in a mapping of the model file (`CPU_Mapped`): page cache, not anonymous memory.
    Mapped,
    /// Weights copied into another layout (`CPU_REPACK`, before 2025 `CPU_AARCH64`; `AMX`, `CPU_KLEIDIAI`): anonymous.
    Repack,
    Adapter,
    KvCache,
    /// State of recurrent layers (`RS`) and of layers that compress their cache (`… state`).
    RecurrentState,
    Compute,
    /// Inputs of the graph (a buffer of its own in 2024 only).
    Input,
    Output,
}

/// One line that states a buffer's size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BufferLine {
    /// Name of the buffer's kind as printed (`CPU`, `CPU_Mapped`, `CUDA0`), at most 64 bytes. `None` where the line gives
    /// a sum over devices (`KV self size`, `llama_kv_cache: size`).
    pub device: Option<String>,
    /// What it is for.
    pub purpose: BufferPurpose,
    /// Bytes, as exact as two decimals of a MiB are (± 5,243 bytes). 0 is printed for a buffer below that.
    pub bytes: u64,
}

impl BufferLine {
    /// Reads a line of a log (any bytes; colours and the end of the line do no harm). `None` if it states no buffer's size.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        if line.len() > LONGEST_LINE_BYTES {
            return None;
        }
        Self::parse_text(&plain_text(line))
    }

    fn parse_text(text: &str) -> Option<Self> {
        if text.len() > LONGEST_LINE_BYTES {
            return None;
        }
        let (before, bytes) = text.match_indices("size").find_map(|(at, word)| {
            let bytes = size_bytes(text.get(at + word.len()..)?)?;
            Some((text.get(..at)?, bytes))
        })?;
        let mut words = before.split_whitespace().rev();
        let (device, purpose) = match words.next()? {
            "buffer" => Self::buffer(&mut words)?,
            "self" => {
                let kv = words.next()?.eq_ignore_ascii_case("kv");
                (kv && words.next()?.ends_with(':')).then_some((None, BufferPurpose::KvCache))?
            }
            function if function.ends_with(':') && function.contains("kv_cache") => {
                (None, BufferPurpose::KvCache)
            }
            function if function.ends_with(':') && function.contains("memory_recurrent") => {
                (None, BufferPurpose::RecurrentState)
            }
            _ => return None,
        };
        Some(Self {
            device,
            purpose,
            bytes,
        })
    }

    /// `<function>: <device> <purpose>` from its end, the word `buffer` taken off.
    fn buffer<'a>(
        words: &mut impl Iterator<Item = &'a str>,
    ) -> Option<(Option<String>, BufferPurpose)> {
        use BufferPurpose::{Adapter, Compute, Input, KvCache, Model, Output, RecurrentState};
        let word = words.next()?;
        let (device, purpose) = match word {
            "model" => (words.next()?, Model),
            "KV" => (words.next()?, KvCache),
            "compute" => (words.next()?, Compute),
            "input" => (words.next()?, Input),
            "output" => (words.next()?, Output),
            "RS" => (words.next()?, RecurrentState),
            "LoRA" => (words.next()?, Adapter),
            "state" => {
                // `CPU DSV4 csa state buffer`
                let _layers = words.next()?;
                let _family = words.next()?;
                (words.next()?, RecurrentState)
            }
            // Until 2024 the weights' lines did not say "model".
            device => (device, Model),
        };
        let function = words.next()?;
        // An image projector has a compute buffer of its own, under the same device's name.
        let projector = function.contains("alloc_compute_meta") || function.contains("clip");
        if !function.ends_with(':') || projector || device.len() > LONGEST_DEVICE_BYTES {
            return None;
        }
        if word == device && !function.contains("load_tensors") {
            return None;
        }
        let purpose = match purpose {
            Model => weights_of(device),
            other => other,
        };
        Some((Some(device.to_owned()), purpose))
    }
}

/// What the name of a buffer's kind says about the weights in it (`ggml_backend_buffer_name`).
fn weights_of(device: &str) -> BufferPurpose {
    if device.ends_with("_Mapped") {
        BufferPurpose::Mapped
    } else if device.starts_with("AMX")
        || ["REPACK", "AARCH64", "KLEIDIAI"]
            .iter()
            .any(|layout| device.contains(layout))
    {
        BufferPurpose::Repack
    } else {
        BufferPurpose::Model
    }
}

/// ` =  3647.87 MiB…` in bytes. In 2023 the unit was called MB and meant the same.
fn size_bytes(text: &str) -> Option<u64> {
    let mut words = text.trim_start().strip_prefix('=')?.split_whitespace();
    let (number, unit) = (words.next()?, words.next()?);
    let mebibytes: f64 = number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
        .then(|| number.parse().ok())??;
    let unit = unit.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    if !matches!(unit, "MiB" | "MB") || !(0.0..LARGEST_MIB).contains(&mebibytes) {
        return None;
    }
    Some((mebibytes * f64::from(1 << 20)).round() as u64)
}

/// Layers on a GPU, and layers at all: `load_tensors: offloaded 20/33 layers to GPU`.
pub(super) fn offloaded_layers(text: &str) -> Option<(u64, u64)> {
    let (_, rest) = text.split_once("load_tensors: offloaded ")?;
    let (counts, _) = rest.split_once(" layers to GPU")?;
    let (offloaded, all) = counts.split_once('/')?;
    let counts: (u64, u64) = (offloaded.parse().ok()?, all.parse().ok()?);
    (counts.0 <= counts.1).then_some(counts)
}

/// Memory of one purpose on one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BufferSize {
    /// The model's file as the engine's loader names it (the first one of a split model); `None` if the log did not say.
    pub model_file: Option<String>,
    /// As in [`BufferLine::device`].
    pub device: Option<String>,
    /// What it is for.
    pub purpose: BufferPurpose,
    /// Bytes, of all the lines that count together.
    pub bytes: u64,
    /// How many lines those are.
    pub lines: u64,
}

/// What a line does to [`BufferSizes`].
#[derive(Debug, PartialEq)]
enum Event<'a> {
    /// A model's file has been opened.
    Load(&'a str),
    /// A context is being made.
    Context,
    /// The next context stands beside the model's first one.
    SecondContext,
    Size(BufferLine),
}

impl<'a> Event<'a> {
    fn of(text: &'a str) -> Option<Self> {
        if text.len() > LONGEST_LINE_BYTES {
            return None;
        }
        if let Some((_, rest)) = text.split_once("llama_model_loader: loaded meta data with ") {
            // "26 key-value pairs and 291 tensors from PATH (version GGUF V3 (latest))"
            let (_, path) = rest.split_once(" from ")?;
            let path = path
                .rsplit_once(" (version ")
                .map_or(path, |(path, _)| path);
            return Some(Self::Load(path));
        }
        if text.contains("llama_context: constructing llama_context")
            || text.contains("llama_new_context_with_model: n_ctx ")
        {
            return Some(Self::Context);
        }
        if text.contains("creating MTP draft context against the target model") {
            return Some(Self::SecondContext);
        }
        BufferLine::parse_text(text).map(Self::Size)
    }
}

#[derive(Debug)]
struct Entry {
    device: Option<String>,
    purpose: BufferPurpose,
    bytes: u64,
    lines: u64,
}

/// One model and its contexts.
#[derive(Debug, Default)]
struct Load {
    file: Option<String>,
    weights: Vec<Entry>,
    contexts: Vec<Vec<Entry>>,
    next_stands_beside: bool,
}

/// The sizes that hold at the end of a log.
///
/// What several lines of one purpose and device mean depends on where they stand:
///
/// * llama.cpp may load a model twice, a fitting pass first (seen in a debug log: all its weights are 0.00 MiB, on a
///   device that the second pass does not have). A load of the same file therefore **replaces** all that was known of
///   it. A pass begins with the loader's line, or, where that is missing, with weights after a context.
/// * Within a pass the lines of weights **add up**: each file of a split model has a line (two `CPU_Mapped` lines for three
///   files, the third being repacked whole). So do those of KV caches within a context: a model with sliding-window
///   attention has two caches on the same device. Compute, input and output buffers are reserved anew when the need grows:
///   the **last** line counts.
/// * A new context of the same model **replaces** the one before (a benchmark makes one a test), unless the log says that
///   it is the MTP draft's, which stands beside it.
/// * A sum over devices is left out where the devices' own lines are there.
/// * A load of another file (a draft model) stands beside; a model that was freed for another one stays listed, under its
///   file's name.
#[derive(Debug, Default)]
pub struct BufferSizes {
    loads: Vec<Load>,
    sizes: Vec<BufferSize>,
}

/// Most models, contexts of one and buffers of one that are kept. No engine has as many; what comes on top of them replaces the
/// latest, so that a hostile log cannot grow without end.
const MOST_KEPT: usize = 32;

impl BufferSizes {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a line of the log.
    pub fn line(&mut self, line: &[u8]) {
        if line.len() <= LONGEST_LINE_BYTES {
            self.text(&plain_text(line));
        }
    }

    /// Takes a line without colours.
    pub(in crate::process) fn text(&mut self, text: &str) {
        let Some(event) = Event::of(text) else {
            return;
        };
        match event {
            Event::Load(file) => self.load(file),
            Event::Context => self.context(),
            Event::SecondContext => self.current().next_stands_beside = true,
            Event::Size(line) => self.size(line),
        }
        self.sizes = self.loads.iter().flat_map(Load::sizes).collect();
    }

    /// What is known so far: models in the order of their last load, each one's weights before its contexts.
    #[must_use]
    pub fn sizes(&self) -> &[BufferSize] {
        &self.sizes
    }

    fn load(&mut self, file: &str) {
        self.loads.retain(|load| load.file.as_deref() != Some(file));
        if self.loads.len() >= MOST_KEPT {
            self.loads.pop();
        }
        self.loads.push(Load {
            file: Some(file.to_owned()),
            ..Load::default()
        });
    }

    fn current(&mut self) -> &mut Load {
        if self.loads.is_empty() {
            self.loads.push(Load::default());
        }
        let last = self.loads.len() - 1;
        // One was pushed just now if there was none.
        &mut self.loads[last]
    }

    fn context(&mut self) {
        let load = self.current();
        if !std::mem::take(&mut load.next_stands_beside) {
            load.contexts.clear();
        }
        if load.contexts.len() >= MOST_KEPT {
            load.contexts.pop();
        }
        load.contexts.push(Vec::new());
    }

    fn size(&mut self, line: BufferLine) {
        use BufferPurpose::{
            Adapter, Compute, Input, KvCache, Mapped, Model, Output, RecurrentState, Repack,
        };
        let load = self.current();
        match line.purpose {
            Model | Mapped | Repack => {
                if !load.contexts.is_empty() {
                    *load = Load {
                        file: load.file.take(),
                        ..Load::default()
                    };
                }
                add(&mut load.weights, line, true);
            }
            Adapter => add(&mut load.weights, line, true),
            KvCache | RecurrentState | Compute | Input | Output => {
                if load.contexts.is_empty() {
                    load.contexts.push(Vec::new());
                }
                let sum = matches!(line.purpose, KvCache | RecurrentState);
                if let Some(context) = load.contexts.last_mut() {
                    add(context, line, sum);
                }
            }
        }
    }
}

impl Load {
    /// Contexts that stand beside each other are added up.
    fn sizes(&self) -> Vec<BufferSize> {
        let mut sizes: Vec<BufferSize> = Vec::new();
        for entry in self.weights.iter().chain(self.contexts.iter().flatten()) {
            let same = sizes
                .iter_mut()
                .find(|size| size.purpose == entry.purpose && size.device == entry.device);
            if let Some(size) = same {
                size.bytes = size.bytes.saturating_add(entry.bytes);
                size.lines += entry.lines;
            } else {
                sizes.push(BufferSize {
                    model_file: self.file.clone(),
                    device: entry.device.clone(),
                    purpose: entry.purpose,
                    bytes: entry.bytes,
                    lines: entry.lines,
                });
            }
        }
        sizes
    }
}

fn add(entries: &mut Vec<Entry>, line: BufferLine, sum: bool) {
    let of_a_device = |entry: &Entry| entry.purpose == line.purpose && entry.device.is_some();
    if line.device.is_none() && entries.iter().any(of_a_device) {
        return;
    }
    if line.device.is_some() {
        entries.retain(|entry| entry.purpose != line.purpose || entry.device.is_some());
    }
    let same = entries
        .iter_mut()
        .find(|entry| entry.purpose == line.purpose && entry.device == line.device);
    match same {
        Some(entry) if sum => {
            entry.bytes = entry.bytes.saturating_add(line.bytes);
            entry.lines += 1;
        }
        Some(entry) => entry.bytes = line.bytes,
        None => {
            if entries.len() >= MOST_KEPT {
                entries.pop();
            }
            entries.push(Entry {
                device: line.device,
                purpose: line.purpose,
                bytes: line.bytes,
                lines: 1,
            });
        }
    }
}

#[cfg(test)]
mod tests;
