//! Small model files for tests, put together in memory.

/// A GGUF file of version 3; tensors lie one after the other, aligned to 32 bytes.
#[derive(Default, Clone)]
pub(in crate::model) struct GgufFile {
    version: u32,
    metadata: Vec<u8>,
    metadata_count: u64,
    infos: Vec<u8>,
    tensor_count: u64,
    data_bytes: u64,
}

impl GgufFile {
    pub(in crate::model) fn new() -> Self {
        Self {
            version: 3,
            ..Self::default()
        }
    }

    pub(in crate::model) fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    pub(in crate::model) fn text(mut self, key: &str, value: &str) -> Self {
        self.key(key, 8);
        push_text(&mut self.metadata, value);
        self
    }

    pub(in crate::model) fn figure(mut self, key: &str, value: u32) -> Self {
        self.key(key, 4);
        self.metadata.extend(value.to_le_bytes());
        self
    }

    pub(in crate::model) fn figure16(mut self, key: &str, value: u16) -> Self {
        self.key(key, 2);
        self.metadata.extend(value.to_le_bytes());
        self
    }

    /// Of that many bytes, wherever the type's own length would end.
    pub(in crate::model) fn tensor(
        mut self,
        name: &str,
        dimensions: &[u64],
        element_type: u32,
        length_bytes: u64,
    ) -> Self {
        let offset = self.data_bytes.next_multiple_of(32);
        self = self.tensor_at(name, dimensions, element_type, offset);
        self.data_bytes = offset + length_bytes;
        self
    }

    /// At any offset from the data start, with no data of its own.
    pub(in crate::model) fn tensor_at(
        mut self,
        name: &str,
        dimensions: &[u64],
        element_type: u32,
        offset: u64,
    ) -> Self {
        push_text(&mut self.infos, name);
        self.infos.extend((dimensions.len() as u32).to_le_bytes());
        for dimension in dimensions {
            self.infos.extend(dimension.to_le_bytes());
        }
        self.infos.extend(element_type.to_le_bytes());
        self.infos.extend(offset.to_le_bytes());
        self.tensor_count += 1;
        self
    }

    /// F32, of the length that its dimensions give.
    pub(in crate::model) fn f32(self, name: &str, dimensions: &[u64]) -> Self {
        let length_bytes = 4 * dimensions.iter().product::<u64>();
        self.tensor(name, dimensions, 0, length_bytes)
    }

    pub(in crate::model) fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.tensor_count.to_le_bytes());
        bytes.extend(self.metadata_count.to_le_bytes());
        bytes.extend(&self.metadata);
        bytes.extend(&self.infos);
        let data_start = bytes.len().next_multiple_of(32);
        bytes.resize(data_start + self.data_bytes as usize, 0);
        bytes
    }

    fn key(&mut self, key: &str, value_type: u32) {
        push_text(&mut self.metadata, key);
        self.metadata.extend(value_type.to_le_bytes());
        self.metadata_count += 1;
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// A safetensors file; tensors lie one after the other.
#[derive(Default, Clone)]
pub(in crate::model) struct SafetensorsFile {
    entries: Vec<String>,
    data_bytes: u64,
}

impl SafetensorsFile {
    pub(in crate::model) fn new() -> Self {
        Self::default()
    }

    /// Of BF16, outermost dimension first.
    pub(in crate::model) fn bf16(self, name: &str, shape: &[u64]) -> Self {
        let length_bytes = 2 * shape.iter().product::<u64>();
        self.tensor(name, shape, "BF16", length_bytes)
    }

    pub(in crate::model) fn tensor(
        mut self,
        name: &str,
        shape: &[u64],
        dtype: &str,
        length_bytes: u64,
    ) -> Self {
        let (begin, end) = (self.data_bytes, self.data_bytes + length_bytes);
        self.entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#
        ));
        self.data_bytes = end;
        self
    }

    pub(in crate::model) fn bytes(&self) -> Vec<u8> {
        self.bytes_of(&format!("{{{}}}", self.entries.join(",")))
    }

    /// The same data under any header.
    pub(in crate::model) fn bytes_of(&self, json: &str) -> Vec<u8> {
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend(json.as_bytes());
        bytes.resize(bytes.len() + self.data_bytes as usize, 0);
        bytes
    }
}

/// A mixture of two experts of four: 2 layers, one of them with a shared expert, and a hole at the end of the data.
pub(in crate::model) fn mixture() -> GgufFile {
    let mut file = GgufFile::new()
        .text("general.architecture", "olmoe")
        .text("general.name", "a mixture")
        .figure("olmoe.block_count", 2)
        .figure("olmoe.expert_count", 4)
        .figure("olmoe.expert_used_count", 2)
        .f32("token_embd.weight", &[8, 10])
        .f32("output_norm.weight", &[8])
        .tensor("output.weight", &[32, 10], 8, 340);
    for layer in 0..2 {
        let name = |what: &str| format!("blk.{layer}.{what}.weight");
        file = file
            .f32(&name("attn_q"), &[8, 8])
            .f32(&name("ffn_gate_inp"), &[8, 4])
            .f32(&name("ffn_gate_exps"), &[8, 3, 4])
            .tensor(&name("ffn_down_exps"), &[32, 3, 4], 2, 18 * 3 * 4);
    }
    file.f32("blk.1.ffn_up_shexp.weight", &[8, 3])
}
