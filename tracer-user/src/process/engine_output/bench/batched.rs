//! The table of `llama-batched-bench`, as llama.cpp prints it from its first version (2023-10) to build b6000 (2025-07):
//!
//! ```text
//! |    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |
//! |-------|--------|------|--------|----------|----------|----------|----------|----------|----------|
//! |   128 |     32 |    4 |    640 |    0.373 |  1373.96 |    1.720 |    74.44 |    2.093 |   305.78 |
//! ```
//!
//! and, with `--output-format jsonl`, an object a row with `pp`, `tg`, `pl`, `t_pp`, `speed_pp`, `t_tg`, `speed_tg`.
//! PP and TG are tokens of one sequence, B (`pl`) sequences at once. S_TG is B·TG / T_TG; S_PP is B·PP / T_PP, or
//! PP / T_PP where one prompt is shared by all. Programs that count otherwise (`llama-sweep-bench` has no B) are not read.

use serde_json::{Map, Value};

use super::test::{BenchTest, PrintedSteps};

/// The table: milliseconds, rates with two decimals.
const TABLE: PrintedSteps = PrintedSteps {
    time_nanoseconds: 1e6,
    rate: 0.01,
};
/// JSON: microseconds, rates with six decimals.
const JSON: PrintedSteps = PrintedSteps {
    time_nanoseconds: 1e3,
    rate: 1e-6,
};

/// Where the columns of such a table are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BatchedColumns {
    places: [usize; COLUMNS.len()],
    cells: usize,
}

const COLUMNS: [&str; 7] = ["PP", "TG", "B", "T_PP s", "S_PP t/s", "T_TG s", "S_TG t/s"];

impl BatchedColumns {
    /// From the table's first line. None where a column is missing.
    pub(crate) fn from_header(line: &str) -> Option<Self> {
        let names = cells(line)?;
        let mut places = [0; COLUMNS.len()];
        for (place, column) in places.iter_mut().zip(COLUMNS) {
            *place = names.iter().position(|name| *name == column)?;
        }
        Some(Self {
            places,
            cells: names.len(),
        })
    }

    /// The tests of a row below it.
    pub(crate) fn row(&self, line: &str) -> Option<Vec<BenchTest>> {
        let cells = cells(line).filter(|cells| cells.len() == self.cells)?;
        let [
            prompt,
            generated,
            sequences,
            prompt_seconds,
            prompt_rate,
            seconds,
            rate,
        ] = self
            .places
            .map(|place| cells.get(place).copied().unwrap_or(""));
        let number = |text: &str| text.parse().ok().filter(|value: &f64| value.is_finite());
        Row {
            prompt_tokens: prompt.parse().ok()?,
            generated_tokens: generated.parse().ok()?,
            sequences: sequences.parse().ok()?,
            prompt: (number(prompt_seconds), number(prompt_rate)),
            generation: (number(seconds), number(rate)),
        }
        .tests(TABLE)
    }
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(str::trim).collect())
}

/// The tests of a row as JSON.
pub(crate) fn tests_of_object(object: &Map<String, Value>) -> Option<Vec<BenchTest>> {
    let count = |key: &str| object.get(key)?.as_u64();
    let number = |key: &str| object.get(key)?.as_f64();
    Row {
        prompt_tokens: count("pp")?,
        generated_tokens: count("tg")?,
        sequences: count("pl")?,
        prompt: (number("t_pp"), number("speed_pp")),
        generation: (number("t_tg"), number("speed_tg")),
    }
    .tests(JSON)
}

/// The member that states a rate of generation, of a line like those, read or not.
pub(crate) fn has_batched_rate(line: &str) -> Option<&'static str> {
    ["speed_tg", "S_TG t/s"]
        .into_iter()
        .find(|name| line.contains(name))
}

/// Seconds and tokens per second, each as printed.
type Printed = (Option<f64>, Option<f64>);

struct Row {
    prompt_tokens: u64,
    generated_tokens: u64,
    sequences: u64,
    prompt: Printed,
    generation: Printed,
}

impl Row {
    /// The prompts' test and the generations' test, where there was work of that kind.
    fn tests(&self, printed: PrintedSteps) -> Option<Vec<BenchTest>> {
        if self.sequences == 0 {
            return None;
        }
        let test = |prompt_tokens, generated_tokens, sequences, depth_tokens, of: Printed| {
            let (Some(seconds), Some(rate)) = of else {
                return None;
            };
            let test = BenchTest {
                prompt_tokens,
                generated_tokens,
                depth_tokens,
                sequences,
                average_rate: (rate > 0.0).then_some(rate),
                samples_nanoseconds: vec![(seconds * 1e9).round() as u64],
                printed,
            };
            (prompt_tokens + generated_tokens > 0).then(|| test.with_finer_time())
        };
        // Nothing in the table says whether the prompt was shared, but its rate does.
        let prompt = |sequences| test(self.prompt_tokens, 0, sequences, 0, self.prompt);
        let shared = prompt(1).filter(BenchTest::rate_agrees);
        let prompts = prompt(self.sequences);
        let prompts = match &prompts {
            Some(each) if !each.rate_agrees() => shared.or(prompts),
            _ => prompts,
        };
        let generations = test(
            0,
            self.generated_tokens,
            self.sequences,
            self.prompt_tokens,
            self.generation,
        );
        Some([prompts, generations].into_iter().flatten().collect())
    }
}

impl BenchTest {
    /// With the time that its rate gives, where the rate is printed to more digits than the time and both agree.
    fn with_finer_time(self) -> Self {
        let (Some(rate), Some(work)) = (self.average_rate, self.work()) else {
            return self;
        };
        let time_step = self.printed.time_nanoseconds / (work.milliseconds * 1e6);
        if !self.rate_agrees() || self.printed.rate / rate >= time_step {
            return self;
        }
        let tokens = work.tokens.unwrap_or_default();
        Self {
            samples_nanoseconds: vec![(1e9 * tokens as f64 / rate).round() as u64],
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |";

    fn named(row: &str) -> Vec<(String, bool)> {
        let columns = BatchedColumns::from_header(HEADER).expect("a header");
        let tests = columns.row(row).unwrap_or_default();
        tests
            .iter()
            .map(|test| (test.name(), test.rate_agrees()))
            .collect()
    }

    #[test]
    fn a_shared_prompt_is_told_by_its_rate() {
        // 4 prompts of 128 in 0.4 s are 1,280 tokens a second; one prompt for all of them is 320.
        let row = |rate| {
            format!(
                "|   128 |     32 |    4 |    256 |    0.400 | {rate} |    2.000 |    64.00 |    2.400 |   106.67 |"
            )
        };
        let generation = ("tg32 x 4 @ d128".to_owned(), true);
        let prompt = |name: &str, agrees| vec![(name.to_owned(), agrees), generation.clone()];
        assert_eq!(named(&row("1280.00")), prompt("pp128 x 4", true));
        assert_eq!(named(&row(" 320.00")), prompt("pp128", true));
        assert_eq!(named(&row(" 999.00")), prompt("pp128 x 4", false));
    }

    #[test]
    fn what_is_not_such_a_row() {
        for row in [
            "|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|",
            "|   128 |     32 |    0 |    256 |    0.400 |   320.00 |    2.000 |    64.00 |    2.400 |   106.67 |",
            "|   128 |     32 |    4 |    256 |    0.400 |   320.00 |    2.000 |    64.00 |    2.400 |",
            HEADER,
            "",
        ] {
            assert_eq!(named(row), [], "{row}");
        }
        // llama-sweep-bench: N_KV is the depth, and there is no B.
        let sweep = "|    PP |     TG |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |";
        assert_eq!(BatchedColumns::from_header(sweep), None);
    }

    #[test]
    fn nothing_generated_is_no_test() {
        let row = "|   128 |      0 |    1 |    128 |    0.400 |   320.00 |    0.000 |     -nan |    0.400 |   320.00 |";
        assert_eq!(named(row), [("pp128".to_owned(), true)]);
    }
}
