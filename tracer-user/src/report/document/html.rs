//! A document as HTML: the elements of a page's body.

use crate::{
    chart::{Size, readout, svg},
    markup::{Markup, one_line},
};

use super::{
    block::{Content, Document, List, Note, Tone},
    drawing::Drawing,
    escape,
    table::{Align, Table},
    text::{Span, Text},
};

const HEADINGS: [&str; 6] = ["h1", "h2", "h3", "h4", "h5", "h6"];

/// The document's elements, one after the other.
#[must_use]
pub fn html(document: &Document) -> String {
    let mut markup = Markup::default();
    for block in document.blocks() {
        let anchor = block.anchor.as_deref().map(escape::anchor);
        let id: Vec<(&'static str, &str)> = anchor.iter().map(|id| ("id", id.as_str())).collect();
        write_block(&mut markup, &block.content, &id);
        markup.line();
    }
    markup.finish()
}

fn write_block(markup: &mut Markup, content: &Content, id: &[(&'static str, &str)]) {
    match content {
        Content::Heading { level, text } => {
            let name = HEADINGS
                .get(usize::from(*level).saturating_sub(1))
                .unwrap_or(&"h6");
            markup.open(name, id);
            words(markup, text);
            markup.close();
        }
        Content::Paragraph(text) => {
            markup.open("p", id);
            words(markup, text);
            markup.close();
        }
        Content::Note(note) => write_note(markup, note, id),
        Content::Table(table) => write_table(markup, table, id),
        Content::List(list) => write_list(markup, list, id),
        Content::Code(code) => {
            markup.open("pre", id);
            markup.open("code", &[]);
            markup.text_lines(code);
            markup.close();
            markup.close();
        }
        Content::Drawing(drawing) => write_drawing(markup, drawing, id),
    }
}

fn words(markup: &mut Markup, text: &Text) {
    for span in text.spans() {
        match span {
            Span::Plain(words) => markup.text(words),
            Span::Strong(words) => markup.element("strong", &[], words),
            Span::Code(code) => markup.element("code", &[], code),
            Span::Link { text, anchor } => {
                let to = format!("#{}", escape::anchor(anchor));
                markup.element("a", &[("href", &to)], text);
            }
        }
    }
}

fn write_note(markup: &mut Markup, note: &Note, id: &[(&'static str, &str)]) {
    let (class, sign) = match note.tone {
        Tone::Plain => ("note", ""),
        Tone::Good => ("note good", "✓ "),
        Tone::Caution => ("note caution", "! "),
        Tone::Alarm => ("note alarm", "⚠ "),
    };
    markup.open("p", &[&[("class", class)], id].concat());
    markup.text(sign);
    words(markup, &note.text);
    markup.close();
}

fn write_list(markup: &mut Markup, list: &List, id: &[(&'static str, &str)]) {
    if list.items.is_empty() {
        return;
    }
    markup.open(if list.numbered { "ol" } else { "ul" }, id);
    for item in &list.items {
        markup.open("li", &[]);
        words(markup, item);
        markup.close();
    }
    markup.close();
}

fn write_table(markup: &mut Markup, table: &Table, id: &[(&'static str, &str)]) {
    if table.is_empty() {
        return;
    }
    // A wide table is scrolled, not the page: also by the keyboard.
    markup.open(
        "div",
        &[&[("class", "scroll"), ("tabindex", "0")], id].concat(),
    );
    markup.open("table", &[]);
    if let Some(caption) = table.caption() {
        markup.open("caption", &[]);
        words(markup, caption);
        markup.close();
    }
    let side = |align: Align| match align {
        Align::Left => "l",
        Align::Right => "r",
    };
    markup.open("thead", &[]);
    markup.open("tr", &[]);
    for column in table.columns() {
        markup.open("th", &[("scope", "col"), ("class", side(column.align))]);
        words(markup, &column.heading);
        markup.close();
    }
    markup.close();
    markup.close();
    markup.open("tbody", &[]);
    for row in table.rows() {
        markup.open("tr", &[]);
        for (at, cell) in row.iter().enumerate() {
            markup.open("td", &[("class", side(table.align(cell, at)))]);
            words(markup, &cell.text);
            markup.close();
        }
        markup.close();
    }
    markup.close();
    markup.close();
    markup.close();
}

/// The chart twice, for a screen and for a phone, of which the page's style shows one; its sentence; what its places say,
/// for the page's script; and its table behind a fold.
fn write_drawing(markup: &mut Markup, drawing: &Drawing, id: &[(&'static str, &str)]) {
    let chart = &drawing.chart;
    let name = escape::anchor(&chart.name);
    markup.open("figure", id);
    markup.element("h3", &[], &chart.title);
    markup.element("p", &[("class", "sees")], &chart.sees);
    let zooms = if chart.zooms() { "yes" } else { "no" };
    markup.open("div", &[("class", "drawn"), ("data-zooms", zooms)]);
    for (size, class, suffix) in [(Size::Wide, "wide", "w"), (Size::Narrow, "narrow", "n")] {
        markup.open("div", &[("class", class)]);
        markup.markup(&svg(chart, size, &format!("{name}-{suffix}")));
        markup.close();
    }
    markup.close();
    let stops = readout(chart);
    if !stops.is_empty() {
        markup.open("pre", &[("class", "stops"), ("hidden", "")]);
        for stop in stops {
            let y = stop.y.map_or_else(|| "-".to_owned(), |y| format!("{y:.4}"));
            markup.text(&format!("{:.5} {y} {}", stop.x, one_line(&stop.says)));
            markup.line();
        }
        markup.close();
    }
    if !drawing.table.is_empty() {
        markup.open("details", &[("class", "figures")]);
        markup.element("summary", &[], "The figures as a table");
        write_table(markup, &drawing.table, &[]);
        markup.close();
    }
    markup.close();
}

#[cfg(test)]
mod tests {
    use super::html;
    use crate::report::document::{Column, Document, Table, Text, Tone};

    #[test]
    fn each_block_is_an_element() {
        let mut document = Document::default();
        document.heading(2, "Figures").anchor("figures");
        document.paragraph(
            Text::plain("See ")
                .link("them", "figures")
                .then(" in ")
                .code("run.json"),
        );
        document.note(Tone::Alarm, "wrong");
        let mut table = Table::new([Column::left("phase"), Column::right("read")]);
        table.row(["load", "1"]);
        document.table(table);
        document.code("a\nb");
        assert_eq!(
            html(&document),
            "<h2 id=\"figures\">Figures</h2>\n<p>See <a href=\"#figures\">them</a> in <code>run.json</code></p>\n<p class=\"note alarm\">⚠ wrong</p>\n<div class=\"scroll\" tabindex=\"0\"><table><thead><tr><th scope=\"col\" class=\"l\">phase</th><th scope=\"col\" class=\"r\">read</th></tr></thead><tbody><tr><td class=\"l\">load</td><td class=\"r\">1</td></tr></tbody></table></div>\n<pre><code>a\nb</code></pre>\n"
        );
    }

    #[test]
    fn a_foreign_name_is_no_element_in_any_block() {
        let hostile = "</td><script>x</script>\" onclick=\"y";
        let mut document = Document::default();
        document.heading(1, hostile).anchor(hostile);
        document.paragraph(
            Text::plain(hostile)
                .strong(hostile)
                .code(hostile)
                .link(hostile, hostile),
        );
        document.note(Tone::Plain, hostile);
        document.list([hostile]);
        document.code(hostile);
        let mut table = Table::new([hostile]).captioned(hostile);
        table.row([hostile]);
        document.table(table);
        let written = html(&document);
        assert!(!written.contains("<script"), "{written}");
        assert!(!written.contains("onclick=\""), "{written}");
        assert_eq!(written.matches("</td>").count(), 1, "{written}");
    }
}
