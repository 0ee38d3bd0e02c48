//! The text of blkparse, in its default format.

use anyhow::{Context as _, Result, bail, ensure};

use super::records::{Action, BlkRecord, BlkTrace};

/// Reads the records of one device (`MAJOR,MINOR`), in the order of the text, which is that of time.
///
/// # Errors
/// Where blkparse had to skip, or a line has an unknown form.
pub fn parse(text: &str, device: &str) -> Result<BlkTrace> {
    // Totals begin with the first line that has no device.
    let (lines, totals): (Vec<_>, Vec<_>) = text
        .lines()
        .partition(|line| is_device(line.split_whitespace().next().unwrap_or_default()));
    let skips = totals
        .iter()
        .find_map(|line| line.strip_prefix("Skips: "))
        .context("the text does not end with what was skipped")?;
    ensure!(
        skips.starts_with("0 forward"),
        "blkparse had to skip: {skips}"
    );
    let mut records = Vec::new();
    for line in lines {
        if let Some(record) =
            parse_line(line, device).with_context(|| format!("a line of blkparse: {line:?}"))?
        {
            records.push(record);
        }
    }
    Ok(BlkTrace { records })
}

/// Whether a word is `MAJOR,MINOR`.
fn is_device(word: &str) -> bool {
    word.split_once(',')
        .is_some_and(|(major, minor)| major.parse::<u32>().is_ok() && minor.parse::<u32>().is_ok())
}

/// A line such as `254,0    1       13     0.013624857   216  D  RA 33112 + 2064 [dd]`. What is neither issue, requeue
/// nor completion is passed over, as is what has no sectors: flushes.
fn parse_line(line: &str, device: &str) -> Result<Option<BlkRecord>> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [number, _, _, _, thread_id, action, operation, rest @ ..] = &fields[..] else {
        return Ok(None);
    };
    let action = match *action {
        "D" => Action::Issued,
        "R" => Action::Requeued,
        "C" => Action::Completed,
        _ => return Ok(None),
    };
    if *number != device {
        return Ok(None);
    }
    let [sector, "+", sectors, ..] = rest else {
        if operation.contains('R') {
            bail!("a read without sectors");
        }
        return Ok(None);
    };
    let bracket = line
        .rsplit_once(" [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .map(|(inside, _)| inside)
        .context("nothing in brackets at the end")?;
    let (command, error) = match action {
        Action::Completed => ("", bracket.parse().context("the error")?),
        // A requeue's brackets hold an error too.
        Action::Issued | Action::Requeued => (bracket, 0),
    };
    Ok(Some(BlkRecord {
        action,
        command: command.to_owned(),
        thread_id: thread_id.parse().context("the thread's id")?,
        operation: (*operation).to_owned(),
        sector: sector.parse().context("the sector")?,
        sectors: sectors.parse().context("the number of sectors")?,
        error,
    }))
}

#[cfg(test)]
mod tests {
    use super::{Action, parse};

    // From a 6.18 kernel.
    const TEXT: &str = "\
254,0    1       13     0.013624857   216  Q  RA 33112 + 2064 [dd]
254,0    1       14     0.014803565   216  X  RA 33112 / 35160 [dd]
254,0    1       16     0.014967238   216  P   N [dd]
254,0    1       18     0.015107476   216  U   N [dd] 1
254,0    1       19     0.015372970   216  D  RA 33112 + 2048 [a task]
254,0    1       20     0.015372970   216  D  FN [kworker/1:1H]
254,0    1       21     0.015472970    15  R  RA 33112 + 2048 [0]
254,0    0       83     0.592150888     0  C  RA 33112 + 2048 [0]
CPU0 (t):
 Reads Queued:           9,    63488KiB\t Writes Queued:           0,        0KiB

Throughput (R/W): 99309KiB/s / 0KiB/s
Events (t): 124 entries
Skips: 0 forward (0 -   0.0%)
";

    #[test]
    fn issues_requeues_and_completions_are_taken() {
        let trace = parse(TEXT, "254,0").expect("a text of blkparse");
        let shape: Vec<_> = trace
            .records
            .iter()
            .map(|record| (record.action, record.sector, record.sectors))
            .collect();
        assert_eq!(
            shape,
            [
                (Action::Issued, 33_112, 2048),
                (Action::Requeued, 33_112, 2048),
                (Action::Completed, 33_112, 2048)
            ]
        );
        assert_eq!(trace.records[0].command, "a task");
        assert!(
            parse(TEXT, "254,1")
                .expect("another device")
                .records
                .is_empty()
        );
    }

    #[test]
    fn a_text_with_gaps_or_without_an_end_is_refused() {
        assert!(parse(&TEXT.replace("Skips: 0", "Skips: 3"), "254,0").is_err());
        let cut = TEXT.split_once("CPU0").expect("totals").0;
        assert!(parse(cut, "254,0").is_err());
        assert!(parse(&TEXT.replace("2048 [0]", "x [0]"), "254,0").is_err());
    }
}
