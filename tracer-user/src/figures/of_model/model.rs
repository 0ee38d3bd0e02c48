//! What a model is and how it lies on the device.

use crate::{figures::definition::figures, schema::ModelRecord};

use super::reads::NO_SECTORS;

figures! {
    /// The model's own numbers, in the order of `run.json`.
    MODEL of ModelRecord;

    SIZE_BYTES, "model.size_bytes", "size", Bytes, UserSpace, null: "",
        "size of all files",
        |model| model.model.size_bytes;
    DATA_BYTES, "model.data_bytes", "on the device", Bytes, UserSpace, null: NO_SECTORS,
        "size − holes − extents that were allocated and never written: what can be read from a device",
        |model| model.model.data_bytes;
    EXTENTS, "model.extents", "extents", Count, UserSpace, null: NO_SECTORS,
        "pieces on the device, adjoining records of the file system merged. Every read is matched against them, so other files' reads never count",
        |model| model.model.extents;
    LAYERS, "model.layers", "layers", Count, UserSpace, null: "the headers could not be read or do not say",
        "layers",
        |model| model.model.layers;
    EXPERTS, "model.experts.count", "experts", Count, UserSpace, null: "the headers could not be read or do not say",
        "routed experts in a layer",
        |model| model.model.experts.as_ref()?.count;
    EXPERTS_USED, "model.experts.used", "experts used", Count, UserSpace, null: "the headers could not be read or do not say",
        "of them that a token uses",
        |model| model.model.experts.as_ref()?.used;
}
