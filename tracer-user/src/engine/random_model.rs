//! A mixture-of-experts model with random weights, in a GGUF file that llama.cpp loads (architecture `olmoe`).
//!
//! Keys and tensors are those of llama.cpp's `src/models/olmoe.cpp`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::gguf_encoding::{self, Tensor, Value};
use super::random_content;
use super::staged_file::StagedFile;
use crate::model::{GgmlType, GgufHeader};

/// Width of one attention head, as in the models that llama.cpp runs.
const HEAD_LENGTH: u32 = 64;
/// `<unk>`, `<s>`, `</s>` and a token for each byte: llama.cpp's tokenizer needs them.
const LEAST_VOCABULARY: u32 = 3 + 256;
/// Stands in the metadata; goes up when the same seed gives other bytes than before.
const CONTENT_VERSION: u32 = 1;
const CONTENT_VERSION_KEY: &str = "tracer.random_model.version";
const SEED_KEY: &str = "tracer.random_model.seed";

const MEBIBYTE: u64 = 1 << 20;

/// What a random model looks like; the same shape (seed included) gives the same bytes on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomModelShape {
    /// Transformer layers, 1 ..= 512 (llama.cpp's `LLAMA_MAX_LAYERS`).
    pub layers: u32,
    /// Experts in each layer, 1 ..= 512 (llama.cpp's `LLAMA_MAX_EXPERTS`).
    pub experts: u32,
    /// Experts that the router picks for a token, 1 ..= `experts`.
    pub experts_used: u32,
    /// Width of the hidden state, a multiple of 64 up to 65,536; the model has a 64th of it as attention heads.
    pub embedding_length: u32,
    /// Width of one expert's hidden layer, an even number of 64 to 65,536.
    pub expert_feed_forward_length: u32,
    /// Tokens of the vocabulary, 259 ..= 1,048,576.
    pub vocabulary_size: u32,
    /// Seed of the weights.
    pub seed: u64,
}

/// A random model could not be described, written or compared.
#[derive(Debug, thiserror::Error)]
pub enum RandomModelError {
    /// A member of the shape is out of its range.
    #[error("a random model's {member} must be {expected}, but is {found}")]
    Shape {
        member: &'static str,
        /// Its range, in words.
        expected: String,
        found: u64,
    },
    /// No model of about that size can be made.
    #[error(
        "a random model can have {} to {} MiB, not {} MiB ({asked_bytes} bytes); choose a size in that range",
        least_bytes.div_ceil(MEBIBYTE), most_bytes / MEBIBYTE, asked_bytes / MEBIBYTE
    )]
    Size {
        /// The size asked for.
        asked_bytes: u64,
        /// The smallest that can be made.
        least_bytes: u64,
        /// The largest that can be made.
        most_bytes: u64,
    },
    /// The target exists and was not written by [`RandomModelShape::write`].
    #[error("{} exists and is no random model of this program; it is not replaced: choose another path or remove it", path.display())]
    NotOurs { path: PathBuf },
    /// Reading or writing failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Default for RandomModelShape {
    /// 8 layers, 16 experts of which 2 are used: 547 MiB.
    fn default() -> Self {
        Self {
            layers: 8,
            experts: 16,
            experts_used: 2,
            embedding_length: 1024,
            expert_feed_forward_length: 640,
            vocabulary_size: 512,
            seed: 0,
        }
    }
}

/// Feed-forward lengths: from the least in steps to the most. An even one gives each expert whole pages of 4 KiB in
/// models as wide as the default, and llama.cpp's kernels for graphics cards take values in pairs.
const LEAST_FEED_FORWARD: u32 = 64;
const FEED_FORWARD_STEP: u32 = 2;
const MOST_FEED_FORWARD: u32 = 65_536;

impl RandomModelShape {
    /// The model nearest to `size_bytes` with 8 layers and 16 experts of which 2 are used; the experts' width is what
    /// varies, in steps of 1.5 MiB of the file. So it is off by less than 1 %: [`Self::file_size_bytes`] says the size.
    ///
    /// # Errors
    /// [`RandomModelError::Size`] below about 115 MiB and above about 48 GiB.
    pub fn for_size(size_bytes: u64) -> Result<Self, RandomModelError> {
        Self::default().of_size(size_bytes)
    }

    /// The model nearest to `size_bytes` that differs from this one in the experts' width only.
    ///
    /// # Errors
    /// [`RandomModelError::Shape`] where this is no shape, [`RandomModelError::Size`] where no width gives about that size.
    pub fn of_size(self, size_bytes: u64) -> Result<Self, RandomModelError> {
        self.validate()?;
        let with = |steps: u32| Self {
            expert_feed_forward_length: LEAST_FEED_FORWARD + steps * FEED_FORWARD_STEP,
            ..self
        };
        let most_steps = (MOST_FEED_FORWARD - LEAST_FEED_FORWARD) / FEED_FORWARD_STEP;
        let (least_bytes, most_bytes) = (
            with(0).file_size_bytes(),
            with(most_steps).file_size_bytes(),
        );
        let step_bytes = with(1).file_size_bytes() - least_bytes;
        if !(least_bytes..most_bytes + step_bytes).contains(&size_bytes) {
            return Err(RandomModelError::Size {
                asked_bytes: size_bytes,
                least_bytes,
                most_bytes,
            });
        }
        // Each step adds the same, the header's length does not change: no search is needed.
        let steps = (size_bytes - least_bytes + step_bytes / 2) / step_bytes;
        Ok(with(
            u32::try_from(steps).map_or(most_steps, |steps| steps.min(most_steps)),
        ))
    }

    /// Checks each member against its range.
    ///
    /// # Errors
    /// [`RandomModelError::Shape`], which names the first member that is out of its range.
    pub fn validate(&self) -> Result<(), RandomModelError> {
        let check = |member, found: u32, least: u32, most: u32, step: u32| {
            if (least..=most).contains(&found) && found.is_multiple_of(step) {
                return Ok(());
            }
            let multiple = if step > 1 {
                format!("a multiple of {step}, ")
            } else {
                String::new()
            };
            let expected = format!("{multiple}{least} to {most}");
            Err(RandomModelError::Shape {
                member,
                expected,
                found: found.into(),
            })
        };
        check("number of layers", self.layers, 1, 512, 1)?;
        check("number of experts", self.experts, 1, 512, 1)?;
        check(
            "number of experts used",
            self.experts_used,
            1,
            self.experts,
            1,
        )?;
        check(
            "embedding length",
            self.embedding_length,
            HEAD_LENGTH,
            65_536,
            HEAD_LENGTH,
        )?;
        check(
            "expert feed-forward length",
            self.expert_feed_forward_length,
            LEAST_FEED_FORWARD,
            MOST_FEED_FORWARD,
            FEED_FORWARD_STEP,
        )?;
        check(
            "vocabulary size",
            self.vocabulary_size,
            LEAST_VOCABULARY,
            1 << 20,
            1,
        )
    }

    /// Size of the file, in bytes, to the byte. The shape must be one that [`Self::validate`] accepts.
    pub fn file_size_bytes(&self) -> u64 {
        let data_bytes = self.tensors().iter().fold(0u64, |sum, tensor| {
            sum.saturating_add(tensor.padded_bytes())
        });
        data_bytes.saturating_add(self.header().len() as u64)
    }

    /// Whether the file at `path` was written by [`RandomModelShape::write`] for exactly this shape and seed: its size
    /// and every byte of its header are the same. The weights are not read: a file gets its name only when complete.
    /// A missing file gives `false`.
    ///
    /// # Errors
    /// [`RandomModelError::Io`] if `path` is there but cannot be read, or is a directory; [`RandomModelError::Shape`] if
    /// no file can have this shape.
    pub fn matches(&self, path: &Path) -> Result<bool, RandomModelError> {
        self.validate()?;
        let read_header = || -> io::Result<Option<Vec<u8>>> {
            let mut file = match File::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                opened => opened?,
            };
            let expected_bytes = self.header().len();
            if file.metadata()?.is_dir() {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            if file.metadata()?.len() != self.file_size_bytes() {
                return Ok(None);
            }
            let mut header = vec![0; expected_bytes];
            file.read_exact(&mut header)?;
            Ok(Some(header))
        };
        let found = read_header().map_err(|source| failed("read", path, source))?;
        Ok(found.is_some_and(|found| found == self.header()))
    }

    /// Writes the model to `path`, which appears (or is replaced) only when the file is complete and on the disk.
    /// `progress` is told the bytes written so far, about once a mebibyte.
    ///
    /// # Errors
    /// [`RandomModelError`]: the shape is out of range, `path` holds something else than a random model, the disk is
    /// full, another process is writing the same file.
    pub fn write(
        &self,
        path: &Path,
        mut progress: impl FnMut(u64),
    ) -> Result<(), RandomModelError> {
        self.validate()?;
        refuse_to_replace_others(path)?;
        let write = |source| failed("write", path, source);
        let staged = StagedFile::create(path, self.file_size_bytes()).map_err(write)?;
        random_content::write(
            staged.file(),
            &self.header(),
            &self.tensors(),
            self.seed,
            &mut progress,
        )
        .map_err(write)?;
        staged.publish().map_err(write)
    }

    /// The file's bytes before the tensor data.
    fn header(&self) -> Vec<u8> {
        gguf_encoding::header(&self.metadata(), &self.tensors())
    }

    fn metadata(&self) -> Vec<(String, Value)> {
        let heads = self.embedding_length / HEAD_LENGTH;
        let vocabulary = self.vocabulary_size.max(LEAST_VOCABULARY);
        let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).into();
        tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
        tokens.extend((LEAST_VOCABULARY..vocabulary).map(|token| format!("t{token}")));
        // llama.cpp's token types: 1 normal, 2 unknown, 3 control, 6 byte.
        let mut types = vec![2, 3, 3];
        types.resize(LEAST_VOCABULARY as usize, 6);
        types.resize(vocabulary as usize, 1);
        let text = |text: &str| Value::Text(text.into());
        [
            ("general.architecture", text("olmoe")),
            ("general.name", text("random weights")),
            (CONTENT_VERSION_KEY, Value::U32(CONTENT_VERSION)),
            (SEED_KEY, Value::U64(self.seed)),
            ("olmoe.context_length", Value::U32(4096)),
            ("olmoe.embedding_length", Value::U32(self.embedding_length)),
            ("olmoe.block_count", Value::U32(self.layers)),
            (
                "olmoe.feed_forward_length",
                Value::U32(self.expert_feed_forward_length),
            ),
            ("olmoe.attention.head_count", Value::U32(heads)),
            ("olmoe.attention.head_count_kv", Value::U32(heads)),
            ("olmoe.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
            ("olmoe.rope.freq_base", Value::F32(10_000.0)),
            ("olmoe.vocab_size", Value::U32(self.vocabulary_size)),
            ("olmoe.expert_count", Value::U32(self.experts)),
            ("olmoe.expert_used_count", Value::U32(self.experts_used)),
            ("tokenizer.ggml.model", text("llama")),
            ("tokenizer.ggml.tokens", Value::TextArray(tokens)),
            (
                "tokenizer.ggml.scores",
                Value::F32Array(vec![0.0; vocabulary as usize]),
            ),
            ("tokenizer.ggml.token_type", Value::I32Array(types)),
            ("tokenizer.ggml.bos_token_id", Value::U32(1)),
            ("tokenizer.ggml.eos_token_id", Value::U32(2)),
            ("tokenizer.ggml.unknown_token_id", Value::U32(0)),
        ]
        .map(|(key, value)| (key.to_string(), value))
        .into()
    }

    fn tensors(&self) -> Vec<Tensor> {
        let [embedding, feed_forward, vocabulary, experts] = [
            self.embedding_length,
            self.expert_feed_forward_length,
            self.vocabulary_size,
            self.experts,
        ]
        .map(u64::from);
        let tensor = |name: String, dimensions: &[u64], element_type| {
            let dimensions = dimensions.to_vec();
            Tensor {
                name,
                dimensions,
                element_type,
            }
        };
        let mut tensors = vec![
            tensor(
                "token_embd.weight".into(),
                &[embedding, vocabulary],
                GgmlType::F16,
            ),
            tensor("output_norm.weight".into(), &[embedding], GgmlType::F32),
            tensor(
                "output.weight".into(),
                &[embedding, vocabulary],
                GgmlType::F16,
            ),
        ];
        for layer in 0..self.layers {
            let mut add = |part: &str, dimensions: &[u64], element_type| {
                tensors.push(tensor(
                    format!("blk.{layer}.{part}.weight"),
                    dimensions,
                    element_type,
                ));
            };
            add("attn_norm", &[embedding], GgmlType::F32);
            add("attn_q", &[embedding, embedding], GgmlType::F16);
            add("attn_k", &[embedding, embedding], GgmlType::F16);
            add("attn_v", &[embedding, embedding], GgmlType::F16);
            add("attn_output", &[embedding, embedding], GgmlType::F16);
            add("attn_q_norm", &[embedding], GgmlType::F32);
            add("attn_k_norm", &[embedding], GgmlType::F32);
            add("ffn_norm", &[embedding], GgmlType::F32);
            add("ffn_gate_inp", &[embedding, experts], GgmlType::F32);
            add(
                "ffn_gate_exps",
                &[embedding, feed_forward, experts],
                GgmlType::F16,
            );
            add(
                "ffn_up_exps",
                &[embedding, feed_forward, experts],
                GgmlType::F16,
            );
            add(
                "ffn_down_exps",
                &[feed_forward, embedding, experts],
                GgmlType::F16,
            );
        }
        tensors
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> RandomModelError {
    RandomModelError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

/// A file that someone else made must not be lost because it has the name that we were given.
fn refuse_to_replace_others(path: &Path) -> Result<(), RandomModelError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("look at", path, error)),
        Ok(_)
            if GgufHeader::open(path)
                .is_ok_and(|header| header.value(CONTENT_VERSION_KEY).is_some()) =>
        {
            Ok(())
        }
        Ok(_) => Err(RandomModelError::NotOurs {
            path: path.to_path_buf(),
        }),
    }
}

#[cfg(test)]
mod tests;
