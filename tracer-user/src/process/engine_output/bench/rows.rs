//! Tests that `llama-bench` prints as rows: `-o md` (its default), `csv` and `sql`.

use std::collections::BTreeMap;

use super::test::{BenchTest, PrintedSteps};

/// Most columns that a header may have.
const MOST_COLUMNS: usize = 256;

/// Columns of a CSV header of `llama-bench`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BenchColumns(Vec<String>);

impl BenchColumns {
    /// A header line: it names `n_prompt`, `n_gen` and `avg_ts`.
    pub(crate) fn from_header(line: &str) -> Option<Self> {
        if !line.contains("avg_ts") {
            return None;
        }
        let columns = quoted_list(line.trim(), '"')?;
        let has = |name: &str| columns.iter().any(|column| column == name);
        (has("n_prompt") && has("n_gen") && has("avg_ts")).then_some(Self(columns))
    }

    /// A row below the header.
    pub(crate) fn row(&self, line: &str) -> Option<BenchTest> {
        test_of(&self.0, &quoted_list(line.trim(), '"')?)
    }
}

/// `INSERT INTO llama_bench (…) VALUES (…);`
pub(crate) fn from_sql(line: &str) -> Option<BenchTest> {
    let rest = line.trim().strip_prefix("INSERT INTO ")?;
    let (_, rest) = rest.split_once('(')?;
    let (columns, rest) = rest.split_once(')')?;
    let values = rest
        .trim()
        .strip_prefix("VALUES")?
        .trim()
        .strip_prefix('(')?;
    let values = values.trim_end_matches(';').trim_end().strip_suffix(')')?;
    test_of(&quoted_list(columns, '\'')?, &quoted_list(values, '\'')?)
}

/// A row of the table: `| llama 7B … | tg128 @ d512 | 12.50 ± 0.08 |`. None for other rows, those of prompt and generation
/// in one among them.
pub(crate) fn from_table_row(line: &str) -> Option<BenchTest> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    let mut cells = row.rsplit('|').map(str::trim);
    let (rate, test) = (cells.next()?, cells.next()?);
    let rate: f64 = rate.split_once('±')?.0.trim().parse().ok()?;
    let (test, depth) = match test.split_once('@') {
        Some((test, depth)) => (test.trim(), depth.trim().strip_prefix('d')?.parse().ok()?),
        None => (test, 0),
    };
    let count = |kind: &str| test.strip_prefix(kind)?.parse().ok();
    let (prompt_tokens, generated_tokens) = match (count("pp"), count("tg")) {
        (Some(tokens), None) => (tokens, 0),
        (None, Some(tokens)) => (0, tokens),
        _ => return None,
    };
    Some(BenchTest {
        prompt_tokens,
        generated_tokens,
        depth_tokens: depth,
        sequences: 1,
        average_rate: Some(rate).filter(|rate| rate.is_finite() && *rate > 0.0),
        samples_nanoseconds: Vec::new(),
        printed: PrintedSteps::LLAMA_BENCH,
    })
}

/// A row of the table, with a rate of its form, whose test is another than those of [`from_table_row`].
pub(crate) fn unread_table_row(line: &str) -> bool {
    let rate = |row: &str| {
        row.rsplit('|')
            .next()?
            .split_once('±')?
            .0
            .trim()
            .parse()
            .ok()
    };
    let row = line.trim().strip_prefix('|');
    let row = row.and_then(|row| row.strip_suffix('|'));
    row.and_then(rate).is_some_and(|rate: f64| rate.is_finite()) && from_table_row(line).is_none()
}

fn test_of(columns: &[String], values: &[String]) -> Option<BenchTest> {
    if columns.len() != values.len() {
        return None;
    }
    let row: BTreeMap<&str, &str> = columns
        .iter()
        .zip(values)
        .map(|(column, value)| (column.as_str(), value.as_str()))
        .collect();
    let rate: f64 = row.get("avg_ts")?.parse().ok()?;
    Some(BenchTest {
        prompt_tokens: row.get("n_prompt")?.parse().ok()?,
        generated_tokens: row.get("n_gen")?.parse().ok()?,
        // Builds before 2025 have no depths.
        depth_tokens: row
            .get("n_depth")
            .map_or(Some(0), |depth| depth.parse().ok())?,
        sequences: 1,
        average_rate: Some(rate).filter(|rate| rate.is_finite() && *rate > 0.0),
        samples_nanoseconds: Vec::new(),
        printed: PrintedSteps::LLAMA_BENCH,
    })
}

/// Items between commas, in quotes or not; a quote inside of quotes is doubled. None where a quote is not closed.
fn quoted_list(text: &str, quote: char) -> Option<Vec<String>> {
    let mut items = Vec::new();
    let mut rest = text;
    loop {
        let mut item = String::new();
        rest = rest.trim_start();
        if let Some(mut inside) = rest.strip_prefix(quote) {
            loop {
                let (part, after) = inside.split_once(quote)?;
                item.push_str(part);
                match after.strip_prefix(quote) {
                    Some(further) => {
                        item.push(quote);
                        inside = further;
                    }
                    None => {
                        rest = after.trim_start();
                        break;
                    }
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            item.push_str(rest.get(..end)?.trim());
            rest = rest.get(end..)?;
        }
        items.push(item);
        if items.len() > MOST_COLUMNS {
            return None;
        }
        match rest.strip_prefix(',') {
            Some(further) => rest = further,
            None if rest.is_empty() => return Some(items),
            None => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BenchColumns, from_sql, quoted_list};

    #[test]
    fn a_list_with_quotes_in_quotes() {
        let list = |text: &str| quoted_list(text, '"');
        assert_eq!(
            list("\"a, b\",c, \"say \"\"x\"\"\",\"\"").as_deref(),
            Some(["a, b", "c", "say \"x\"", ""].map(str::to_owned).as_slice())
        );
        assert_eq!(list("\"open"), None);
        assert_eq!(list("\"a\"b"), None);
    }

    #[test]
    fn a_row_that_does_not_fit_its_header_is_none() {
        let columns = BenchColumns::from_header("n_prompt,n_gen,avg_ts").expect("a header");
        assert!(columns.row("\"0\",\"128\",\"12.5\"").is_some());
        for row in [
            "\"0\",\"128\"",
            "\"0\",\"128\",\"nan\",\"1\"",
            "text",
            "\"0\",\"-1\",\"2\"",
        ] {
            assert_eq!(columns.row(row), None, "{row}");
        }
        assert_eq!(BenchColumns::from_header("the rate avg_ts, n_gen"), None);
        let sql = "INSERT INTO llama_bench (n_prompt, n_gen, n_depth, avg_ts) VALUES ('0', '128', '512', '7.000000');";
        let test = from_sql(sql).expect("a test");
        assert_eq!((test.depth_tokens, test.average_rate), (512, Some(7.0)));
        assert_eq!(from_sql("INSERT INTO t (a) VALUES ('1');"), None);
    }
}
