//! A document on the terminal: text without colours.

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, Table as Grid, Width as GridWidth, presets,
};

use crate::markup::{self, one_line};

use super::{
    block::{Content, Document, List},
    table::{Align, Table},
    text::{Span, Text},
    width::{Width, columns_of, widest_word},
};

/// Words that are wider than this may be broken.
const WHOLE_WORD_COLUMNS: usize = 16;
/// Cells up to so many columns are not broken; the first width with which all columns fit is taken.
const WHOLE_CELL_COLUMNS: [usize; 3] = [24, 12, 0];
/// The blanks on both sides of a cell, and one between two cells.
const AROUND_CELL_COLUMNS: usize = 3;
/// The blanks on both sides of a cell.
const PADDING_COLUMNS: usize = 2;
/// The frame on both sides of a table, less the blank that the last cell has no other cell behind.
const FRAME_COLUMNS: usize = 1;

/// The document in lines of at most `columns` characters; `None` where the output is no terminal: then tables take at
/// most 120 columns, and a sentence is one line.
#[must_use]
pub fn terminal(document: &Document, columns: Option<u16>) -> String {
    let width = Width::of(columns);
    let mut lines = Vec::new();
    let mut before: Option<&Content> = None;
    for block in document.blocks() {
        if is_nothing(&block.content) {
            continue;
        }
        if before.is_some_and(|before| apart(before, &block.content)) {
            lines.push(String::new());
        }
        write_block(&mut lines, &block.content, width);
        before = Some(&block.content);
    }
    let mut text = String::new();
    for line in lines {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Whether there is nothing to show.
fn is_nothing(content: &Content) -> bool {
    match content {
        Content::Table(table) => table.is_empty(),
        Content::List(list) => list.items.is_empty(),
        Content::Heading { .. }
        | Content::Paragraph(_)
        | Content::Note(_)
        | Content::Code(_)
        | Content::Drawing(_) => false,
    }
}

/// Whether an empty line stands between two blocks.
fn apart(before: &Content, after: &Content) -> bool {
    !matches!(
        (before, after),
        (Content::Note(_), Content::Note(_))
            | (
                Content::Paragraph(_),
                Content::Paragraph(_) | Content::List(_)
            )
            | (Content::Note(_), Content::List(_))
            | (Content::Heading { .. }, _)
    )
}

fn write_block(lines: &mut Vec<String>, content: &Content, width: Width) {
    match content {
        Content::Drawing(drawing) => {
            fold(lines, &one_line(&drawing.chart.sees), "", "", width);
            write_table(lines, &drawing.table, width);
        }
        Content::Heading { level, text } => heading(lines, *level, &shown(text), width),
        Content::Paragraph(text) => fold(lines, &shown(text), "", "", width),
        Content::Note(note) => fold(lines, &shown(&note.text), "", "  ", width),
        Content::Table(table) => write_table(lines, table, width),
        Content::List(list) => write_list(lines, list, width),
        Content::Code(code) => {
            lines.extend(markup::lines(code).map(|line| format!("    {line}")));
        }
    }
}

fn fold(lines: &mut Vec<String>, text: &str, first: &str, others: &str, width: Width) {
    let folded = width.fold(text, first, others);
    lines.extend(folded.into_iter().map(std::borrow::Cow::into_owned));
}

/// A text's characters on a terminal. Code is marked, so that its end can be seen.
fn shown(text: &Text) -> String {
    let spans = text.spans().iter().map(|span| match span {
        Span::Plain(words) | Span::Strong(words) | Span::Link { text: words, .. } => {
            one_line(words).into_owned()
        }
        Span::Code(code) => format!("`{}`", one_line(code)),
    });
    spans.collect()
}

fn heading(lines: &mut Vec<String>, level: u8, text: &str, width: Width) {
    match level {
        1 => {
            let first = lines.len();
            fold(lines, text, "", "", width);
            let widest = lines[first..].iter().map(|line| columns_of(line)).max();
            let underline = widest.unwrap_or(0).min(usize::from(width.columns()));
            lines.push("═".repeat(underline));
        }
        2 => fold(lines, text, "── ", "   ", width),
        _ => fold(lines, text, "─ ", "  ", width),
    }
}

fn write_list(lines: &mut Vec<String>, list: &List, width: Width) {
    for (at, item) in list.items.iter().enumerate() {
        let mark = if list.numbered {
            format!("{}. ", at + 1)
        } else {
            "• ".to_owned()
        };
        let indent = " ".repeat(columns_of(&mark));
        fold(lines, &shown(item), &mark, &indent, width);
    }
}

fn write_table(lines: &mut Vec<String>, table: &Table, width: Width) {
    if let Some(caption) = table.caption() {
        fold(lines, &shown(caption), "", "", width);
    }
    let headings: Vec<String> = table
        .columns()
        .iter()
        .map(|column| shown(&column.heading))
        .collect();
    let rows: Vec<Vec<String>> = table
        .rows()
        .iter()
        .map(|row| row.iter().map(|cell| shown(&cell.text)).collect())
        .collect();
    let fitting = WHOLE_CELL_COLUMNS
        .into_iter()
        .map(|whole| least_columns(&headings, &rows, whole))
        .find(|least| {
            let needed: usize = least.iter().map(|least| least + AROUND_CELL_COLUMNS).sum();
            needed + FRAME_COLUMNS <= usize::from(width.columns())
        });
    match fitting {
        Some(least) => lines.extend(grid(table, &headings, &rows, &least, width).lines()),
        None => write_rows_one_by_one(lines, &headings, &rows, width),
    }
}

/// The narrowest that each column may become: cells of up to `whole` columns stay on one line, longer ones take two
/// lines or, where they are sentences, more.
fn least_columns(headings: &[String], rows: &[Vec<String>], whole: usize) -> Vec<usize> {
    let mut least: Vec<usize> = headings
        .iter()
        .map(|heading| widest_word(heading))
        .collect();
    for row in rows {
        for (least, cell) in least.iter_mut().zip(row) {
            let columns = columns_of(cell);
            *least = (*least).max(if columns <= whole {
                columns
            } else {
                let half = columns.div_ceil(2).max(widest_word(cell));
                half.min(WHOLE_WORD_COLUMNS)
            });
        }
    }
    least
        .into_iter()
        .map(|least| least.clamp(1, whole.max(WHOLE_WORD_COLUMNS)))
        .collect()
}

fn grid(
    table: &Table,
    headings: &[String],
    rows: &[Vec<String>],
    least: &[usize],
    width: Width,
) -> Grid {
    let mut grid = Grid::new();
    grid.load_style(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width.columns())
        .force_no_tty();
    let cell = |text: &str, align: Align| {
        comfy_table::Cell::new(text).set_alignment(match align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        })
    };
    let titled = table.columns().iter().zip(headings);
    if headings.iter().any(|heading| !heading.is_empty()) {
        grid.set_header(titled.map(|(column, heading)| cell(heading, column.align)));
    }
    for (row, texts) in table.rows().iter().zip(rows) {
        let cells = row.iter().zip(texts).enumerate();
        grid.add_row(cells.map(|(at, (own, text))| cell(text, table.align(own, at))));
    }
    grid.set_constraints(least.iter().map(|least| {
        ColumnConstraint::LowerBoundary(GridWidth::Fixed((least + PADDING_COLUMNS) as u16))
    }));
    grid
}

/// Each row as a name and its figures below it, where the columns do not fit beside each other.
fn write_rows_one_by_one(
    lines: &mut Vec<String>,
    headings: &[String],
    rows: &[Vec<String>],
    width: Width,
) {
    for row in rows {
        let mut cells = headings.iter().zip(row);
        if let Some((_, name)) = cells.next() {
            fold(lines, name, "", "  ", width);
        }
        for (heading, text) in cells.filter(|(_, text)| !text.is_empty()) {
            if heading.is_empty() {
                fold(lines, text, "  ", "    ", width);
            } else {
                fold(lines, &format!("{heading}: {text}"), "  ", "    ", width);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{columns_of, terminal};
    use crate::report::document::{Column, Document, Table, Text, Tone};

    const HOSTILE: &str = "m\u{1b}[31m|`x`\n# y\u{202e}";

    fn sample() -> Document {
        let mut document = Document::default();
        document.heading(1, format!("Run of {HOSTILE}"));
        document.note(
            Tone::Alarm,
            "2 of 7 self-checks DO NOT HOLD; do not quote the figures they are about:",
        );
        document.list(["sectors: kernel 8 ≠ stream 7"]);
        document.heading(2, "What was read");
        document.paragraph(Text::plain("All of it is in ").code("run.json").then("."));
        let mut table = Table::new([
            Column::left("phase"),
            Column::right("read"),
            Column::right("amplification"),
            Column::left("what it says"),
        ])
        .captioned("By phase.");
        table.row([
            "load",
            "1.20 GiB",
            "1.000×",
            "until the model had been loaded",
        ]);
        table.row([HOSTILE, "12.00 GiB", "11.000×", ""]);
        document.table(table);
        document.code("tracer launch -- llama-cli\n\u{1b}[2J");
        document
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in [40, 60, 80, 200] {
            let text = terminal(&sample(), Some(columns));
            for line in text.lines() {
                assert!(
                    columns_of(line) <= usize::from(columns),
                    "{columns}: {line}\n{text}"
                );
            }
        }
    }

    #[test]
    fn a_foreign_name_can_do_nothing_to_the_terminal() {
        for columns in [None, Some(40)] {
            let text = terminal(&sample(), columns);
            assert!(
                text.chars().all(|c| c == '\n' || !c.is_control()),
                "{text:?}"
            );
            assert!(!text.contains('\u{202e}'));
            assert!(text.contains("m\u{fffd}[31m|`x` # y\u{fffd}"), "{text}");
        }
    }

    #[test]
    fn amounts_stand_below_each_other() {
        let text = terminal(&sample(), Some(100));
        let ends: Vec<usize> = ["1.20 GiB", "12.00 GiB"]
            .iter()
            .map(|amount| {
                let line = text
                    .lines()
                    .find(|line| line.contains(amount))
                    .expect("a row");
                columns_of(line.split_once(amount).expect("the amount").0) + amount.len()
            })
            .collect();
        assert_eq!(ends[0], ends[1], "{text}");
    }

    #[test]
    fn where_columns_do_not_fit_a_row_is_a_list() {
        let text = terminal(&sample(), Some(40));
        assert!(text.contains("\nload\n  read: 1.20 GiB\n  amplification: 1.000×\n  what it says: until the model had been\n    loaded\n"), "{text}");
        assert!(terminal(&sample(), Some(100)).contains("│ load"));
    }

    #[test]
    fn an_amount_stays_beside_its_unit_where_there_is_room() {
        let mut table = Table::new(vec![Column::right("amount"); 6]);
        table.row([
            "1.20 GiB",
            "12.00 GiB",
            "1.000×",
            "98.7 %",
            "7,970,712",
            "a long name that may be broken anywhere",
        ]);
        let mut document = Document::default();
        document.table(table);
        let text = terminal(&document, Some(80));
        assert!(
            text.contains("1.20 GiB   12.00 GiB   1.000×   98.7 %"),
            "{text}"
        );
    }

    #[test]
    fn without_a_terminal_a_sentence_is_one_line() {
        let text = terminal(&sample(), None);
        assert!(text.contains("\n2 of 7 self-checks DO NOT HOLD; do not quote the figures they are about:\n• sectors"), "{text}");
        assert!(text.contains("All of it is in `run.json`."), "{text}");
    }

    #[test]
    fn a_table_without_rows_leaves_no_mark() {
        let mut document = Document::default();
        document.paragraph("one");
        document.table(Table::new(["a"]).captioned("b"));
        document.paragraph("two");
        assert_eq!(terminal(&document, None), "one\ntwo\n");
    }
}
