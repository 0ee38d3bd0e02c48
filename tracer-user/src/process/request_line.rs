//! Lines by which a llama-server says that a request begins or ends in one of its slots.
//!
//! A decode call of a server serves all slots at once, so while more than one request is active no read can be said to
//! belong to one of them: such a phase is called mixed.
//!
//! The wording, from logs of the years (`SLT_INF` in the server's source; `release()` prints its line whenever a slot that was
//! processing becomes free, a cancelled request's too):
//!
//! ```text
//! slot launch_slot_: id  1 | task 0 | processing task, is_child = 0        (2026; before without `is_child`)
//! slot      release: id  1 | task 0 | stop processing: n_tokens = 35, truncated = 0
//! INFO [launch_slot_with_data] slot is processing task | tid="…" timestamp=… id_slot=0 id_task=0      (early 2024)
//! INFO [            update_slots] slot released | tid="…" timestamp=… id_slot=0 id_task=0 n_ctx=512 …
//! ```

use std::collections::BTreeMap;

use serde::Serialize;

use super::timing_line::plain_text;

/// Longest text that is looked at as one line, bytes.
const LONGEST_LINE_BYTES: usize = 4096;
/// More slots than a server has. Further ones are not followed, so that a hostile log cannot grow without end.
const MOST_SLOTS: usize = 4096;

/// A slot of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RequestSlot {
    /// Port of the server, where a router that started several puts it before each line (`[42027] …`).
    pub server_port: Option<u16>,
    /// The slot's number in its server.
    pub slot: u32,
}

/// A request begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestMark {
    /// A slot takes a request up; the line is printed before any of its tokens are processed.
    Began {
        /// Where.
        slot: RequestSlot,
        /// The server's number of the request.
        task: u64,
    },
    /// A slot is done with a request, finished or cancelled; the line is printed after its last token.
    Ended {
        /// Where.
        slot: RequestSlot,
        /// The server's number of the request.
        task: u64,
    },
}

impl RequestMark {
    /// Reads a line of a log (any bytes). `None` if no request begins or ends in it.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        if line.len() > LONGEST_LINE_BYTES {
            return None;
        }
        Self::parse_text(&plain_text(line))
    }

    pub(super) fn parse_text(text: &str) -> Option<Self> {
        if text.len() > LONGEST_LINE_BYTES {
            return None;
        }
        let server_port = text
            .split_once("] ")
            .and_then(|(before, _)| before.rsplit_once('['))
            .and_then(|(_, port)| port.parse().ok());
        let (began, slot, task) =
            if let Some((_, message)) = text.split_once("slot launch_slot_: id") {
                let (slot, task, said) = columns(message)?;
                (
                    said.starts_with("processing task").then_some(true)?,
                    slot,
                    task,
                )
            } else if let Some((_, message)) = text.split_once(" release: id") {
                let (slot, task, said) = columns(message)?;
                (
                    said.starts_with("stop processing").then_some(false)?,
                    slot,
                    task,
                )
            } else if let Some((_, message)) = text.split_once("] slot is processing task |") {
                (
                    true,
                    value(message, "id_slot=")?,
                    value(message, "id_task=")?,
                )
            } else {
                let (_, message) = text.split_once("] slot released |")?;
                (
                    false,
                    value(message, "id_slot=")?,
                    value(message, "id_task=")?,
                )
            };
        let slot = RequestSlot {
            server_port,
            slot: u32::try_from(slot).ok()?,
        };
        Some(if began {
            Self::Began { slot, task }
        } else {
            Self::Ended { slot, task }
        })
    }
}

/// `  1 | task 0 | processing task`. A slot without a request says `task -1`, which is no mark.
fn columns(message: &str) -> Option<(u64, u64, &str)> {
    let mut columns = message.splitn(3, '|').map(str::trim);
    let slot = columns.next()?.parse().ok()?;
    let task = columns.next()?.strip_prefix("task ")?.trim().parse().ok()?;
    Some((slot, task, columns.next()?))
}

fn value(message: &str, key: &str) -> Option<u64> {
    message
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix(key)?.parse().ok())
}

/// Which slots are at work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActiveRequests {
    tasks: BTreeMap<RequestSlot, u64>,
    began: u64,
    most_at_once: usize,
}

impl ActiveRequests {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a mark into account and returns how many are active after it. An end whose beginning was not seen (the tracer
    /// came later) changes nothing; a beginning in a slot that is at work takes the slot over.
    pub fn take(&mut self, mark: RequestMark) -> usize {
        match mark {
            RequestMark::Began { slot, task } => {
                self.began += 1;
                if self.tasks.len() < MOST_SLOTS || self.tasks.contains_key(&slot) {
                    self.tasks.insert(slot, task);
                }
            }
            RequestMark::Ended { slot, task } => {
                if self.tasks.get(&slot) == Some(&task) {
                    self.tasks.remove(&slot);
                }
            }
        }
        self.most_at_once = self.most_at_once.max(self.tasks.len());
        self.tasks.len()
    }

    /// Requests at work now. Above 1 the phase is mixed.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tasks.len()
    }

    /// Requests that were begun.
    #[must_use]
    pub fn began(&self) -> u64 {
        self.began
    }

    /// Most that were at work at once.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.most_at_once
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slot(slot: u32) -> RequestSlot {
        RequestSlot {
            server_port: None,
            slot,
        }
    }

    fn began(number: u32, task: u64) -> RequestMark {
        RequestMark::Began {
            slot: slot(number),
            task,
        }
    }

    fn ended(number: u32, task: u64) -> RequestMark {
        RequestMark::Ended {
            slot: slot(number),
            task,
        }
    }

    #[test]
    fn the_wording_of_three_years() {
        let parse = |line: &str| RequestMark::parse(line.as_bytes());
        assert_eq!(
            parse(
                "0.00.014.464 I slot launch_slot_: id  1 | task 0 | processing task, is_child = 0"
            ),
            Some(began(1, 0))
        );
        assert_eq!(
            parse("slot launch_slot_: id  0 | task 169 | processing task"),
            Some(began(0, 169))
        );
        assert_eq!(
            parse(
                "0.00.020.920 I slot      release: id  0 | task 1 | stop processing: n_tokens = 35, truncated = 0"
            ),
            Some(ended(0, 1))
        );
        assert_eq!(
            parse(
                "slot      release: id 12 | task 42 | stop processing: n_past = 75, truncated = 0\n"
            ),
            Some(ended(12, 42))
        );
        assert_eq!(
            parse(
                "INFO [   launch_slot_with_data] slot is processing task | tid=\"139\" timestamp=1716 id_slot=0 id_task=7"
            ),
            Some(began(0, 7))
        );
        assert_eq!(
            parse(
                "INFO [            update_slots] slot released | tid=\"139\" timestamp=1716 id_slot=3 id_task=7 n_ctx=512 truncated=false"
            ),
            Some(ended(3, 7))
        );
        assert_eq!(
            parse(
                "[51429] 0.19.834.943 I slot      release: id  1 | task 0 | stop processing: n_tokens = 1618, truncated = 0"
            ),
            Some(RequestMark::Ended {
                slot: RequestSlot {
                    server_port: Some(51429),
                    slot: 1
                },
                task: 0
            })
        );
    }

    #[test]
    fn other_lines_of_slots_are_no_marks() {
        for line in [
            "slot launch_slot_: id  0 | task -1 | sampler params: ",
            "slot launch_slot_: id  0 | task -1 | processing task",
            "slot get_availabl: id  0 | task -1 | selected slot by LRU, t_last = -1",
            "slot print_timing: id  0 | task 0 | prompt eval time =       1.00 ms /    16 tokens",
            "slot process_sing: id  0 | task -1 | saving idle slot to prompt cache",
            "srv  update_slots: all slots are idle",
            "que    start_loop: processing task, id = 3",
            "slot      release: id  x | task 1 | stop processing",
            "slot      release: id  1 | task 1",
            "slot launch_slot_: id  99999999999 | task 1 | processing task",
        ] {
            assert_eq!(RequestMark::parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_real_server_with_two_slots_and_three_requests() {
        let log = include_str!("testdata/llama-server-11549-two-slots.txt");
        let mut active = ActiveRequests::new();
        let counts: Vec<_> = log
            .lines()
            .filter_map(|line| RequestMark::parse(line.as_bytes()))
            .map(|mark| active.take(mark))
            .collect();
        assert_eq!(counts, [1, 2, 1, 0, 1, 0]);
        assert_eq!(
            (active.began(), active.most_at_once(), active.count()),
            (3, 2, 0)
        );
    }

    #[test]
    fn what_was_not_seen_to_begin_does_not_end() {
        let mut active = ActiveRequests::new();
        assert_eq!(active.take(ended(0, 4)), 0);
        assert_eq!(active.take(began(0, 5)), 1);
        assert_eq!(active.take(ended(0, 4)), 1);
        assert_eq!(active.take(began(0, 6)), 1, "the slot is taken over");
        assert_eq!(active.take(ended(0, 6)), 0);
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0_usize..80) {
            let _ = RequestMark::parse(&bytes);
            let mut line = b"slot launch_slot_: id  1 | task 0 | processing task"[..cut.min(51)].to_vec();
            line.extend(&bytes);
            let _ = RequestMark::parse(&line);
        }

        /// In a log that begins with the server, the count is the number of tasks that began and did not end.
        #[test]
        fn the_count_is_what_began_and_did_not_end(choices in proptest::collection::vec(0_u32..6, 0..60)) {
            let mut active = ActiveRequests::new();
            let mut expected: std::collections::HashMap<u32, u64> = std::collections::HashMap::new();
            for (task, number) in (0_u64..).zip(choices) {
                let mark = match expected.remove(&number) {
                    Some(old) => ended(number, old),
                    None => {
                        expected.insert(number, task);
                        began(number, task)
                    }
                };
                prop_assert_eq!(active.take(mark), expected.len());
            }
        }
    }
}
