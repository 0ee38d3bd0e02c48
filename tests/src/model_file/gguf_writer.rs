//! Writing GGUF files of a test's own layout.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result};

/// The format's default alignment of tensors, bytes.
const ALIGNMENT: usize = 32;

/// Type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// 32 bits; written as 1.0.
    F32,
    /// 16 bits; written as random numbers of absolute values from 2⁻⁷ to 2⁻⁵.
    F16,
}

impl Element {
    const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

struct Tensor {
    name: String,
    element: Element,
    dimensions: Vec<u64>,
}

impl Tensor {
    fn bytes(&self) -> usize {
        self.dimensions.iter().product::<u64>() as usize * self.element.bytes()
    }
}

/// A file to write.
pub struct GgufWriter {
    entries: u64,
    metadata: Vec<u8>,
    tensors: Vec<Tensor>,
}

impl GgufWriter {
    /// A file without tensors.
    #[must_use]
    pub fn new(architecture: &str) -> Self {
        let mut writer = Self {
            entries: 0,
            metadata: Vec::new(),
            tensors: Vec::new(),
        };
        writer.text("general.architecture", architecture);
        writer
    }

    /// Adds a whole number.
    pub fn number(&mut self, key: &str, value: u32) {
        self.entry(key, 4);
        self.metadata.extend(value.to_le_bytes());
    }

    /// Adds a real number.
    pub fn real(&mut self, key: &str, value: f32) {
        self.entry(key, 6);
        self.metadata.extend(value.to_le_bytes());
    }

    pub fn text(&mut self, key: &str, value: &str) {
        self.entry(key, 8);
        put_text(&mut self.metadata, value);
    }

    /// Adds a list of texts.
    pub fn texts(&mut self, key: &str, values: &[String]) {
        self.array(key, 8, values.len());
        for value in values {
            put_text(&mut self.metadata, value);
        }
    }

    /// Adds a list of whole numbers.
    pub fn numbers(&mut self, key: &str, values: &[i32]) {
        self.array(key, 5, values.len());
        self.metadata
            .extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    /// Adds a list of real numbers.
    pub fn reals(&mut self, key: &str, values: &[f32]) {
        self.array(key, 6, values.len());
        self.metadata
            .extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    /// Adds a tensor behind those there are. Its first dimension is the one whose elements lie side by side.
    pub fn tensor(&mut self, name: &str, element: Element, dimensions: &[u64]) {
        self.tensors.push(Tensor {
            name: name.into(),
            element,
            dimensions: dimensions.into(),
        });
    }

    /// Writes it.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.write_to(path)
            .with_context(|| format!("write {}", path.display()))
    }

    fn write_to(&self, path: &Path) -> Result<()> {
        let mut header = b"GGUF".to_vec();
        header.extend(3u32.to_le_bytes());
        header.extend((self.tensors.len() as u64).to_le_bytes());
        header.extend(self.entries.to_le_bytes());
        header.extend(&self.metadata);
        let mut offset = 0usize;
        for tensor in &self.tensors {
            put_text(&mut header, &tensor.name);
            header.extend((tensor.dimensions.len() as u32).to_le_bytes());
            header.extend(
                tensor
                    .dimensions
                    .iter()
                    .flat_map(|length| length.to_le_bytes()),
            );
            let kind: u32 = match tensor.element {
                Element::F32 => 0,
                Element::F16 => 1,
            };
            header.extend(kind.to_le_bytes());
            header.extend((offset as u64).to_le_bytes());
            offset = (offset + tensor.bytes()).next_multiple_of(ALIGNMENT);
        }
        header.resize(header.len().next_multiple_of(ALIGNMENT), 0);
        let mut file = BufWriter::new(File::create(path)?);
        file.write_all(&header)?;
        let mut random = fastrand::Rng::with_seed(1);
        for (index, tensor) in self.tensors.iter().enumerate() {
            let elements = tensor.bytes() / tensor.element.bytes();
            for _ in 0..elements {
                match tensor.element {
                    Element::F32 => file.write_all(&1f32.to_le_bytes())?,
                    Element::F16 => {
                        // The exponents 8 and 9 of half precision; sign and fraction are any.
                        let bits = random.u16(..) & 0x83ff | random.u16(8..10) << 10;
                        file.write_all(&bits.to_le_bytes())?;
                    }
                }
            }
            let is_last = index + 1 == self.tensors.len();
            let padded = tensor.bytes().next_multiple_of(ALIGNMENT);
            if !is_last {
                file.write_all(&vec![0; padded - tensor.bytes()])?;
            }
        }
        file.into_inner()
            .map_err(std::io::IntoInnerError::into_error)?
            .sync_all()?;
        Ok(())
    }

    fn entry(&mut self, key: &str, kind: u32) {
        self.entries += 1;
        put_text(&mut self.metadata, key);
        self.metadata.extend(kind.to_le_bytes());
    }

    fn array(&mut self, key: &str, kind: u32, length: usize) {
        self.entry(key, 9);
        self.metadata.extend(kind.to_le_bytes());
        self.metadata.extend((length as u64).to_le_bytes());
    }
}

fn put_text(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as u64).to_le_bytes());
    to.extend(text.as_bytes());
}

/// Writes a dense model with random weights that llama.cpp loads (architecture `llama`): about 65 MiB.
///
/// # Errors
/// Where it cannot be written.
pub fn write_dense_model(path: &Path) -> Result<()> {
    const LAYERS: u32 = 8;
    const EMBEDDING: u64 = 512;
    const FEED_FORWARD: u64 = 2048;
    const HEADS: u32 = 8;
    const VOCABULARY: u32 = 512;
    let mut writer = GgufWriter::new("llama");
    writer.text("general.name", "random");
    for (key, value) in [
        ("context_length", 4096),
        ("embedding_length", EMBEDDING as u32),
        ("block_count", LAYERS),
        ("feed_forward_length", FEED_FORWARD as u32),
        ("attention.head_count", HEADS),
        ("attention.head_count_kv", HEADS),
        ("vocab_size", VOCABULARY),
    ] {
        writer.number(&format!("llama.{key}"), value);
    }
    writer.real("llama.attention.layer_norm_rms_epsilon", 1e-5);
    writer.real("llama.rope.freq_base", 10_000.0);

    // llama.cpp's tokenizer needs a token for each byte. Types: 1 normal, 2 unknown, 3 control, 6 byte.
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(Into::into).into();
    tokens.extend((0..256).map(|byte| format!("<0x{byte:02X}>")));
    let mut kinds = vec![2, 3, 3];
    kinds.resize(tokens.len(), 6);
    tokens.extend((tokens.len()..VOCABULARY as usize).map(|number| format!("t{number}")));
    kinds.resize(tokens.len(), 1);
    writer.text("tokenizer.ggml.model", "llama");
    writer.texts("tokenizer.ggml.tokens", &tokens);
    writer.reals("tokenizer.ggml.scores", &vec![0.0; tokens.len()]);
    writer.numbers("tokenizer.ggml.token_type", &kinds);
    for (key, token) in [("unknown", 0), ("bos", 1), ("eos", 2)] {
        writer.number(&format!("tokenizer.ggml.{key}_token_id"), token);
    }

    let vocabulary = u64::from(VOCABULARY);
    writer.tensor("token_embd.weight", Element::F16, &[EMBEDDING, vocabulary]);
    for layer in 0..LAYERS {
        let mut add = |name: &str, dimensions: &[u64]| {
            let element = if dimensions.len() == 1 {
                Element::F32
            } else {
                Element::F16
            };
            writer.tensor(&format!("blk.{layer}.{name}.weight"), element, dimensions);
        };
        add("attn_norm", &[EMBEDDING]);
        for name in ["attn_q", "attn_k", "attn_v", "attn_output"] {
            add(name, &[EMBEDDING, EMBEDDING]);
        }
        add("ffn_norm", &[EMBEDDING]);
        add("ffn_gate", &[EMBEDDING, FEED_FORWARD]);
        add("ffn_up", &[EMBEDDING, FEED_FORWARD]);
        add("ffn_down", &[FEED_FORWARD, EMBEDDING]);
    }
    writer.tensor("output_norm.weight", Element::F32, &[EMBEDDING]);
    writer.tensor("output.weight", Element::F16, &[EMBEDDING, vocabulary]);
    writer.write(path)
}
