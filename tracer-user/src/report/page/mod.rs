//! A document as a page of its own: one file that needs no network, and that runs nothing but its own script.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::{chart, markup::Markup};

use super::document::{Document, html};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The parts of a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// What stands in the browser's title.
    pub title: String,
    /// What a reader sees first: the verdict, whether it can be trusted.
    pub first: Document,
    /// The results: for each model its name, and each figure's label and value.
    pub results: Vec<(String, Vec<(String, String)>)>,
    /// What these figures mean, behind a fold.
    pub meanings: Document,
    /// The charts, and what was left out.
    pub charts: Document,
    /// Everything else, behind a fold.
    pub details: Document,
}

/// The page as a file.
#[must_use]
pub fn page(page: &Page) -> String {
    let style = format!("{STYLE}{}", chart::STYLE);
    let mut markup = Markup::default();
    markup.markup("<!doctype html>\n");
    markup.open("html", &[("lang", "en")]);
    markup.open("head", &[]);
    markup.empty("meta", &[("charset", "utf-8")]);
    markup.empty(
        "meta",
        &[
            ("http-equiv", "Content-Security-Policy"),
            ("content", &policy(&style)),
        ],
    );
    markup.empty(
        "meta",
        &[
            ("name", "viewport"),
            ("content", "width=device-width,initial-scale=1"),
        ],
    );
    markup.empty(
        "meta",
        &[("name", "color-scheme"), ("content", "light dark")],
    );
    markup.element("title", &[], &page.title);
    markup.open("style", &[]);
    markup.markup(&style);
    markup.close();
    markup.close();
    markup.open("body", &[]);
    markup.open("header", &[]);
    markup.markup(&html(&page.first));
    write_results(&mut markup, &page.results);
    if !page.meanings.is_empty() {
        markup.open("details", &[]);
        markup.element("summary", &[], "What these figures mean");
        markup.markup(&html(&page.meanings));
        markup.close();
    }
    markup.close();
    markup.open("main", &[]);
    markup.markup(&html(&page.charts));
    if !page.details.is_empty() {
        markup.open("details", &[("class", "all")]);
        markup.element("summary", &[], "All figures of this report");
        markup.markup(&html(&page.details));
        markup.close();
    }
    markup.close();
    markup.open("script", &[]);
    markup.markup(SCRIPT);
    markup.close();
    markup.line();
    markup.finish() + "\n"
}

/// A tile for each figure; the model's name over them where there are several.
fn write_results(markup: &mut Markup, results: &[(String, Vec<(String, String)>)]) {
    for (model, figures) in results {
        if results.len() > 1 {
            markup.element("p", &[("class", "of")], model);
        }
        markup.open("dl", &[("class", "tiles")]);
        for (label, value) in figures {
            markup.open("div", &[]);
            markup.element("dt", &[], label);
            markup.element("dd", &[], value);
            markup.close();
        }
        markup.close();
    }
}

/// What the page may do: its own style and its own script, known by their digests, and nothing else.
fn policy(style: &str) -> String {
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        digest(style),
        digest(SCRIPT)
    )
}

fn digest(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::{Page, SCRIPT, page};
    use crate::report::document::Document;

    #[test]
    fn the_page_runs_its_own_script_alone_and_loads_nothing() {
        let mut first = Document::default();
        first.heading(1, "</title><script src=//x>");
        let written = page(&Page {
            title: "</title><script>alert(1)</script>".into(),
            first,
            ..Page::default()
        });
        assert_eq!(written.matches("<script").count(), 1, "{written}");
        assert_eq!(written.matches("<style").count(), 1);
        assert!(
            written.contains("default-src 'none'; style-src &#39;")
                || written.contains("default-src &#39;none&#39;")
        );
        for foreign in ["src=", "href=\"http", "@import", "url(", " style=", "eval("] {
            assert!(
                !written.replace("src=//x", "").contains(foreign),
                "{foreign}"
            );
        }
        // What would end the element, or make the digest another one.
        assert!(!SCRIPT.contains("</") && !SCRIPT.contains('\r'));
    }
}
