//! The catalogue as tables of `docs/METRICS.md`.

use super::{
    Figure, Scope, device, engine, gaps, losses, memory, model, pages, phase, process, reads,
    speed, step, tensor,
};

/// A group of figures: a table of the document.
pub struct Group {
    /// Its name in the document's markers: `<!-- figures: reads -->`.
    pub name: &'static str,
    rows: fn() -> Vec<Row>,
}

struct Row {
    member: String,
    meaning: &'static str,
    unit: &'static str,
    null: &'static str,
    road: &'static str,
}

fn rows<R: Scope>(figures: &[&Figure<R>]) -> Vec<Row> {
    figures
        .iter()
        .map(|figure| Row {
            member: match R::PATH {
                "" => figure.member.to_owned(),
                path => format!("{path}.{}", figure.member),
            },
            meaning: figure.meaning,
            unit: figure.unit.name(),
            null: figure.null,
            road: figure.road.letter(),
        })
        .collect()
}

/// Every group, in the order of the document.
pub static GROUPS: &[Group] = &[
    Group {
        name: "time",
        rows: || rows(engine::TIME),
    },
    Group {
        name: "engine",
        rows: || rows(engine::ENGINE),
    },
    Group {
        name: "engine metrics",
        rows: || rows(engine::ENGINE_METRICS),
    },
    Group {
        name: "model",
        rows: || rows(model::MODEL),
    },
    Group {
        name: "reads",
        rows: || rows(reads::READS),
    },
    Group {
        name: "gaps",
        rows: || rows(gaps::GAPS),
    },
    Group {
        name: "bandwidth",
        rows: || rows(speed::BANDWIDTH),
    },
    Group {
        name: "latency",
        rows: || rows(speed::LATENCY),
    },
    Group {
        name: "cache",
        rows: || rows(pages::CACHE),
    },
    Group {
        name: "phases",
        rows: || {
            let mut all = rows(phase::PHASE);
            all.extend(rows(gaps::phase::GAPS));
            all
        },
    },
    Group {
        name: "tokens",
        rows: || rows(step::STEP),
    },
    Group {
        name: "tensors",
        rows: || rows(tensor::TENSOR),
    },
    Group {
        name: "page_cache",
        rows: || rows(pages::PAGE_CACHE),
    },
    Group {
        name: "pressure",
        rows: || rows(memory::PRESSURE),
    },
    Group {
        name: "memory",
        rows: || rows(memory::MEMORY),
    },
    Group {
        name: "machine",
        rows: || rows(memory::MACHINE),
    },
    Group {
        name: "process",
        rows: || rows(process::PROCESS),
    },
    Group {
        name: "devices",
        rows: || rows(device::DEVICE),
    },
    Group {
        name: "losses",
        rows: || rows(losses::LOSSES),
    },
    Group {
        name: "overhead",
        rows: || rows(losses::OVERHEAD),
    },
];

impl Group {
    /// The line before its table.
    fn begin(&self) -> String {
        format!("<!-- figures: {} -->", self.name)
    }

    /// The table, with a line end after each row.
    fn table(&self) -> String {
        let mut text =
            "| member | definition | unit | null | road |\n|---|---|---|---|---|\n".to_owned();
        for row in (self.rows)() {
            let Row {
                member,
                meaning,
                unit,
                null,
                road,
            } = row;
            text.push_str(&format!(
                "| `{member}` | {meaning} | {unit} | {null} | {road} |\n"
            ));
        }
        text
    }
}

/// The line after a table.
const END: &str = "<!-- end -->";

/// The document with the catalogue's tables between its markers.
///
/// # Errors
/// A group has no place in the document, or more than one, or its end is missing.
pub fn filled_in(document: &str) -> Result<String, String> {
    let mut text = document.to_owned();
    for group in GROUPS {
        let begin = group.begin();
        let Some((before, rest)) = text.split_once(&begin) else {
            return Err(format!(
                "no `{begin}` stands in it: write it and `{END}` where the table belongs"
            ));
        };
        if rest.contains(&begin) {
            return Err(format!("`{begin}` stands in it twice: remove one"));
        }
        let Some((between, after)) = rest.split_once(END) else {
            return Err(format!(
                "no `{END}` follows `{begin}`: write it after the table"
            ));
        };
        if between.contains("<!-- figures:") {
            return Err(format!(
                "`{begin}` has no `{END}` of its own: write it after the table"
            ));
        }
        text = format!("{before}{begin}\n{}{END}{after}", group.table());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{GROUPS, filled_in};

    fn empty() -> String {
        let tables = GROUPS
            .iter()
            .map(|group| format!("text\n{}\nold\n<!-- end -->\n", group.begin()));
        tables.collect()
    }

    #[test]
    fn tables_stand_between_their_markers_and_filling_in_twice_changes_nothing() {
        let text = filled_in(&empty()).expect("every marker is there");
        assert!(
            !text.contains("\nold\n") && text.starts_with("text\n<!-- figures: time -->\n| member")
        );
        assert!(
            text.contains("| `tensors[].reread` | bytes read / size"),
            "{text}"
        );
        assert_eq!(filled_in(&text).as_ref(), Ok(&text));
    }

    #[test]
    fn a_group_without_its_place_is_named() {
        let missing = empty().replace("<!-- figures: reads -->", "");
        let why = filled_in(&missing).expect_err("reads have no place");
        assert!(why.contains("figures: reads"), "{why}");
        let twice = format!("{}<!-- figures: gaps -->\n<!-- end -->", empty());
        assert!(filled_in(&twice).expect_err("twice").contains("twice"));
        let unended = empty().replacen("<!-- end -->", "", 1);
        assert!(filled_in(&unended).is_err());
    }

    #[test]
    fn the_document_shows_the_catalogue() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/METRICS.md");
        let document = std::fs::read_to_string(path).expect("docs/METRICS.md is read");
        let wanted = filled_in(&document).unwrap_or_else(|why| panic!("docs/METRICS.md: {why}"));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, &wanted).expect("docs/METRICS.md is written");
        } else {
            assert!(
                document == wanted,
                "docs/METRICS.md does not show the catalogue of figures: run `cargo xtask lint --bless`"
            );
        }
    }
}
