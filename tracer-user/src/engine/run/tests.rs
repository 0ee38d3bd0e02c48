//! Whole runs on small random models.

mod refusals;

use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use nix::sys::resource::{UsageWho, getrusage};
use tempfile::TempDir;

use super::{Sampler, run_with};
use crate::engine::{EngineError, EngineOptions, EngineReport, LoadMode, RandomModelShape};
use crate::model::GgufHeader;

/// Many experts of which few are used, so that a short run leaves some unused.
const SHAPE: RandomModelShape = RandomModelShape {
    layers: 3,
    experts: 32,
    experts_used: 2,
    embedding_length: 128,
    expert_feed_forward_length: 64,
    vocabulary_size: 300,
    seed: 3,
};

struct Model {
    directory: TempDir,
    path: PathBuf,
}

impl Model {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.gguf");
        static CONTENT: OnceLock<Vec<u8>> = OnceLock::new();
        let content = CONTENT.get_or_init(|| {
            SHAPE.write(&path, |_| {}).unwrap();
            fs::read(&path).unwrap()
        });
        fs::write(&path, content).unwrap();
        Self { directory, path }
    }

    fn options(&self) -> EngineOptions {
        EngineOptions {
            tokens: 6,
            prompt_tokens: 3,
            ..EngineOptions::new(&self.path)
        }
    }

    /// Runs and returns the report, standard output and standard error.
    fn run(&self, options: &EngineOptions) -> (EngineReport, String, String) {
        let (mut output, mut log) = (Vec::new(), Vec::new());
        let report = run_with(options, &mut output, &mut log).unwrap();
        (
            report,
            String::from_utf8(output).unwrap(),
            String::from_utf8(log).unwrap(),
        )
    }

    fn tokens(&self, options: &EngineOptions) -> Vec<u32> {
        self.run(options).0.tokens
    }

    fn error(&self, options: &EngineOptions) -> EngineError {
        run_with(options, &mut Vec::new(), &mut Vec::new())
            .unwrap_err()
            .downcast()
            .unwrap()
    }

    /// The experts picked in each layer during a run, by the engine's log.
    fn picked(&self, options: &EngineOptions) -> Vec<Vec<bool>> {
        let log = self.directory.path().join("experts.tsv");
        self.run(&EngineOptions {
            expert_log: Some(log.clone()),
            ..options.clone()
        });
        let mut picked = vec![vec![false; SHAPE.experts as usize]; SHAPE.layers as usize];
        for line in fs::read_to_string(log).unwrap().lines().skip(1) {
            let fields: Vec<&str> = line.split('\t').collect();
            let layer: usize = fields[3].parse().unwrap();
            fields[4]
                .split(',')
                .for_each(|expert| picked[layer][expert.parse::<usize>().unwrap()] = true);
        }
        picked
    }

    /// Sets bytes of slice `index` of `count` of a tensor to NaN (all bits set).
    fn poison(&self, tensor: &str, index: u64, count: u64) {
        let header = GgufHeader::open(&self.path).unwrap();
        let tensor = header.tensor(tensor).unwrap();
        let length = (tensor.length_bytes / count) as usize;
        let start = tensor.file_offset_bytes as usize + index as usize * length;
        let mut bytes = fs::read(&self.path).unwrap();
        bytes[start..start + length].fill(0xFF);
        fs::write(&self.path, bytes).unwrap();
    }
}

#[test]
fn threads_loading_and_zapping_change_nothing_and_the_seed_does() {
    let model = Model::new();
    let options = model.options();
    let tokens = model.tokens(&options);
    assert_eq!(tokens.len(), 6);
    assert!(tokens.iter().all(|&token| token < SHAPE.vocabulary_size));
    assert_eq!(
        model.tokens(&EngineOptions {
            threads: 5,
            ..options.clone()
        }),
        tokens
    );
    assert_eq!(
        model.tokens(&EngineOptions {
            load_mode: LoadMode::Mmap,
            ..options.clone()
        }),
        tokens
    );
    assert_eq!(
        model.tokens(&EngineOptions {
            zap_before_step: true,
            threads: 2,
            ..options.clone()
        }),
        tokens
    );
    assert_ne!(
        model.tokens(&EngineOptions {
            seed: Some(1),
            ..options.clone()
        }),
        tokens
    );
    let greedy = EngineOptions {
        seed: None,
        ..options
    };
    assert_eq!(model.tokens(&greedy), model.tokens(&greedy));
}

#[test]
fn the_outputs_have_their_lines_in_order() {
    let model = Model::new();
    let (report, output, log) = model.run(&model.options());
    let starts = [
        "builtin_engine: an access-pattern generator",
        "builtin_engine: load finished",
        "builtin_engine: prompt finished",
        "builtin_perf_print:        load time = ",
        "builtin_perf_print: prompt eval time = ",
        "builtin_perf_print:        eval time = ",
        "builtin_perf_print:       total time = ",
    ];
    assert_eq!(log.lines().count(), starts.len(), "{log}");
    log.lines()
        .zip(starts)
        .for_each(|(line, start)| assert!(line.starts_with(start), "{line}"));
    assert!(
        log.contains("/     3 tokens")
            && log.contains("/     5 runs")
            && log.contains("/     8 tokens"),
        "{log}"
    );
    let mut lines = output.lines();
    let tokens: Vec<u32> = lines
        .next()
        .unwrap()
        .split_whitespace()
        .map(|token| token.parse().unwrap())
        .collect();
    assert_eq!(tokens, report.tokens);
    assert_eq!(
        lines.next(),
        Some(format!("token hash: {:016x}", report.token_hash()).as_str())
    );
    assert_eq!(lines.next(), None);
    assert!(report.total_time >= report.load_time + report.prompt_time + report.eval_time);
}

#[test]
fn the_expert_log_has_a_line_for_each_step_and_layer() {
    let model = Model::new();
    let log = model.directory.path().join("experts.tsv");
    let (report, ..) = model.run(&EngineOptions {
        expert_log: Some(log.clone()),
        ..model.options()
    });
    let text = fs::read_to_string(log).unwrap();
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(lines[0], ["step", "phase", "token", "layer", "experts"]);
    assert_eq!(lines.len(), 1 + 8 * 3);
    for (index, line) in lines[1..].iter().enumerate() {
        let step = index / 3;
        assert_eq!(
            (line[0], line[3]),
            (step.to_string().as_str(), (index % 3).to_string().as_str())
        );
        assert_eq!(line[1], if step < 3 { "prompt" } else { "generation" });
        if step >= 3 {
            assert_eq!(line[2], report.tokens[step - 3].to_string());
        }
        let experts: Vec<u32> = line[4]
            .split(',')
            .map(|expert| expert.parse().unwrap())
            .collect();
        assert!(
            experts.len() == 2
                && experts[0] != experts[1]
                && experts.iter().all(|&expert| expert < SHAPE.experts)
        );
    }
}

/// The tokens are those that llama.cpp (PyPI `xllamacpp` 2026.10.11549) generates at temperature 0 from this very file
/// and prompt; its smallest margin between the best and the second token was 0.002 of a logarithm. Without the rotation,
/// or with another expert's slice, they differ from the seventh token on.
#[test]
fn the_tokens_are_those_of_llama_cpp() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.gguf");
    let shape = RandomModelShape {
        layers: 2,
        experts: 8,
        experts_used: 2,
        embedding_length: 256,
        expert_feed_forward_length: 64,
        vocabulary_size: 2048,
        seed: 1,
    };
    shape.write(&path, |_| {}).unwrap();
    let options = EngineOptions {
        seed: None,
        tokens: 16,
        prompt_tokens: 3,
        ..EngineOptions::new(path)
    };
    let report = run_with(&options, &mut Vec::new(), &mut Vec::new()).unwrap();
    assert_eq!(
        report.tokens,
        [
            1892, 830, 1435, 1733, 1558, 328, 1521, 299, 446, 1874, 1517, 1182, 686, 571, 1347, 906
        ]
    );
}

/// The router really chooses, the log tells the truth, and only what is chosen is used.
#[test]
fn experts_that_the_log_does_not_name_are_not_used_and_those_that_it_names_are() {
    let model = Model::new();
    let options = model.options();
    let tokens = model.tokens(&options);
    let picked = model.picked(&options);
    let count = picked.iter().flatten().filter(|&&picked| picked).count();
    assert!(
        (8..90).contains(&count),
        "the router picked {count} of 96 experts"
    );
    for (layer, experts) in picked.iter().enumerate() {
        for expert in experts
            .iter()
            .enumerate()
            .filter(|(_, picked)| !**picked)
            .map(|(expert, _)| expert as u64)
        {
            for part in ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"] {
                model.poison(
                    &format!("blk.{layer}.{part}.weight"),
                    expert,
                    SHAPE.experts.into(),
                );
            }
        }
    }
    assert_eq!(
        model.tokens(&options),
        tokens,
        "an expert that the log does not name was used"
    );
    let used = picked[1].iter().rposition(|&picked| picked).unwrap() as u64;
    for part in ["ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"] {
        let model = Model::new();
        model.poison(&format!("blk.1.{part}.weight"), used, SHAPE.experts.into());
        assert_ne!(
            model.tokens(&options_of(&model, &options)),
            tokens,
            "{part} of a picked expert was not used"
        );
    }
}

fn options_of(model: &Model, options: &EngineOptions) -> EngineOptions {
    EngineOptions {
        model: model.path.clone(),
        ..options.clone()
    }
}

#[test]
fn every_other_tensor_matters_and_of_the_embedding_only_the_rows_of_the_tokens() {
    let pristine = Model::new();
    let options = pristine.options();
    let tokens = pristine.tokens(&options);
    let parts = [
        "attn_norm",
        "attn_q",
        "attn_k",
        "attn_v",
        "attn_output",
        "attn_q_norm",
        "attn_k_norm",
        "ffn_norm",
    ];
    let names = parts.map(|part| format!("blk.2.{part}.weight"));
    for name in names.iter().map(String::as_str).chain([
        "blk.2.ffn_gate_inp.weight",
        "output.weight",
        "output_norm.weight",
    ]) {
        let model = Model::new();
        model.poison(name, 0, 1);
        assert_ne!(
            model.tokens(&options_of(&model, &options)),
            tokens,
            "{name} was not used"
        );
    }
    let used: Vec<u64> = {
        let log = pristine.directory.path().join("experts.tsv");
        pristine.picked(&options);
        let text = fs::read_to_string(log).unwrap();
        text.lines()
            .skip(1)
            .map(|line| line.split('\t').nth(2).unwrap().parse().unwrap())
            .collect()
    };
    let (unused, model) = ((0..300).filter(|token| !used.contains(token)), Model::new());
    unused.for_each(|token| model.poison("token_embd.weight", token, 300));
    assert_eq!(model.tokens(&options_of(&model, &options)), tokens);
    model.poison("token_embd.weight", used[0], 300);
    assert_ne!(model.tokens(&options_of(&model, &options)), tokens);
}

/// The position is part of the attention: the same tokens in another order give something else.
#[test]
fn earlier_tokens_matter() {
    let model = Model::new();
    let greedy = EngineOptions {
        seed: None,
        tokens: 1,
        prompt_tokens: 40,
        ..model.options()
    };
    let long = model.tokens(&greedy);
    let log = model.directory.path().join("experts.tsv");
    model.picked(&greedy);
    let text = fs::read_to_string(log).unwrap();
    let first_token: u64 = text
        .lines()
        .nth(1)
        .unwrap()
        .split('\t')
        .nth(2)
        .unwrap()
        .parse()
        .unwrap();
    model.poison("token_embd.weight", first_token, 300);
    assert_ne!(
        model.tokens(&greedy),
        long,
        "the first of 40 tokens has no influence on the last logits"
    );
}

#[test]
fn zapping_happens_before_each_step() {
    let model = Model::new();
    // Of this thread, which does all the work: other tests run beside it.
    let faults = || {
        getrusage(UsageWho::RUSAGE_THREAD)
            .map(|usage| usage.minor_page_faults() + usage.major_page_faults())
    };
    let faults_of = |zap_before_step| {
        let options = EngineOptions {
            load_mode: LoadMode::Mmap,
            tokens: 40,
            zap_before_step,
            ..model.options()
        };
        let before = faults().unwrap();
        model.run(&options);
        faults().unwrap() - before
    };
    faults_of(false);
    let (without, with) = (faults_of(false), faults_of(true));
    assert!(
        with > 4 * without,
        "{with} page faults with zapping, {without} without"
    );
}

#[test]
fn the_prompt_depends_on_the_seed_and_covers_the_vocabulary() {
    let prompt = |seed| {
        super::prompt(
            &EngineOptions {
                seed,
                prompt_tokens: 1000,
                ..EngineOptions::new("m")
            },
            10,
        )
    };
    assert_eq!(prompt(None), prompt(Some(0)));
    assert_ne!(prompt(Some(1)), prompt(Some(0)));
    assert!((0..10).all(|token| prompt(None).contains(&token)));
}

#[test]
fn sampling_follows_the_probabilities() {
    let logits = || [0.1f32, 0.6, 0.0, 0.3].map(f32::ln).to_vec();
    let mut counts = [0; 4];
    let mut sampler = Sampler::new(Some(0));
    (0..10_000).for_each(|_| counts[sampler.sample(logits()) as usize] += 1);
    for (count, expected) in counts.into_iter().zip([1000i32, 6000, 0, 3000]) {
        assert!(
            (count - expected).abs() < 200 && (expected > 0 || count == 0),
            "{counts:?}"
        );
    }
    let sequence = |seed| {
        let mut sampler = Sampler::new(seed);
        (0..20)
            .map(|_| sampler.sample(logits()))
            .collect::<Vec<_>>()
    };
    assert_eq!(sequence(Some(5)), sequence(Some(5)));
    assert_ne!(sequence(Some(5)), sequence(Some(6)));
    assert_eq!(sequence(None), [1; 20]);
}
