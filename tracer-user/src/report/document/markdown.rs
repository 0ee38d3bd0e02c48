//! A document as Markdown (CommonMark with GitHub's tables).

use super::{
    block::{Block, Content, Document, List, Note, Tone},
    escape,
    table::{Align, Table},
    text::{Span, Text},
};

/// The document as Markdown.
#[must_use]
pub fn markdown(document: &Document) -> String {
    let mut text = String::new();
    let mut blocks = document.blocks().iter().peekable();
    while let Some(block) = blocks.next() {
        let Some(written) = write_block(block) else {
            continue;
        };
        text.push_str(&written);
        let next = blocks.peek().map(|next| &next.content);
        // Notes that follow each other are one quotation.
        if matches!(
            (&block.content, next),
            (Content::Note(_), Some(Content::Note(_)))
        ) {
            text.push_str("  \n");
        } else {
            text.push_str("\n\n");
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The block without a line end after it; `None` where there is nothing to show.
fn write_block(block: &Block) -> Option<String> {
    let written = match &block.content {
        Content::Heading { level, text } => {
            format!(
                "{} {}",
                "#".repeat(usize::from(*level)),
                within(text, Place::Line)
            )
        }
        Content::Paragraph(text) => words(text),
        Content::Note(note) => write_note(note),
        Content::Table(table) => write_table(table)?,
        Content::List(list) => write_list(list)?,
        Content::Code(code) => escape::markdown_code_block(code),
        Content::Drawing(drawing) => {
            let table = write_table(&drawing.table).unwrap_or_default();
            format!("{}\n\n{table}", words(&Text::plain(&drawing.chart.sees)))
        }
    };
    Some(match &block.anchor {
        Some(anchor) => format!("<a id=\"{}\"></a>\n\n{written}", escape::anchor(anchor)),
        None => written,
    })
}

/// Where a text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// At the begin of a block: what would start a list or a quotation there is escaped.
    Block,
    /// After something else on its line.
    Line,
    Cell,
}

fn words(text: &Text) -> String {
    within(text, Place::Block)
}

fn within(text: &Text, place: Place) -> String {
    let mut line = String::new();
    for span in text.spans() {
        let before = line
            .chars()
            .last()
            .or((place != Place::Block).then_some(' '));
        match span {
            Span::Plain(words) => line.push_str(&escape::markdown_words(words, before)),
            Span::Strong(words) if words.trim().is_empty() => {}
            Span::Strong(words) => {
                let words = escape::markdown_words(words.trim(), before);
                line.push_str(&format!("**{words}**"));
            }
            Span::Code(code) => line.push_str(&escape::markdown_code(code, place == Place::Cell)),
            Span::Link { text, anchor } => {
                let words = escape::markdown_words(text, before);
                line.push_str(&format!("[{words}](#{})", escape::anchor(anchor)));
            }
        }
    }
    line
}

fn write_note(note: &Note) -> String {
    let words = words(&note.text);
    match note.tone {
        Tone::Alarm => format!("> ⚠ {words}"),
        Tone::Plain | Tone::Good | Tone::Caution => format!("> {words}"),
    }
}

fn write_list(list: &List) -> Option<String> {
    let items = list.items.iter().enumerate().map(|(at, item)| {
        if list.numbered {
            format!("{}. {}", at + 1, words(item))
        } else {
            format!("- {}", words(item))
        }
    });
    let items: Vec<String> = items.collect();
    (!items.is_empty()).then(|| items.join("\n"))
}

fn write_table(table: &Table) -> Option<String> {
    if table.is_empty() {
        return None;
    }
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let mut lines = Vec::with_capacity(table.rows().len() + 4);
    if let Some(caption) = table.caption() {
        lines.push(words(caption));
        lines.push(String::new());
    }
    let headings = table.columns().iter();
    lines.push(line(
        headings
            .map(|column| within(&column.heading, Place::Cell))
            .collect(),
    ));
    let rules: Vec<&str> = table
        .columns()
        .iter()
        .map(|column| match column.align {
            Align::Left => "---",
            Align::Right => "--:",
        })
        .collect();
    lines.push(format!("|{}|", rules.join("|")));
    for row in table.rows() {
        lines.push(line(
            row.iter()
                .map(|cell| within(&cell.text, Place::Cell))
                .collect(),
        ));
    }
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::markdown;
    use crate::report::document::{Column, Document, Table, Text, Tone};

    #[test]
    fn each_block_is_written_apart_from_the_others() {
        let mut document = Document::default();
        document.heading(1, "Title");
        document.note(Tone::Good, "one");
        document.note(Tone::Plain, "two");
        document.heading(2, "Figures").anchor("figures");
        document.paragraph(
            Text::plain("See ")
                .link("the figures", "figures")
                .then(" in ")
                .code("run.json")
                .then("; ")
                .strong("all of them")
                .then("."),
        );
        let mut table =
            Table::new([Column::left("phase"), Column::right("read")]).captioned("By phase.");
        table.row(["load", "1"]).row(["idle"]);
        document.table(table);
        document.list(["a", "b"]);
        document.numbered_list(["c"]);
        document.code("x");
        assert_eq!(
            markdown(&document),
            "# Title\n\n> one  \n> two\n\n<a id=\"figures\"></a>\n\n## Figures\n\nSee [the figures](#figures) in `run.json`; **all of them**.\n\nBy phase.\n\n| phase | read |\n|---|--:|\n| load | 1 |\n| idle |  |\n\n- a\n- b\n\n1. c\n\n```\nx\n```\n"
        );
    }

    #[test]
    fn a_foreign_name_is_no_markup_in_any_block() {
        let hostile = "a|b\nc `d` <script> \u{1b}[0m [x](y) **z**";
        let safe = "a\\|b c \\`d\\` \\<script> \u{fffd}\\[0m \\[x\\](y) \\*\\*z\\*\\*";
        let mut document = Document::default();
        document.heading(1, hostile);
        document.paragraph(hostile);
        document.note(Tone::Plain, hostile);
        document.list([hostile]);
        let mut table = Table::new([hostile, "other"]).captioned(hostile);
        table.row([hostile, "1"]);
        table.row([Text::default().code("a|b"), "2".into()]);
        document.table(table);
        assert_eq!(
            markdown(&document),
            format!(
                "# {safe}\n\n{safe}\n\n> {safe}\n\n- {safe}\n\n{safe}\n\n| {safe} | other |\n|---|---|\n| {safe} | 1 |\n| `a\\|b` | 2 |\n"
            )
        );
    }

    #[test]
    fn a_table_without_rows_leaves_no_mark() {
        let mut document = Document::default();
        document.paragraph("one");
        document.table(Table::new(["a"]).captioned("b"));
        document.paragraph("two");
        assert_eq!(markdown(&document), "one\n\ntwo\n");
    }
}
