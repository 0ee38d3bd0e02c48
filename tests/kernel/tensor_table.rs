//! The table of tensors in a record, beside what a model's pieces must come to.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{model_file::Piece, run_record::RunRecord};

/// What a run says of a piece of the model, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PieceFigures {
    /// Read from the device.
    pub read: u64,
    /// Entered the page cache.
    pub inserted: u64,
    pub evicted: u64,
    /// Entered it after an eviction.
    pub refaulted: u64,
}

/// A row of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The figures that a test can know.
    pub figures: PieceFigures,
    /// Of the bytes read, those of read-ahead.
    pub readahead: u64,
}

/// The rows of the table, one for each piece. The table names the same pieces as the test's own reader of the
/// header found, in the same order, and agrees with the run's totals.
pub fn rows(record: &RunRecord, pieces: &[Piece]) -> Result<Vec<Row>> {
    let tensors = record
        .value("tensors")?
        .as_array()
        .context("tensors is no array")?;
    ensure!(
        tensors.len() == pieces.len(),
        "the record has {} tensors, and the file {} pieces",
        tensors.len(),
        pieces.len()
    );
    let rows = tensors
        .iter()
        .zip(pieces)
        .map(|(tensor, piece)| row(tensor, piece).with_context(|| format!("{tensor}")))
        .collect::<Result<Vec<_>>>()?;
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>();
    for (figure, sum) in [
        ("reads.total_bytes", sum(|row| row.figures.read)),
        ("page_cache.inserted_bytes", sum(|row| row.figures.inserted)),
        ("page_cache.evicted_bytes", sum(|row| row.figures.evicted)),
        (
            "page_cache.refaulted_bytes",
            sum(|row| row.figures.refaulted),
        ),
    ] {
        let total = record.count(figure)?;
        ensure!(
            total == sum,
            "{figure} is {total}, and over the tensors {sum}"
        );
    }
    Ok(rows)
}

fn row(tensor: &Value, piece: &Piece) -> Result<Row> {
    let count = |member: &str| {
        tensor
            .get(member)
            .and_then(Value::as_u64)
            .with_context(|| format!("{member} is no whole number"))
    };
    let optional = |member: &str| tensor.get(member).and_then(Value::as_u64);
    ensure!(
        tensor.get("name").and_then(Value::as_str) == Some(&piece.name)
            && optional("layer") == piece.layer().map(u64::from)
            && optional("expert") == piece.expert.map(u64::from)
            && count("offset_bytes")? == piece.range.start
            && count("bytes")? == piece.bytes(),
        "it is not the piece {piece:?}"
    );
    let row = Row {
        figures: PieceFigures {
            read: count("read_bytes")?,
            inserted: count("inserted_bytes")?,
            evicted: count("evictions_bytes")?,
            refaulted: count("refaults_bytes")?,
        },
        readahead: count("readahead_bytes")?,
    };
    ensure!(
        row.readahead <= row.figures.read,
        "more was read ahead than read"
    );
    let reread = tensor
        .get("reread")
        .and_then(Value::as_f64)
        .context("reread is no number")?;
    let expected = row.figures.read as f64 / piece.bytes() as f64;
    ensure!((reread - expected).abs() < 1e-9, "reread is not {expected}");
    Ok(row)
}

/// The figures are exactly these, piece by piece.
pub fn check_rows(rows: &[Row], pieces: &[Piece], expected: &[PieceFigures]) -> Result<()> {
    for ((row, piece), expected) in rows.iter().zip(pieces).zip(expected) {
        ensure!(
            row.figures == *expected,
            "of {piece:?} the tracer says\n  {:?}\nand it must be\n  {expected:?}",
            row.figures
        );
    }
    Ok(())
}
