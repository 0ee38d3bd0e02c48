//! The exported figures as the table of `docs/METRICS_EXPORT.md`.

use super::exported::EXPORTED;

const BEGIN: &str = "<!-- exported -->\n";
const END: &str = "<!-- end -->";

/// The document with the table between its markers.
///
/// # Errors
/// A marker is missing.
pub fn filled_in(document: &str) -> Result<String, String> {
    let missing = |marker: &str| format!("no `{}` stands in it", marker.trim());
    let (before, rest) = document.split_once(BEGIN).ok_or_else(|| missing(BEGIN))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| missing(END))?;
    Ok(format!("{before}{BEGIN}{}{END}{after}", table()))
}

fn table() -> String {
    let mut text = "| metric | type | labels | meaning | member of `run.json` | not there | road |\n|---|---|---|---|---|---|---|\n".to_owned();
    for exported in EXPORTED {
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | `{}` | {} | {} |\n",
            exported.name(),
            exported.kind.name(),
            exported.labels().join(", "),
            exported.meaning(),
            exported.member(),
            exported.absent(),
            exported.road(),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::filled_in;
    use crate::metrics::{
        ServiceFigure,
        exported::{EXPORTED, Kind, PREFIX},
    };

    #[test]
    fn the_document_shows_what_is_exported() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/METRICS_EXPORT.md");
        let document = std::fs::read_to_string(path).expect("docs/METRICS_EXPORT.md is read");
        let wanted =
            filled_in(&document).unwrap_or_else(|why| panic!("docs/METRICS_EXPORT.md: {why}"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &wanted).expect("docs/METRICS_EXPORT.md is written");
        } else {
            assert!(
                document == wanted,
                "docs/METRICS_EXPORT.md does not show what is exported: run `cargo xtask lint --bless`"
            );
        }
    }

    #[test]
    fn names_are_valid_each_another_and_in_base_units() {
        let mut seen = BTreeSet::from([format!("{PREFIX}build_info")]);
        for exported in EXPORTED {
            let name = exported.name();
            let valid = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(
                name.bytes().all(valid) && name.starts_with(PREFIX),
                "{name}"
            );
            assert!(
                !name.contains("__") && !name.contains("unconverted"),
                "{name}"
            );
            let counts = exported.kind == Kind::Counter;
            assert_eq!(name.ends_with("_total"), counts, "{name}");
            assert!(!exported.meaning().is_empty(), "{name}");
            assert!(seen.insert(name.clone()), "{name} is there twice");
        }
    }

    /// Names of metrics in a text.
    fn named(text: &str) -> BTreeSet<&str> {
        let is_of_name = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        text.match_indices(PREFIX)
            .filter(|(at, _)| !text[..*at].ends_with(is_of_name))
            .filter_map(|(at, _)| text[at..].split(|letter| !is_of_name(letter)).next())
            .collect()
    }

    #[test]
    fn the_dashboard_and_the_rules_ask_for_what_there_is() {
        let exported: BTreeSet<String> = EXPORTED
            .iter()
            .flat_map(|exported| {
                let ends: &[&str] = match exported.kind {
                    // Its sum is not known.
                    Kind::Histogram => &["_bucket", "_count"],
                    Kind::Counter | Kind::Gauge => &[""],
                };
                let name = exported.name();
                ends.iter().map(move |end| format!("{name}{end}"))
            })
            .chain([format!("{PREFIX}build_info")])
            .chain(ServiceFigure::ALL.map(|figure| figure.name().to_owned()))
            .collect();
        let dashboard = include_str!("../../../deploy/grafana/tracer.json");
        let rules = include_str!("../../../deploy/prometheus/tracer.rules.yml");
        for (text, at_least) in [(dashboard, 16), (rules, 6)] {
            let named = named(text);
            assert!(named.len() >= at_least, "{named:?}");
            for name in named {
                assert!(exported.contains(name), "there is no metric {name}");
            }
        }
    }

    #[test]
    fn the_document_shows_what_the_service_says_of_itself() {
        let document = include_str!("../../../docs/METRICS_EXPORT.md");
        for figure in ServiceFigure::ALL {
            let row = format!(
                "| `{}` | {} | {} |",
                figure.name(),
                figure.kind().name(),
                figure.meaning()
            );
            assert!(document.contains(&row), "no row {row}");
            let is_total = figure.name().ends_with("_total");
            assert_eq!(is_total, figure.kind() == Kind::Counter, "{row}");
        }
    }

    #[test]
    fn the_dashboard_is_one() {
        let text = include_str!("../../../deploy/grafana/tracer.json");
        let dashboard: serde_json::Value = serde_json::from_str(text).expect("it is JSON");
        let panels = dashboard["panels"].as_array().expect("it has panels");
        let mut ids = BTreeSet::new();
        for panel in panels {
            assert!(ids.insert(panel["id"].as_u64()), "{panel}");
            let targets = panel["targets"].as_array().expect("targets");
            let asks = |target: &serde_json::Value| {
                let expression = target["expr"].as_str().unwrap_or_default();
                expression.contains(PREFIX) && expression.contains("$instance")
            };
            assert!(!targets.is_empty() && targets.iter().all(asks), "{panel}");
            // Counters are shown as rates only.
            for target in targets {
                let expression = target["expr"].as_str().unwrap_or_default();
                assert_eq!(
                    expression.contains("_total") || expression.contains("_bucket"),
                    expression.contains("rate(") || expression.starts_with("increase("),
                    "{expression}"
                );
            }
        }
    }
}
