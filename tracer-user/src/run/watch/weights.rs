//! Where the engine's log says that the weights are.

use crate::{
    process::{BufferPurpose, BufferSize},
    schema::EngineRecord,
};

/// Puts into the record what the engine's buffers say. `layers`: how many are on a GPU, and how many there are.
pub fn add_places_of_weights(
    record: &mut EngineRecord,
    buffers: &[BufferSize],
    layers: Option<(u64, u64)>,
) {
    use BufferPurpose::{Mapped, Model, Repack};
    let weights: Vec<&BufferSize> = buffers
        .iter()
        .filter(|buffer| matches!(buffer.purpose, Model | Mapped | Repack))
        .collect();
    let first = weights.first();
    let several = weights
        .iter()
        .any(|buffer| first.is_some_and(|first| first.model_file != buffer.model_file));
    if several {
        // Which of them the run's model is, nothing says for sure.
        return;
    }
    (record.offloaded_layers, record.layers) = layers.unzip();
    let sum = |of: &dyn Fn(&BufferSize) -> bool| {
        let bytes = weights.iter().filter(|buffer| of(buffer));
        first.map(|_| bytes.map(|buffer| buffer.bytes).sum())
    };
    record.copied_weights_bytes = sum(&|buffer| buffer.purpose != Mapped);
    record.offloaded_weights_bytes =
        sum(&|buffer| buffer.purpose == Model && !is_host_memory(buffer.device.as_deref()));
}

/// `CPU`, `CPU_REPACK`, `AMX`, and what a GPU's driver locks in host memory (`CUDA_Host`).
fn is_host_memory(device: Option<&str>) -> bool {
    device.is_none_or(|device| {
        device.starts_with("CPU") || device.starts_with("AMX") || device.ends_with("_Host")
    })
}
