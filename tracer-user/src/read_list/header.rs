//! What a list of reads says of itself, in the file's key-value metadata.

use parquet::file::metadata::KeyValue;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{error::ReadListError, schema::SCHEMA_VERSION};

const SCHEMA_KEY: &str = "tracer.schema_version";
const TRACER_KEY: &str = "tracer.version";
const KERNEL_KEY: &str = "tracer.kernel";
const DEVICES_KEY: &str = "tracer.devices";
const MODELS_KEY: &str = "tracer.models";

/// Where the reads come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadListHeader {
    /// Version of the tracer.
    pub tracer_version: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Names of the devices by slot.
    pub devices: Vec<String>,
    /// The models by slot.
    pub models: Vec<RecordedModel>,
}

/// A model of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedModel {
    /// Path of the model, or the name of a split one.
    pub path: String,
    /// Its files by slot.
    pub files: Vec<RecordedFile>,
}

/// A file of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedFile {
    /// Path.
    pub path: String,
    /// Size, bytes.
    pub size_bytes: u64,
}

impl ReadListHeader {
    /// As metadata. Lists are JSON.
    pub(super) fn to_metadata(&self) -> Result<Vec<KeyValue>, ReadListError> {
        let json = |value: Result<String, serde_json::Error>| {
            value.map_err(|error| ReadListError::Write(error.to_string()))
        };
        Ok([
            (SCHEMA_KEY, SCHEMA_VERSION.to_string()),
            (TRACER_KEY, self.tracer_version.clone()),
            (KERNEL_KEY, self.kernel.clone()),
            (DEVICES_KEY, json(serde_json::to_string(&self.devices))?),
            (MODELS_KEY, json(serde_json::to_string(&self.models))?),
        ]
        .into_iter()
        .map(|(key, value)| KeyValue::new(key.to_owned(), value))
        .collect())
    }

    /// From metadata, of a version that is known.
    pub(super) fn from_metadata(metadata: Option<&Vec<KeyValue>>) -> Result<Self, ReadListError> {
        let value = |key: &'static str| {
            metadata
                .into_iter()
                .flatten()
                .find(|pair| pair.key == key)
                .and_then(|pair| pair.value.clone())
                .ok_or(ReadListError::Foreign(key))
        };
        let version = value(SCHEMA_KEY)?;
        let found: u32 = version.parse().map_err(|_| ReadListError::Metadata {
            key: SCHEMA_KEY,
            value: version,
        })?;
        if found > SCHEMA_VERSION {
            return Err(ReadListError::FutureSchema {
                found,
                known: SCHEMA_VERSION,
            });
        }
        Ok(Self {
            tracer_version: value(TRACER_KEY)?,
            kernel: value(KERNEL_KEY)?,
            devices: from_json(DEVICES_KEY, value(DEVICES_KEY)?)?,
            models: from_json(MODELS_KEY, value(MODELS_KEY)?)?,
        })
    }
}

fn from_json<T: DeserializeOwned>(key: &'static str, value: String) -> Result<T, ReadListError> {
    serde_json::from_str(&value).map_err(|_| ReadListError::Metadata { key, value })
}
