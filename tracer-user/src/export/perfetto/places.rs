//! Offsets in a model's files → names of tensors, for what is shown of a read or a wait.

use crate::schema::ModelRecord;

/// What a range of bytes holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The tensor at its begin, or what else is there.
    pub name: &'a str,
    /// Of one that is divided into experts: which.
    pub expert: Option<u32>,
    /// How many tensors the range touches.
    pub count: u64,
}

/// The tensors of one model, in the order of the files.
#[derive(Debug)]
pub struct Places<'a> {
    tensors: Vec<Tensor<'a>>,
}

#[derive(Debug)]
struct Tensor<'a> {
    file: u64,
    begin: u64,
    end: u64,
    name: &'a str,
    expert: Option<u32>,
}

impl<'a> Places<'a> {
    pub fn of(model: &'a ModelRecord) -> Self {
        let mut tensors: Vec<Tensor<'a>> = model
            .tensors
            .iter()
            .flatten()
            .map(|tensor| Tensor {
                file: tensor.file,
                begin: tensor.offset_bytes,
                end: tensor.offset_bytes.saturating_add(tensor.bytes),
                name: &tensor.name,
                expert: tensor.expert,
            })
            .collect();
        tensors.sort_by_key(|tensor| (tensor.file, tensor.begin));
        Self { tensors }
    }

    /// What lies there; `None` where no header told.
    pub fn find(&self, file: u64, offset_bytes: u64, bytes: u64) -> Option<Found<'a>> {
        let end = offset_bytes.saturating_add(bytes.max(1));
        let first = self
            .tensors
            .partition_point(|tensor| (tensor.file, tensor.end) <= (file, offset_bytes));
        let touched = self
            .tensors
            .get(first..)?
            .iter()
            .take_while(|tensor| tensor.file == file && tensor.begin < end);
        let count = touched.count() as u64;
        let tensor = self.tensors.get(first).filter(|_| count > 0)?;
        Some(Found {
            name: tensor.name,
            expert: tensor.expert,
            count,
        })
    }
}
