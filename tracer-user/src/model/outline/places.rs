//! From headers to tensors with kind, layer and expert.

use std::collections::HashSet;

use super::error::OutlineError;
use super::notes::Notes;
use super::{ModelFormat, ModelOutline, OutlineFile, TensorPlace};
use crate::model::gguf::{GgufHeader, TensorLength};
use crate::model::names::{NameMeaning, Role, TensorKind, has_component, of_gguf, of_hugging_face};
use crate::model::safetensors::SafetensorsHeader;

/// What the tensors of all files may take in memory. The largest models have some 100,000 tensors.
const MAX_KEPT_BYTES: u64 = 256 << 20;
/// Expert slices over all tensors; the largest models have some 100,000. Each is one more piece of a file.
const MAX_SLICES: u64 = 1 << 20;

/// Architectures (of GGUF) that encode and have no output matrix: the embedding is not used as one.
const ENCODERS: &[&str] = &[
    "bert",
    "modern-bert",
    "neo-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "jina-bert-v2",
    "jina-bert-v3",
    "eurobert",
    "gemma-embedding",
    "llama-embed",
    "t5encoder",
    "wavtokenizer-dec",
    "clip",
];

/// What is said of the model as a whole, by whatever says it.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) architecture: Option<String>,
    pub(super) name: Option<String>,
    pub(super) layer_count: Option<u32>,
    pub(super) expert_count: Option<u32>,
    pub(super) expert_used_count: Option<u32>,
    /// How many of the last layers only predict further tokens.
    pub(super) prediction_layer_count: Option<u32>,
    /// Whether the embedding is said to be the output matrix.
    pub(super) tied: Option<bool>,
}

impl Figures {
    /// What the (first) header says.
    pub(super) fn of_gguf(header: &GgufHeader) -> Self {
        let text = |key: &str| Some(header.value(key)?.as_text()?.to_owned());
        let architecture = text("general.architecture");
        let figure = |key: &str| {
            let key = format!("{}.{key}", architecture.as_deref()?);
            u32::try_from(header.value(&key)?.as_u64()?).ok()
        };
        let is_encoder = architecture
            .as_deref()
            .is_some_and(|name| ENCODERS.contains(&name));
        Self {
            name: text("general.name"),
            layer_count: figure("block_count"),
            // Some dense models say 0.
            expert_count: figure("expert_count").filter(|&count| count > 0),
            expert_used_count: figure("expert_used_count").filter(|&count| count > 0),
            prediction_layer_count: figure("nextn_predict_layers"),
            tied: is_encoder.then_some(false),
            architecture,
        }
    }

    /// Whether a layer of this number takes part in a decode step: the last ones may only predict further tokens.
    /// GGUF counts those among the layers, Hugging Face does not.
    fn is_decoding_layer(&self, layer: u32) -> bool {
        let decoding = self
            .layer_count
            .map(|count| count.saturating_sub(self.prediction_layer_count.unwrap_or(0)));
        decoding.is_none_or(|count| layer < count)
    }
}

/// The tensors of the files read so far.
#[derive(Default)]
pub(super) struct Placed {
    pub(super) tensors: Vec<TensorPlace>,
    kept_bytes: u64,
}

impl Placed {
    /// Adds the tensors of a GGUF file.
    pub(super) fn add_gguf(&mut self, file: u16, header: GgufHeader) -> Result<(), OutlineError> {
        let places = header.tensors.into_iter().map(|tensor| {
            let length_is_exact = tensor.length == TensorLength::Exact;
            TensorPlace {
                row_bytes: row_bytes(&tensor.dimensions, tensor.length_bytes)
                    .filter(|_| length_is_exact),
                name: tensor.name,
                file,
                offset_bytes: tensor.file_offset_bytes,
                length_bytes: tensor.length_bytes,
                length_is_exact,
                dimensions: tensor.dimensions,
                element_type: tensor.element_type.to_string(),
                ..unnamed()
            }
        });
        self.add(places)
    }

    /// Adds the tensors of a safetensors file.
    pub(super) fn add_safetensors(
        &mut self,
        file: u16,
        header: SafetensorsHeader,
    ) -> Result<(), OutlineError> {
        let places = header.tensors.into_iter().map(|tensor| {
            let mut dimensions = tensor.shape;
            dimensions.reverse();
            TensorPlace {
                row_bytes: row_bytes(&dimensions, tensor.length_bytes),
                name: tensor.name,
                file,
                offset_bytes: tensor.file_offset_bytes,
                length_bytes: tensor.length_bytes,
                // The file gives both ends.
                length_is_exact: true,
                dimensions,
                element_type: tensor.element_type,
                ..unnamed()
            }
        });
        self.add(places)
    }

    fn add(&mut self, places: impl Iterator<Item = TensorPlace>) -> Result<(), OutlineError> {
        let first = self.tensors.len();
        for place in places {
            // Twice the structure: a growing vector has up to twice its length as capacity.
            let held = 2 * size_of::<TensorPlace>()
                + place.name.len()
                + place.element_type.len()
                + 8 * place.dimensions.len();
            self.kept_bytes = self.kept_bytes.saturating_add(held as u64);
            if self.kept_bytes > MAX_KEPT_BYTES {
                let limit_bytes = MAX_KEPT_BYTES;
                return Err(OutlineError::TooMuch { limit_bytes });
            }
            self.tensors.push(place);
        }
        if let Some(added) = self.tensors.get_mut(first..) {
            added.sort_by_key(|tensor| (tensor.offset_bytes, tensor.length_bytes));
        }
        Ok(())
    }

    /// Fails if a name occurs twice (within one file it cannot: the headers were checked).
    pub(super) fn check_names(&self, files: &[OutlineFile]) -> Result<(), OutlineError> {
        let path = |file: u16| {
            let file = files.get(usize::from(file));
            file.map(|file| file.path.clone()).unwrap_or_default()
        };
        let mut by_name: Vec<&TensorPlace> = self.tensors.iter().collect();
        by_name.sort_by(|one, other| one.name.cmp(&other.name));
        for pair in by_name.windows(2) {
            if let [one, other] = pair
                && one.name == other.name
            {
                return Err(OutlineError::DuplicateTensor {
                    name: one.name.clone(),
                    first: path(one.file),
                    second: path(other.file),
                });
            }
        }
        Ok(())
    }

    /// Says of each tensor what it is, and makes the outline.
    pub(super) fn finish(
        mut self,
        format: ModelFormat,
        files: Vec<OutlineFile>,
        figures: Figures,
        mut notes: Notes,
    ) -> ModelOutline {
        let has = |wanted| {
            let mut names = self.tensors.iter().map(|tensor| &tensor.name);
            names.any(|name| has_component(name, wanted))
        };
        let encoder_decoder =
            format == ModelFormat::Safetensors && has("encoder") && has("decoder");
        let meaning = |name: &str| match format {
            ModelFormat::Gguf => of_gguf(name),
            ModelFormat::Safetensors => of_hugging_face(name, encoder_decoder),
        };

        let mut prediction_layers = HashSet::new();
        let mut has_output = false;
        let mut has_embedding = false;
        let mut slices_left = MAX_SLICES;
        for tensor in &mut self.tensors {
            let meaning = meaning(&tensor.name);
            tensor.kind = meaning.kind;
            tensor.layer = meaning.layer;
            tensor.expert = meaning.expert;
            tensor.used_by_decode_step = meaning.role != Role::Aside
                && meaning
                    .layer
                    .is_none_or(|layer| figures.is_decoding_layer(layer));
            if meaning.role == Role::Aside
                && has_component(&tensor.name, "nextn")
                && let Some(layer) = meaning.layer
            {
                prediction_layers.insert(layer);
            }
            has_output |= meaning.role == Role::OutputMatrix;
            has_embedding |= meaning.role == Role::TokenEmbedding;
            let slices = expert_slices(tensor, meaning, figures.expert_count);
            if let Some(slices) = slices
                && let Some(left) = slices_left.checked_sub(u64::from(slices))
            {
                slices_left = left;
                tensor.expert_slices = Some(slices);
            } else if slices.is_some() {
                notes.add(format!(
                    "tensor {:?} is not divided into experts: the model would have more than {MAX_SLICES} slices",
                    tensor.name
                ));
            }
        }
        for tensor in &mut self.tensors {
            if tensor
                .layer
                .is_some_and(|layer| prediction_layers.contains(&layer))
            {
                tensor.used_by_decode_step = false;
            }
        }
        ModelOutline {
            format,
            architecture: figures.architecture,
            name: figures.name,
            layer_count: figures.layer_count,
            expert_count: figures.expert_count,
            expert_used_count: figures.expert_used_count,
            files,
            tensors: self.tensors,
            tied_output: has_embedding && !has_output && figures.tied != Some(false),
            notes: notes.finish(),
        }
    }
}

/// A place of which only the name has not been looked at yet.
fn unnamed() -> TensorPlace {
    TensorPlace {
        name: String::new(),
        file: 0,
        offset_bytes: 0,
        length_bytes: 0,
        length_is_exact: false,
        kind: TensorKind::Other,
        layer: None,
        expert_slices: None,
        expert: None,
        dimensions: Vec::new(),
        element_type: String::new(),
        used_by_decode_step: true,
        row_bytes: None,
    }
}

/// Bytes of one row of a tensor of that length. It divides exactly only if rows are whole numbers of bytes.
fn row_bytes(dimensions: &[u64], length_bytes: u64) -> Option<u64> {
    let rows = dimensions
        .iter()
        .skip(1)
        .try_fold(1u64, |product, &size| product.checked_mul(size))?;
    if length_bytes.checked_rem(rows)? != 0 {
        return None;
    }
    length_bytes.checked_div(rows)
}

fn expert_slices(
    tensor: &TensorPlace,
    meaning: NameMeaning,
    expert_count: Option<u32>,
) -> Option<u32> {
    let count = expert_count?;
    let holds_all = meaning.kind == TensorKind::ExpertFfn && meaning.expert.is_none();
    // With one dimension alone it would not be the outermost of anything.
    let is_outermost =
        tensor.dimensions.len() >= 2 && tensor.dimensions.last() == Some(&u64::from(count));
    let divides = tensor.length_bytes.checked_rem(u64::from(count)) == Some(0);
    (holds_all && is_outermost && tensor.length_is_exact && divides).then_some(count)
}
