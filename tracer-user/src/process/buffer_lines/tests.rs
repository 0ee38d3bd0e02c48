//! Tests of the buffer sizes: real logs, the wording of four years, and any bytes.

use proptest::prelude::*;

use crate::process::{EngineLogParser, OutputStream, RequestMark};

use super::{
    BufferPurpose::{
        Adapter, Compute, Input, KvCache, Mapped, Model, Output, RecurrentState, Repack,
    },
    *,
};

/// A debug log of a current build: a fitting pass before the real one, and a model with two KV caches.
const FITTING: &str = include_str!("../testdata/llama-server-11549-fitting-and-swa.txt");
/// Three files of one model, one of them repacked whole.
const SPLIT: &str = include_str!("../testdata/llama-server-11549-split.txt");
const TWO_SLOTS: &str = include_str!("../testdata/llama-server-11549-two-slots.txt");

fn mebibytes(value: f64) -> u64 {
    (value * 1048576.0).round() as u64
}

fn sizes(log: &str) -> Vec<(Option<String>, BufferPurpose, u64, u64)> {
    let mut sizes = BufferSizes::new();
    for line in log.lines() {
        sizes.line(line.as_bytes());
    }
    sizes
        .sizes()
        .iter()
        .map(|size| (size.device.clone(), size.purpose, size.bytes, size.lines))
        .collect()
}

fn row(
    device: &str,
    purpose: BufferPurpose,
    value: f64,
    lines: u64,
) -> (Option<String>, BufferPurpose, u64, u64) {
    (Some(device.to_owned()), purpose, mebibytes(value), lines)
}

#[test]
fn the_wording_of_four_years() {
    for (line, device, purpose, value) in [
        (
            "load_tensors:   CPU_Mapped model buffer size =  3647.87 MiB",
            Some("CPU_Mapped"),
            Mapped,
            3647.87,
        ),
        (
            "load_tensors:   CPU_REPACK model buffer size =  2940.00 MiB",
            Some("CPU_REPACK"),
            Repack,
            2940.0,
        ),
        (
            "llm_load_tensors: CPU_AARCH64 model buffer size =  10.50 MiB",
            Some("CPU_AARCH64"),
            Repack,
            10.5,
        ),
        (
            "load_tensors:          AMX model buffer size =    77.00 MiB",
            Some("AMX"),
            Repack,
            77.0,
        ),
        (
            "load_tensors:          CPU model buffer size =     0.15 MiB",
            Some("CPU"),
            Model,
            0.15,
        ),
        (
            "load_tensors:        CUDA0 model buffer size = 12698.93 MiB",
            Some("CUDA0"),
            Model,
            12698.93,
        ),
        (
            "load_tensors: RPC0[10.0.0.2:50052] model buffer size =  5.00 MiB",
            Some("RPC0[10.0.0.2:50052]"),
            Model,
            5.0,
        ),
        (
            "llm_load_tensors:        CPU buffer size =  1341.96 MiB",
            Some("CPU"),
            Model,
            1341.96,
        ),
        (
            "llama_kv_cache:        CPU KV buffer size =  2048.00 MiB",
            Some("CPU"),
            KvCache,
            2048.0,
        ),
        (
            "llama_kv_cache_init:        CPU KV buffer size =   180.00 MiB",
            Some("CPU"),
            KvCache,
            180.0,
        ),
        (
            "llama_kv_cache_unified: size =  512.00 MiB (  4096 cells,  32 layers,  1 seqs), K (f16):  256.00 MiB, V (f16):  256.00 MiB",
            None,
            KvCache,
            512.0,
        ),
        (
            "llama_new_context_with_model: KV self size  =  180.00 MiB, K (f16):   90.00 MiB, V (f16):   90.00 MiB",
            None,
            KvCache,
            180.0,
        ),
        (
            "llama_init_from_file: kv self size  = 1560.00 MB",
            None,
            KvCache,
            1560.0,
        ),
        (
            "llama_memory_recurrent:        CPU RS buffer size =    12.25 MiB",
            Some("CPU"),
            RecurrentState,
            12.25,
        ),
        (
            "llama_memory_recurrent: size =   12.25 MiB (     1 cells,  64 layers,  1 seqs), R (f32):    2.25 MiB, S (f32):   10.00 MiB",
            None,
            RecurrentState,
            12.25,
        ),
        (
            "llama_kv_cache_dsv4:        CPU DSV4 csa state buffer size =     1.00 MiB",
            Some("CPU"),
            RecurrentState,
            1.0,
        ),
        (
            "sched_reserve:        CPU compute buffer size =     9.27 MiB",
            Some("CPU"),
            Compute,
            9.27,
        ),
        (
            "llama_context:  CUDA_Host compute buffer size =    78.77 MiB",
            Some("CUDA_Host"),
            Compute,
            78.77,
        ),
        (
            "llama_context:        CPU  output buffer size =     0.12 MiB",
            Some("CPU"),
            Output,
            0.12,
        ),
        (
            "llama_new_context_with_model:        CPU input buffer size   =    13.02 MiB",
            Some("CPU"),
            Input,
            13.02,
        ),
        (
            "llama_adapter_lora_init_impl:        CPU LoRA buffer size =     3.50 MiB",
            Some("CPU"),
            Adapter,
            3.5,
        ),
        (
            "\x1b[32m0.00.006.797 I \x1b[0mload_tensors:   CPU_Mapped model buffer size =     1.84 MiB\r\n",
            Some("CPU_Mapped"),
            Mapped,
            1.84,
        ),
        (
            "Dec 02 11:57:01 host llama-server[24689]: llama_context:        CPU compute buffer size =   1.00 MiB",
            Some("CPU"),
            Compute,
            1.0,
        ),
    ] {
        let expected = BufferLine {
            device: device.map(str::to_owned),
            purpose,
            bytes: mebibytes(value),
        };
        assert_eq!(BufferLine::parse(line.as_bytes()), Some(expected), "{line}");
    }
}

#[test]
fn other_sizes_are_no_buffers() {
    for line in [
        "print_info: file size   = 2.68 MiB (4.51 BPW) ",
        "llm_load_tensors: ggml ctx size =    0.15 MiB",
        "llama_kv_cache_iswa: creating non-SWA KV cache, size = 256 cells",
        "~llama_context:        CPU compute buffer size is   9.2676 MiB, matches expectation of   9.2676 MiB",
        "srv   prompt_save:  - saving prompt with length 35, total state size = 0.035 MiB (draft: 0.000 MiB)",
        "slot create_check: id  0 | task 0 | created context checkpoint 1 of 32 (pos_min = 0, size = 0.059 MiB)",
        "load: token to piece cache size = 0.0012 MB",
        "alloc_compute_meta:        CPU compute buffer size =   102.86 MiB",
        "load_tensors:   CPU_Mapped model buffer size =  inf MiB",
        "load_tensors:   CPU_Mapped model buffer size =  -1.00 MiB",
        "load_tensors:   CPU_Mapped model buffer size =  1e3 MiB",
        "load_tensors:   CPU_Mapped model buffer size =  99999999999999999999.00 MiB",
        "load_tensors:   CPU_Mapped model buffer size =  3647.87",
        "load_tensors:   CPU_Mapped model buffer size =  3647.87 GiB",
        "the CPU model buffer size = 1.00 MiB",
        "some_function:        CPU buffer size =     1.00 MiB",
    ] {
        assert_eq!(BufferLine::parse(line.as_bytes()), None, "{line}");
    }
    let long = format!(
        "load_tensors: {} model buffer size = 1.00 MiB",
        "d".repeat(65)
    );
    assert_eq!(BufferLine::parse(long.as_bytes()), None);
    let long = format!(
        "{} load_tensors: CPU model buffer size = 1.00 MiB",
        "x".repeat(5000)
    );
    assert_eq!(BufferLine::parse(long.as_bytes()), None);
}

#[test]
fn the_real_pass_replaces_the_fitting_one_and_two_caches_add_up() {
    assert_eq!(
        sizes(FITTING),
        [
            row("CPU_Mapped", Mapped, 13.88, 1),
            row("CPU_REPACK", Repack, 14.48, 1),
            row("CPU", Output, 0.0, 1),
            row("CPU", KvCache, 1.5, 2),
            row("CPU", Compute, 5.76, 1),
        ]
    );
    // Without the loader's lines the weights after a context begin a new pass.
    let without: String = FITTING
        .lines()
        .filter(|line| !line.contains("llama_model_loader"))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_eq!(sizes(&without), sizes(FITTING));
    let first_pass = FITTING
        .split("I llama_model_loader")
        .nth(1)
        .expect("first pass");
    assert!(
        sizes(first_pass).contains(&row("CPU", Model, 0.0, 1)),
        "what the second pass must take away"
    );
}

#[test]
fn files_of_a_split_model_add_up() {
    let found = sizes(SPLIT);
    // 0.64 and 0.36 are rounded each: so is their sum, twice.
    assert!(
        found.contains(&(
            Some("CPU_Mapped".to_owned()),
            Mapped,
            mebibytes(0.64) + mebibytes(0.36),
            2
        )),
        "{found:?}"
    );
    assert!(found.contains(&row("CPU_REPACK", Repack, 2.53, 1)));
    let mut twice = SPLIT.to_owned();
    twice.push_str(SPLIT);
    assert_eq!(sizes(&twice), found);
}

#[test]
fn a_draft_model_stands_beside_and_says_its_file() {
    let load = |file: &str, value: &str| {
        format!(
            "llama_model_loader: loaded meta data with 18 key-value pairs and 21 tensors from {file} (version GGUF V3 (latest))
load_tensors:   CPU_Mapped model buffer size =  {value} MiB
llama_context: constructing llama_context
llama_kv_cache:        CPU KV buffer size =  {value} MiB
llama_kv_cache: size =  {value} MiB (   256 cells
sched_reserve:        CPU compute buffer size =  7.00 MiB
sched_reserve:        CPU compute buffer size =  8.00 MiB
"
        )
    };
    let log = [
        load("/m/big (version 2).gguf", "100.00"),
        load("/m/draft.gguf", "3.00"),
    ]
    .concat();
    let mut parser = EngineLogParser::new();
    for line in log.lines() {
        parser.line(OutputStream::Stderr, line.as_bytes());
    }
    let found: Vec<_> = parser
        .buffers()
        .iter()
        .map(|size| (size.model_file.as_deref(), size.purpose, size.bytes >> 20))
        .collect();
    let (big, draft) = (Some("/m/big (version 2).gguf"), Some("/m/draft.gguf"));
    assert_eq!(
        found,
        [
            (big, Mapped, 100),
            (big, KvCache, 100),
            (big, Compute, 8),
            (draft, Mapped, 3),
            (draft, KvCache, 3),
            (draft, Compute, 8)
        ]
    );
}

#[test]
fn a_new_context_replaces_and_an_mtp_context_stands_beside() {
    let context = "llama_context: constructing llama_context\nllama_kv_cache: CPU KV buffer size = 4.00 MiB\n";
    let weights = "load_tensors: CPU model buffer size = 9.00 MiB\n";
    let mtp = "srv    load_model: creating MTP draft context against the target model '/m'\n";
    let kv = |log: &[&str]| {
        sizes(&log.concat())
            .into_iter()
            .find(|row| row.1 == KvCache)
            .map(|row| (row.2 >> 20, row.3))
    };
    assert_eq!(kv(&[weights, context, context]), Some((4, 1)));
    assert_eq!(kv(&[weights, context, mtp, context]), Some((8, 2)));
    assert_eq!(kv(&[weights, context, mtp, context, context]), Some((4, 1)));
}

#[test]
fn a_sum_over_devices_counts_only_without_the_devices() {
    let total = "llama_new_context_with_model: KV self size  =  180.00 MiB, K (f16):   90.00 MiB\n";
    let device = "llama_kv_cache_init:        CPU KV buffer size =   180.00 MiB\n";
    let of_device = [row("CPU", KvCache, 180.0, 1)];
    assert_eq!(sizes(&[device, total].concat()), of_device);
    assert_eq!(sizes(&[total, device].concat()), of_device);
    assert_eq!(sizes(total), [(None, KvCache, mebibytes(180.0), 1)]);
}

#[test]
fn the_parser_has_buffers_and_requests() {
    let mut parser = EngineLogParser::new();
    let mut most = 0;
    let mut marks = 0;
    for line in TWO_SLOTS.lines() {
        parser.line(OutputStream::Stderr, line.as_bytes());
        marks += parser.request_marks().len();
        if let [RequestMark::Began { .. }] = parser.request_marks() {
            most = most.max(parser.requests().count());
        }
    }
    assert_eq!((marks, most, parser.requests().began()), (6, 2, 3));
    let bytes = |purpose| {
        parser
            .buffers()
            .iter()
            .find(|size| size.purpose == purpose)
            .map(|size| size.bytes)
    };
    assert_eq!(bytes(Mapped), Some(mebibytes(1.84)));
    assert_eq!(bytes(Repack), Some(mebibytes(2.53)));
    assert_eq!(bytes(KvCache), Some(mebibytes(0.5)));
    assert_eq!(bytes(Compute), Some(mebibytes(9.27)));
    assert_eq!(bytes(Model), None);
}

proptest! {
    #[test]
    fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..70) {
        let _ = BufferLine::parse(&bytes);
        let known = b"load_tensors:   CPU_Mapped model buffer size =  3647.87 MiB";
        let mut line = known[..cut.min(known.len())].to_vec();
        line.extend(&bytes);
        let _ = BufferLine::parse(&line);
        let mut sizes = BufferSizes::new();
        sizes.line(&line);
    }

    #[test]
    fn a_hostile_log_does_not_grow_it(lines in proptest::collection::vec((0_u8..4, any::<u16>(), 0_u32..9999), 0..400)) {
        let mut sizes = BufferSizes::new();
        for (kind, name, value) in lines {
            let line = match kind {
                0 => format!("llama_model_loader: loaded meta data with 1 key-value pairs and 1 tensors from {name} (version"),
                1 => "llama_context: constructing llama_context".to_owned(),
                2 => format!("load_tensors: d{name} model buffer size = {value}.25 MiB"),
                _ => "x: creating MTP draft context against the target model".to_owned(),
            };
            sizes.line(line.as_bytes());
        }
        prop_assert!(sizes.sizes().len() <= MOST_KEPT * MOST_KEPT);
    }

    /// However a log is cut into passes of the same file, the last pass alone counts.
    #[test]
    fn the_last_pass_counts(passes in proptest::collection::vec(proptest::collection::vec(0_u32..99_999, 1..4), 1..5)) {
        let mut found = BufferSizes::new();
        for pass in &passes {
            found.line(b"llama_model_loader: loaded meta data with 1 key-value pairs and 1 tensors from m.gguf (version x)");
            for hundredths in pass {
                let line = format!("load_tensors: CPU model buffer size = {}.{:02} MiB", hundredths / 100, hundredths % 100);
                found.line(line.as_bytes());
            }
            found.line(b"llama_context: constructing llama_context");
        }
        let expected: u64 = passes.last().into_iter().flatten().map(|&h| mebibytes(f64::from(h) / 100.0)).sum();
        prop_assert_eq!(found.sizes().len(), 1);
        prop_assert!(found.sizes()[0].bytes.abs_diff(expected) <= 4);
    }
}
