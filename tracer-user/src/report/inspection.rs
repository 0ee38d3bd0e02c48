//! A model's inside as text.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};

use crate::{
    schema::{InspectedGroup, InspectedPiece, ModelInspection},
    units::{bytes, count, observed_bytes, share, unobserved},
};

/// Extents that are listed; the JSON has all of them.
const EXTENTS_SHOWN: usize = 8;
/// Lines of the order in the file; the JSON has all of it.
const ORDER_SHOWN: usize = 40;
const DEFAULT_COLUMNS: u16 = 120;
const NARROWEST_COLUMNS: u16 = 50;

/// The model as text of `columns` characters; None where the output is no terminal.
#[must_use]
pub fn inspection(model: &ModelInspection, columns: Option<u16>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail, so the results are dropped throughout.
    let _ = writeln!(text, "{}", printable(&model.path));
    let or = |value: &Option<String>| value.as_deref().map_or_else(unobserved, printable);
    let _ = writeln!(
        text,
        "{} {}{}, {}{}",
        or(&model.architecture),
        or(&model.format),
        model
            .name
            .as_deref()
            .map_or_else(String::new, |name| format!(" \"{}\"", printable(name))),
        bytes(model.size_bytes),
        model
            .layers
            .map_or_else(String::new, |layers| format!(", {layers} layers")),
    );
    if let Some(experts) = model.experts {
        let _ = writeln!(
            text,
            "{} experts in a layer, of which a token uses {}",
            experts.count, experts.used
        );
    }
    let _ = writeln!(
        text,
        "a decode step with one token uses {}; {} in the page cache{}",
        observed_bytes(model.step_need_bytes),
        observed_bytes(model.resident_bytes),
        model
            .resident_bytes
            .filter(|_| model.size_bytes > 0)
            .map_or_else(String::new, |resident| {
                format!(
                    " ({})",
                    share(Some((resident as f64 / model.size_bytes as f64).min(1.0)))
                )
            }),
    );
    files(&mut text, model, columns);
    groups(
        &mut text,
        "Kinds",
        "kind",
        &model.kinds,
        model.size_bytes,
        columns,
    );
    groups(
        &mut text,
        "Layers",
        "layer",
        &model.layer_sizes,
        model.size_bytes,
        columns,
    );
    order(&mut text, &model.order, columns);
    for note in &model.notes {
        let _ = writeln!(text, "note: {}", printable(note));
    }
    text
}

/// Names come from files: what would move the cursor is replaced.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                '\u{fffd}'
            } else {
                character
            }
        })
        .collect()
}

fn table(
    text: &mut String,
    title: &str,
    header: &[&str],
    rows: Vec<Vec<String>>,
    columns: Option<u16>,
) {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(columns.unwrap_or(DEFAULT_COLUMNS).max(NARROWEST_COLUMNS))
        .set_header(header);
    table.add_rows(rows);
    if columns.is_none() {
        table.force_no_tty();
    }
    let _ = writeln!(text, "\n{title}\n{table}");
}

fn files(text: &mut String, model: &ModelInspection, columns: Option<u16>) {
    let mut rows = Vec::new();
    for file in &model.files {
        let extents = file.extents.as_ref();
        rows.push(vec![
            printable(&file.path),
            bytes(file.size_bytes),
            printable(&file.filesystem),
            file.device.clone().unwrap_or_else(unobserved),
            extents.map_or_else(unobserved, |extents| count(extents.len() as u64)),
            file.without_sectors
                .as_deref()
                .map(printable)
                .unwrap_or_default(),
        ]);
        for extent in extents.into_iter().flatten().take(EXTENTS_SHOWN) {
            rows.push(vec![
                format!("  from byte {}", count(extent.file_offset_bytes)),
                bytes(extent.length_bytes),
                String::new(),
                String::new(),
                format!("sector {}", count(extent.disk_sector)),
                String::new(),
            ]);
        }
    }
    table(
        text,
        "Files",
        &[
            "file",
            "size",
            "file system",
            "disk",
            "extents",
            "without sectors, since",
        ],
        rows,
        columns,
    );
}

fn groups(
    text: &mut String,
    title: &str,
    name: &str,
    groups: &[InspectedGroup],
    size_bytes: u64,
    columns: Option<u16>,
) {
    if groups.is_empty() {
        return;
    }
    let rows = groups
        .iter()
        .map(|group| {
            vec![
                group.name.clone(),
                count(group.tensors),
                bytes(group.bytes),
                share((size_bytes > 0).then(|| group.bytes as f64 / size_bytes as f64)),
                observed_bytes(group.resident_bytes),
            ]
        })
        .collect();
    table(
        text,
        title,
        &[name, "tensors", "size", "share", "in the page cache"],
        rows,
        columns,
    );
}

/// Runs of tensors of one layer, in the order of the files.
fn order(text: &mut String, pieces: &[InspectedPiece], columns: Option<u16>) {
    let label = |piece: &InspectedPiece| match piece.layer {
        Some(layer) => format!("layer {layer}"),
        None => printable(&piece.name),
    };
    let mut runs: Vec<(u64, u64, String, u64)> = Vec::new();
    for piece in pieces.iter().filter(|piece| piece.kind != "padding") {
        let own = label(piece);
        match runs.last_mut() {
            Some((file, _, last, sum)) if *file == piece.file && *last == own => {
                *sum += piece.bytes;
            }
            _ => runs.push((piece.file, piece.offset_bytes, own, piece.bytes)),
        }
    }
    let left_out = runs.len().saturating_sub(ORDER_SHOWN);
    let rows = runs
        .into_iter()
        .take(ORDER_SHOWN)
        .map(|(file, offset, name, sum)| vec![file.to_string(), count(offset), name, bytes(sum)])
        .collect();
    table(
        text,
        "Order in the files",
        &["file", "from byte", "what", "size"],
        rows,
        columns,
    );
    if left_out > 0 {
        let _ = writeln!(text, "{left_out} more; --json has all of them");
    }
}
