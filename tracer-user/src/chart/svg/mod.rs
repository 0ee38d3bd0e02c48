//! A chart as SVG: for a page, whose style it uses, or as a file of its own.

mod frame;
mod marks;
mod measures;
mod readout;

use crate::markup::Markup;

use self::{frame::Frame, measures::px};
use super::description::Chart;

pub use measures::Size;
pub use readout::{Stop, readout};

/// How charts look: the page has it once, a file of its own brings it along.
pub const STYLE: &str = include_str!("style.css");

/// The chart as an element of a page. `id` is unique there: letters, digits and `-`.
#[must_use]
pub fn svg(chart: &Chart, size: Size, id: &str) -> String {
    let mut markup = Markup::default();
    write(&mut markup, chart, size, id, false);
    markup.finish()
}

/// The chart as a file of its own, which brings its style along and follows the reader's dark mode.
#[must_use]
pub fn standalone(chart: &Chart) -> String {
    let mut markup = Markup::default();
    write(&mut markup, chart, Size::Wide, &chart.name, true);
    markup.line();
    markup.finish()
}

fn write(markup: &mut Markup, chart: &Chart, size: Size, id: &str, alone: bool) {
    let frame = Frame::of(chart, size, alone);
    let (title, about) = (format!("{id}-title"), format!("{id}-about"));
    let view = format!("0 0 {} {}", px(frame.width), px(frame.height));
    let plot = format!(
        "{} {} {} {}",
        px(frame.left),
        px(frame.top),
        px(frame.plot_width),
        px(frame.plot_height)
    );
    let labelled = format!("{title} {about}");
    let (x, y) = (scale_words(&chart.x), scale_words(&chart.y));
    let (width, height) = (px(frame.width), px(frame.height));
    let mut attributes = vec![
        ("xmlns", "http://www.w3.org/2000/svg"),
        ("class", "chart"),
        ("id", id),
        ("role", "img"),
        ("aria-labelledby", labelled.as_str()),
        ("viewBox", view.as_str()),
        ("data-plot", plot.as_str()),
        ("data-x", x.as_str()),
        ("data-y", y.as_str()),
    ];
    if alone {
        attributes.push(("width", width.as_str()));
        attributes.push(("height", height.as_str()));
    }
    markup.open("svg", &attributes);
    markup.element("title", &[("id", &title)], &chart.title);
    markup.element("desc", &[("id", &about)], &chart.sees);
    if alone {
        markup.open("style", &[]);
        markup.markup(STYLE);
        markup.close();
        markup.empty(
            "rect",
            &[("class", "paper"), ("width", "100%"), ("height", "100%")],
        );
        markup.element(
            "text",
            &[("class", "title"), ("x", "12"), ("y", "20")],
            &chart.title,
        );
    }
    frame.write_behind(markup, chart);
    markup.open(
        "svg",
        &[
            ("class", "plot"),
            ("x", &px(frame.left)),
            ("y", &px(frame.top)),
            ("width", &px(frame.plot_width)),
            ("height", &px(frame.plot_height)),
        ],
    );
    markup.open("g", &[("class", "moves")]);
    for mark in &chart.marks {
        marks::write(markup, chart, &frame, mark);
    }
    markup.close();
    marks::write_words(markup, chart, &frame);
    markup.close();
    frame.write_front(markup, chart);
    markup.close();
}

/// An axis for the page's script: how it is spread, its ends, its unit.
fn scale_words(axis: &super::Axis) -> String {
    use super::Scale;
    let kind = match axis.scale {
        Scale::Linear { .. } => "linear",
        Scale::Log { .. } => "log",
        Scale::SignedLog { .. } => "signed-log",
        Scale::Names(_) => "names",
    };
    let (from, to) = axis.scale.ends();
    format!("{kind} {from} {to} {:?}", axis.unit)
}

#[cfg(test)]
mod tests;
