//! The first lines of the screen: is it storage, and is it the same again and again?

use crate::{advice::HARDLY, stats::phases::phase::Phase};

use super::{numbers, window::Figures};

/// How a sentence is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Alarm,
}

/// From this share on, what comes in was there before.
const MOSTLY: f64 = 0.5;

/// What the verdict looks at.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    pub phase: Option<Phase>,
    /// The last seconds.
    pub now: &'a Figures,
    /// Bytes of the model in memory, and its size.
    pub resident_bytes: Option<u64>,
    pub size_bytes: u64,
    /// Single waits are recorded.
    pub has_events: bool,
}

/// One or two sentences, the most important first.
pub fn verdict(seen: &Seen<'_>) -> Vec<(Tone, String)> {
    let now = seen.now;
    if now.seconds <= 0.0 {
        return vec![(Tone::Plain, "Nothing has been seen yet.".to_owned())];
    }
    let last = format!("the last {}", numbers::span(now.seconds));
    let mut sentences = Vec::new();
    let nothing_read = now.read_bytes == Some(0);
    let loading = seen.phase == Some(Phase::Load);
    match now.stalled {
        Some(stalled) if stalled >= HARDLY => {
            let freed = now
                .reclaiming
                .filter(|share| *share >= HARDLY)
                .map_or_else(String::new, |share| {
                    format!(
                        ", and {} more to free memory for it",
                        numbers::share(Some(share))
                    )
                });
            let share = numbers::share(Some(stalled));
            sentences.push(if loading {
                (
                    Tone::Plain,
                    format!("The model is being loaded: it waits for the disk {share} of {last}{freed}."),
                )
            } else {
                (
                    Tone::Alarm,
                    format!("The engine waits for storage: {share} of {last}{freed}."),
                )
            });
        }
        Some(_) if now.reclaiming.is_some_and(|share| share >= HARDLY) => sentences.push((
            Tone::Alarm,
            format!(
                "The engine hardly waits for the disk, but {} of {last} it frees memory for what is read.",
                numbers::share(now.reclaiming)
            ),
        )),
        _ if nothing_read => sentences.push((
            Tone::Good,
            format!("Storage is not what you wait for: nothing of the model was read in {last}."),
        )),
        Some(stalled) => sentences.push((
            Tone::Good,
            format!(
                "Storage is not what you wait for: {} of {last}.",
                numbers::share(Some(stalled))
            ),
        )),
        None if now.read_bytes.is_none() => sentences.push((
            Tone::Plain,
            "How much is read from the disk is not known here, since the model's sectors are not known.".to_owned(),
        )),
        None => sentences.push((
            Tone::Plain,
            format!(
                "{} of the model were read in {last}; whether the engine waited is not {}.",
                numbers::bytes(now.read_bytes),
                if seen.has_events { "known" } else { "recorded (--detail events shows it)" }
            ),
        )),
    }
    if nothing_read {
        return sentences;
    }
    let again = now.refault_share().filter(|_| now.inserted_bytes > Some(0));
    let in_memory = seen.resident_bytes.map_or_else(String::new, |resident| {
        format!(
            " {} of {} are in memory.",
            numbers::bytes(Some(resident)),
            numbers::bytes(Some(seen.size_bytes))
        )
    });
    match again {
        Some(again) if again >= MOSTLY => sentences.push((
            Tone::Alarm,
            format!(
                "It reads again what was thrown out of memory: {} of what comes in.{in_memory}",
                numbers::share(Some(again))
            ),
        )),
        Some(again) if again < HARDLY => sentences.push((
            Tone::Plain,
            format!("What it reads, it reads for the first time.{in_memory}"),
        )),
        Some(again) => sentences.push((
            Tone::Plain,
            format!(
                "{} of what comes in was in memory before.{in_memory}",
                numbers::share(Some(again))
            ),
        )),
        None => {}
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::{Figures, Phase, Seen, Tone, verdict};

    fn words(phase: Phase, has_events: bool, now: Figures) -> Vec<(Tone, String)> {
        let now = &Figures {
            seconds: 10.0,
            ..now
        };
        verdict(&Seen {
            phase: Some(phase),
            now,
            resident_bytes: Some(300 << 20),
            size_bytes: 400 << 20,
            has_events,
        })
    }

    fn thrashing() -> Figures {
        Figures {
            read_bytes: Some(5 << 30),
            stalled: Some(0.84),
            reclaiming: Some(0.12),
            inserted_bytes: Some(1000),
            refaulted_bytes: Some(970),
            ..Figures::default()
        }
    }

    #[test]
    fn a_run_that_thrashes_is_said_to_wait_and_why() {
        let said = words(Phase::Generation, true, thrashing());
        assert_eq!(
            said[0],
            (
                Tone::Alarm,
                "The engine waits for storage: 84 % of the last 10 s, and 12 % more to free memory for it."
                    .to_owned()
            )
        );
        assert_eq!(
            said[1].1,
            "It reads again what was thrown out of memory: 97 % of what comes in. 300.00 MiB of 400.00 MiB are in memory."
        );
    }

    #[test]
    fn a_load_that_waits_is_no_alarm() {
        let said = words(Phase::Load, true, thrashing());
        assert_eq!(said[0].0, Tone::Plain);
        assert!(said[0].1.starts_with("The model is being loaded"));
    }

    #[test]
    fn what_counts_do_not_tell_is_not_said() {
        let counted = |bytes| Figures {
            read_bytes: Some(bytes),
            inserted_bytes: Some(0),
            refaulted_bytes: Some(0),
            ..Figures::default()
        };
        let said = words(Phase::Generation, false, counted(1 << 30));
        assert!(said[0].1.contains("--detail events"), "{said:?}");
        assert_eq!(said.len(), 1);
        let said = words(Phase::Generation, false, counted(0));
        assert_eq!(said[0].0, Tone::Good);
        let said = words(Phase::Generation, true, Figures::default());
        assert!(said[0].1.contains("sectors are not known"), "{said:?}");
    }
}
