//! Columns of a Parquet file that is written row by row: the list of reads, and the recording.

use std::io::Write;

use parquet::{data_type::DataType, errors::ParquetError, file::writer::SerializedRowGroupWriter};

/// A column that may have no value in a row.
pub struct Nullable<T> {
    values: Vec<T>,
    /// By row: 1 where there is a value.
    levels: Vec<i16>,
}

impl<T> Default for Nullable<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            levels: Vec::new(),
        }
    }
}

impl<T> Nullable<T> {
    pub fn push(&mut self, value: Option<T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    pub fn clear(&mut self) {
        self.values.clear();
        self.levels.clear();
    }

    /// Writes it as the next column of a group.
    ///
    /// # Errors
    /// As [`write_column`].
    pub fn write<D: DataType<T = T>, W: Write + Send>(
        &self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        write_column::<D, W>(group, &self.values, Some(&self.levels))
    }
}

/// Writes the next column of a group. `levels`, by row: 1 where there is a value; None where each row has one.
///
/// # Errors
/// What the disk says; more columns than the schema has.
pub fn write_column<D: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[D::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("more columns than the schema".into()));
    };
    column.typed::<D>().write_batch(values, levels, None)?;
    column.close()
}
