//! A model's inside as a document.

use crate::{
    schema::{InspectedGroup, InspectedPiece, ModelInspection},
    stats::formulas::ratio,
    units::{bytes, count, observed_bytes, share, unobserved},
};

use super::document::{self, Column, Document, Table, Text, Tone};

/// Extents that are listed; the JSON has all of them.
const EXTENTS_SHOWN: usize = 8;
/// Lines of the order in the file; the JSON has all of it.
const ORDER_SHOWN: usize = 40;

/// The model in lines of `columns` characters; None where the output is no terminal.
#[must_use]
pub fn inspection(model: &ModelInspection, columns: Option<u16>) -> String {
    let mut document = Document::default();
    subject(&mut document, model);
    document.heading(2, "Files");
    document.table(files(model));
    for (title, name, groups) in [
        ("Kinds", "kind", &model.kinds),
        ("Layers", "layer", &model.layer_sizes),
    ] {
        if !groups.is_empty() {
            document.heading(2, title);
            document.table(table_of_groups(name, groups, model.size_bytes));
        }
    }
    order(&mut document, &model.order);
    for note in &model.notes {
        document.note(Tone::Plain, Text::with_code(&format!("Note: {note}")));
    }
    document::terminal(&document, columns)
}

fn subject(document: &mut Document, model: &ModelInspection) {
    document.paragraph(&model.path);
    let or = |value: &Option<String>| value.clone().unwrap_or_else(unobserved);
    document.paragraph(format!(
        "{} {}{}, {}{}",
        or(&model.architecture),
        or(&model.format),
        model
            .name
            .as_deref()
            .map_or_else(String::new, |name| format!(" \"{name}\"")),
        bytes(model.size_bytes),
        model
            .layers
            .map_or_else(String::new, |layers| format!(", {layers} layers")),
    ));
    if let Some(experts) = model.experts {
        document.paragraph(format!(
            "{} experts in a layer, of which a token uses {}",
            experts.count, experts.used
        ));
    }
    let share_of_model = model
        .resident_bytes
        .and_then(|resident| ratio(resident, model.size_bytes))
        .map(|part| part.min(1.0));
    document.paragraph(format!(
        "a decode step with one token uses {}; {} in the page cache{}",
        observed_bytes(model.step_need_bytes),
        observed_bytes(model.resident_bytes),
        share_of_model.map_or_else(String::new, |part| format!(" ({})", share(Some(part)))),
    ));
}

fn files(model: &ModelInspection) -> Table {
    let mut table = Table::new([
        Column::left("file"),
        Column::right("size"),
        Column::left("file system"),
        Column::left("disk"),
        Column::right("extents"),
        Column::left("without sectors, since"),
    ]);
    for file in &model.files {
        let extents = file.extents.as_ref();
        table.row([
            file.path.clone(),
            bytes(file.size_bytes),
            file.filesystem.clone(),
            file.device.clone().unwrap_or_else(unobserved),
            extents.map_or_else(unobserved, |extents| count(extents.len() as u64)),
            file.without_sectors.clone().unwrap_or_default(),
        ]);
        for extent in extents.into_iter().flatten().take(EXTENTS_SHOWN) {
            table.row([
                format!("  from byte {}", count(extent.file_offset_bytes)),
                bytes(extent.length_bytes),
                String::new(),
                String::new(),
                format!("sector {}", count(extent.disk_sector)),
            ]);
        }
    }
    table
}

fn table_of_groups(name: &str, groups: &[InspectedGroup], size_bytes: u64) -> Table {
    Table::new([
        Column::left(name),
        Column::right("tensors"),
        Column::right("size"),
        Column::right("share"),
        Column::right("in the page cache"),
    ])
    .with_rows(groups.iter().map(|group| {
        [
            group.name.clone(),
            count(group.tensors),
            bytes(group.bytes),
            share(ratio(group.bytes, size_bytes)),
            observed_bytes(group.resident_bytes),
        ]
    }))
}

/// Runs of tensors of one layer, in the order of the files.
fn order(document: &mut Document, pieces: &[InspectedPiece]) {
    let label = |piece: &InspectedPiece| match piece.layer {
        Some(layer) => format!("layer {layer}"),
        None => piece.name.clone(),
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
    if runs.is_empty() {
        return;
    }
    let left_out = runs.len().saturating_sub(ORDER_SHOWN);
    let rows = runs
        .into_iter()
        .take(ORDER_SHOWN)
        .map(|(file, offset, name, sum)| [file.to_string(), count(offset), name, bytes(sum)]);
    document.heading(2, "Order in the files");
    document.table(
        Table::new([
            Column::right("file"),
            Column::right("from byte"),
            Column::left("what"),
            Column::right("size"),
        ])
        .with_rows(rows),
    );
    if left_out > 0 {
        document.paragraph(
            Text::plain(format!("{left_out} more; "))
                .code("--json")
                .then(" has all of them"),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::schema::{InspectedGroup, InspectedPiece, ModelInspection};

    use super::{ORDER_SHOWN, inspection};

    #[test]
    fn a_model_is_shown_on_a_narrow_terminal_whatever_its_names_hold() {
        let piece = |at: u32| InspectedPiece {
            name: format!("t{at}"),
            layer: Some(at),
            bytes: 8,
            ..InspectedPiece::default()
        };
        let model = ModelInspection {
            path: "m\u{1b}[2J.gguf".into(),
            size_bytes: 1 << 30,
            kinds: vec![InspectedGroup {
                name: "expert_ffn".into(),
                tensors: 3,
                bytes: 1 << 29,
                ..InspectedGroup::default()
            }],
            order: (0..ORDER_SHOWN as u32 + 2).map(piece).collect(),
            ..ModelInspection::default()
        };
        for columns in [None, Some(40)] {
            let text = inspection(&model, columns);
            assert!(text.starts_with("m\u{fffd}[2J.gguf\n"), "{text}");
            for part in [
                "expert_ffn",
                "50.0 %",
                "not observed",
                "layer 39",
                "2 more; `--json`",
            ] {
                assert!(text.contains(part), "{part}:\n{text}");
            }
            assert!(!text.contains("layer 40"), "{text}");
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= columns.map(usize::from).or(Some(120)), "{text}");
        }
    }
}
