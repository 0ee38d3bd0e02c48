//! Where the tensors of a GGUF file lie: a small reader of its own, for files that the tests made
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).

use std::{fs::File, io::Read as _, ops::Range, path::Path};

use anyhow::{Context as _, Result, bail, ensure};

/// More than any header of a test's model, bytes.
const MOST_HEADER_BYTES: u64 = 4 << 20;

/// A part of the file that is one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Name of the tensor; `(header)` or `(padding)` for what is none.
    pub name: String,
    /// The expert, where the tensor holds those of a layer one after the other.
    pub expert: Option<u32>,
    /// Its bytes in the file.
    pub range: Range<u64>,
}

impl Piece {
    /// The layer, by the tensor's name.
    #[must_use]
    pub fn layer(&self) -> Option<u32> {
        self.name
            .strip_prefix("blk.")?
            .split_once('.')?
            .0
            .parse()
            .ok()
    }

    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Its bytes in some ranges of the file, each range counted for itself.
    #[must_use]
    pub fn bytes_in(&self, ranges: &[Range<u64>]) -> u64 {
        ranges
            .iter()
            .map(|range| {
                self.range
                    .end
                    .min(range.end)
                    .saturating_sub(self.range.start.max(range.start))
            })
            .sum()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Tensor {
    name: String,
    dimensions: Vec<u64>,
    range: Range<u64>,
}

/// What a file is made of.
#[derive(Clone, Debug)]
pub struct GgufLayout {
    data_start: u64,
    size_bytes: u64,
    tensors: Vec<Tensor>,
}

impl GgufLayout {
    /// Reads a file's header. This brings a part of the file into the page cache.
    ///
    /// # Errors
    /// Where the file is none that a test made: another version, or tensors that are neither F32 nor F16.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let size_bytes = file.metadata().context("look at the file")?.len();
        let mut header = Vec::new();
        file.take(MOST_HEADER_BYTES)
            .read_to_end(&mut header)
            .context("read the header")?;
        Self::parse(&header, size_bytes)
            .with_context(|| format!("the header of {}", path.display()))
    }

    fn parse(header: &[u8], size_bytes: u64) -> Result<Self> {
        let mut cursor = Cursor {
            bytes: header,
            position: 0,
        };
        ensure!(cursor.take(4)? == b"GGUF", "it is no GGUF file");
        let version = cursor.u32()?;
        ensure!(version == 3, "version {version}");
        let (tensors, entries) = (cursor.u64()?, cursor.u64()?);
        let mut alignment = 32;
        for _ in 0..entries {
            let key = cursor.text()?;
            let kind = cursor.u32()?;
            if key == "general.alignment" {
                alignment = u64::from(cursor.u32()?);
            } else {
                cursor.skip_value(kind)?;
            }
        }
        let mut found = Vec::new();
        for _ in 0..tensors {
            let name = cursor.text()?;
            let dimensions = (0..cursor.u32()?)
                .map(|_| cursor.u64())
                .collect::<Result<Vec<_>>>()?;
            let element_bytes = match cursor.u32()? {
                0 => 4,
                1 => 2,
                kind => bail!("{name} has elements of type {kind}"),
            };
            let offset = cursor.u64()?;
            found.push((name, dimensions, element_bytes, offset));
        }
        let data_start = (cursor.position as u64).next_multiple_of(alignment);
        let mut tensors: Vec<_> = found
            .into_iter()
            .map(|(name, dimensions, element_bytes, offset)| {
                let start = data_start + offset;
                let bytes = dimensions.iter().product::<u64>() * element_bytes;
                Tensor {
                    name,
                    dimensions,
                    range: start..start + bytes,
                }
            })
            .collect();
        tensors.sort_by_key(|tensor| tensor.range.start);
        Ok(Self {
            data_start,
            size_bytes,
            tensors,
        })
    }

    /// The whole file in pieces: header, tensors (a tensor of several experts in one piece for each), and what
    /// lies between and behind them.
    #[must_use]
    pub fn pieces(&self) -> Vec<Piece> {
        let mut pieces = vec![Piece {
            name: "(header)".into(),
            expert: None,
            range: 0..self.data_start,
        }];
        let mut end = self.data_start;
        let padding = |range: Range<u64>| {
            (!range.is_empty()).then(|| Piece {
                name: "(padding)".into(),
                expert: None,
                range,
            })
        };
        for tensor in &self.tensors {
            pieces.extend(padding(end..tensor.range.start));
            end = tensor.range.end;
            let slices = match tensor.dimensions[..] {
                [_, _, experts] if tensor.name.contains("_exps.") => experts,
                _ => 1,
            };
            let bytes = (tensor.range.end - tensor.range.start) / slices;
            pieces.extend((0..slices).map(|slice| {
                let start = tensor.range.start + slice * bytes;
                Piece {
                    name: tensor.name.clone(),
                    expert: (slices > 1).then_some(slice as u32),
                    range: start..start + bytes,
                }
            }));
        }
        pieces.extend(padding(end..self.size_bytes));
        pieces
    }

    /// The bytes of a row of a matrix.
    ///
    /// # Errors
    /// Where there is no such tensor or row.
    pub fn row(&self, name: &str, row: u64) -> Result<Range<u64>> {
        let tensor = self
            .tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .with_context(|| format!("there is no tensor {name}"))?;
        let [_, rows] = tensor.dimensions[..] else {
            bail!("{name} is no matrix");
        };
        ensure!(row < rows, "{name} has {rows} rows, and none {row}");
        let bytes = (tensor.range.end - tensor.range.start) / rows;
        let start = tensor.range.start + row * bytes;
        Ok(start..start + bytes)
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let taken = self
            .bytes
            .get(self.position..)
            .and_then(|rest| rest.get(..length))
            .with_context(|| format!("it ends within {length} bytes at {}", self.position))?;
        self.position += length;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into()?))
    }

    fn text(&mut self) -> Result<String> {
        let length = usize::try_from(self.u64()?)?;
        String::from_utf8(self.take(length)?.to_vec()).context("a name is no UTF-8")
    }

    fn skip_value(&mut self, kind: u32) -> Result<()> {
        match kind {
            0 | 1 | 7 => self.take(1).map(drop),
            2 | 3 => self.take(2).map(drop),
            4..=6 => self.take(4).map(drop),
            8 => self.text().map(drop),
            9 => {
                let (kind, count) = (self.u32()?, self.u64()?);
                ensure!(kind != 9, "an array of arrays");
                (0..count).try_for_each(|_| self.skip_value(kind))
            }
            10..=12 => self.take(8).map(drop),
            _ => bail!("a value of type {kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GgufLayout, Piece};
    use crate::model_file::gguf_writer::{Element, GgufWriter};

    #[test]
    fn what_is_written_is_read_and_nothing_is_left_out() {
        let mut writer = GgufWriter::new("llama");
        writer.number("llama.block_count", 1);
        writer.texts("tokenizer.ggml.tokens", &["a".into(), "bc".into()]);
        writer.tensor("token_embd.weight", Element::F16, &[5, 3]);
        writer.tensor("blk.7.ffn_up_exps.weight", Element::F32, &[4, 3, 2]);
        let directory = std::env::temp_dir().join(format!("gguf-{}", std::process::id()));
        writer.write(&directory).expect("write");
        let layout = GgufLayout::read(&directory).expect("our own file");
        let size = std::fs::metadata(&directory).expect("it is there").len();
        std::fs::remove_file(&directory).expect("remove");
        let pieces = layout.pieces();
        let shape: Vec<_> = pieces
            .iter()
            .map(|piece| (piece.name.as_str(), piece.expert, piece.bytes()))
            .collect();
        assert_eq!(
            shape[1..],
            [
                ("token_embd.weight", None, 30),
                ("(padding)", None, 2),
                ("blk.7.ffn_up_exps.weight", Some(0), 48),
                ("blk.7.ffn_up_exps.weight", Some(1), 48),
            ]
        );
        assert!(
            pieces
                .windows(2)
                .all(|pair| pair[0].range.end == pair[1].range.start)
        );
        assert_eq!(pieces.iter().map(Piece::bytes).sum::<u64>(), size);
        assert_eq!((pieces[3].layer(), pieces[0].layer()), (Some(7), None));
        let row = layout.row("token_embd.weight", 1).expect("a row");
        assert_eq!(row, pieces[1].range.start + 10..pieces[1].range.start + 20);
        assert!(layout.row("token_embd.weight", 3).is_err());
        assert_eq!(pieces[1].bytes_in(&[0..size, row]), 40);
    }
}
