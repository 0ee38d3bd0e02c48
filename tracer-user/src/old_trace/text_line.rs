//! One line of blkparse's default format → a record. Bytes only: no text is made of a line.
//!
//! The format is `%D %2c %8s %5T.%9t %5p %2a %3d ` and what the action adds (`process_default` in blkparse_fmt.c):
//! ```text
//! 259,0    1        5     0.001394450   193  D  RA 33112 + 2048 [kworker/0:1H]
//! 259,0    1        5     0.001394450     0  C   R 33112 + 2048 [0]        with -t: + 2048 (  103450) [0]
//! 259,0    1        1     0.000000000   207  A  RM 2128 + 8 <- (259,1) 80
//! 259,0    1        1     0.000000000   207  X  RA 147800 / 155992 [dd]
//! 259,0    1        1     0.000000000   207  U   N [dd] 1
//! 259,0    1        1     0.000000000   207  D   R 36 (12 00 00 00 24 00) [scsi_id]
//! ```
//! The last one is a passthrough command: its number is bytes, and it is no read.

use tracer_common::counters::Operation;

use crate::{stats::Nanos, storage::KernelDevice};

use super::record::{Action, MOST_SECTORS, TraceRecord};

/// What a line should have had, and in which column (from 0 on, in bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineError {
    /// What should stand there.
    pub expected: &'static str,
    /// Column.
    pub column: usize,
}

/// Whether a line can only be a record: it begins with a device number.
#[must_use]
pub fn begins_like_a_record(line: &[u8]) -> bool {
    let mut cursor = Cursor { line, at: 0 };
    cursor.spaces();
    cursor.number().is_some() && cursor.peek() == Some(b',')
}

/// Reads one line, without its end.
///
/// # Errors
/// What should stand where something else does. A line that was cut off is one of these.
pub fn parse_line(line: &[u8]) -> Result<TraceRecord, LineError> {
    let mut cursor = Cursor { line, at: 0 };
    cursor.spaces();
    let device = cursor.device("a device as MAJOR,MINOR")?;
    let cpu = cursor.field("the CPU's number")?;
    let sequence = cursor.field("the record's sequence number")?;
    cursor.spaces_or("the time as SECONDS.NANOSECONDS")?;
    let time = cursor.time()?;
    let thread_id = cursor.field("the process id")?;
    cursor.spaces_or("the action")?;
    let action = cursor.action()?;
    if action == LetteredAction::Message {
        return Ok(TraceRecord {
            time,
            device,
            remapped_from: None,
            sector: 0,
            sectors: 0,
            thread_id,
            cpu,
            sequence: 0,
            action: Action::Other,
            operation: Operation::Other,
            failed: false,
            readahead: false,
            metadata: false,
            synchronous: false,
        });
    }
    cursor.spaces_or("the letters of RWBS, such as RA")?;
    let flags = cursor.rwbs()?;
    cursor.spaces_or("a sector, or the process in brackets")?;
    let what = cursor.what(action)?;
    Ok(TraceRecord {
        time,
        device,
        remapped_from: what.remapped_from,
        sector: what.sector,
        sectors: what.sectors,
        thread_id,
        cpu,
        sequence,
        action: action.record(),
        operation: if what.passthrough {
            Operation::Other
        } else {
            flags.operation
        },
        failed: what.failed,
        readahead: flags.readahead,
        metadata: flags.metadata,
        synchronous: flags.synchronous,
    })
}

/// The actions by the shape of what follows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LetteredAction {
    Request(Action),
    Ended(Action),
    Remap,
    Split,
    Plug,
    Unplug,
    Message,
}

impl LetteredAction {
    const fn record(self) -> Action {
        match self {
            Self::Request(action) | Self::Ended(action) => action,
            Self::Remap => Action::Remap,
            Self::Split | Self::Plug | Self::Unplug | Self::Message => Action::Other,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Flags {
    operation: Operation,
    readahead: bool,
    metadata: bool,
    synchronous: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct What {
    sector: u64,
    sectors: u32,
    remapped_from: Option<(KernelDevice, u64)>,
    passthrough: bool,
    failed: bool,
}

struct Cursor<'a> {
    line: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    const fn wants<T>(&self, expected: &'static str) -> Result<T, LineError> {
        Err(LineError {
            expected,
            column: self.at,
        })
    }

    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn spaces(&mut self) -> bool {
        let from = self.at;
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
        self.at > from
    }

    fn spaces_or(&mut self, expected: &'static str) -> Result<(), LineError> {
        if self.spaces() && self.peek().is_some() {
            Ok(())
        } else {
            self.wants(expected)
        }
    }

    /// A decimal number of 64 bits; the cursor stays where there is none.
    fn number(&mut self) -> Option<u64> {
        let from = self.at;
        let mut number = 0u64;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            number = match number
                .checked_mul(10)
                .and_then(|number| number.checked_add(u64::from(digit - b'0')))
            {
                Some(number) => number,
                None => {
                    self.at = from;
                    return None;
                }
            };
            self.at += 1;
        }
        (self.at > from).then_some(number)
    }

    fn number_or(&mut self, expected: &'static str) -> Result<u64, LineError> {
        match self.number() {
            Some(number) => Ok(number),
            None => self.wants(expected),
        }
    }

    fn small_number_or(&mut self, expected: &'static str) -> Result<u32, LineError> {
        let from = self.at;
        let number = self.number_or(expected)?;
        u32::try_from(number).or_else(|_| {
            self.at = from;
            self.wants(expected)
        })
    }

    /// Spaces, a number of 32 bits.
    fn field(&mut self, expected: &'static str) -> Result<u32, LineError> {
        self.spaces_or(expected)?;
        self.small_number_or(expected)
    }

    fn device(&mut self, expected: &'static str) -> Result<KernelDevice, LineError> {
        let from = self.at;
        let major = self.number_or(expected)?;
        if !self.eat(b',') {
            return self.wants(expected);
        }
        let minor = self.number_or(expected)?;
        KernelDevice::new(major, minor).or_else(|_| {
            self.at = from;
            self.wants(expected)
        })
    }

    fn time(&mut self) -> Result<Nanos, LineError> {
        const EXPECTED: &str = "the time as SECONDS.NANOSECONDS";
        let from = self.at;
        let seconds = self.number_or(EXPECTED)?;
        if !self.eat(b'.') {
            return self.wants(EXPECTED);
        }
        let fraction_from = self.at;
        let nanos = self.number_or(EXPECTED)?;
        if self.at - fraction_from != 9 {
            self.at = fraction_from;
            return self.wants("nine digits of nanoseconds");
        }
        match seconds
            .checked_mul(1_000_000_000)
            .and_then(|seconds| seconds.checked_add(nanos))
        {
            Some(time) => Ok(Nanos(time)),
            None => {
                self.at = from;
                self.wants(EXPECTED)
            }
        }
    }

    fn letters(&mut self) -> &[u8] {
        let from = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            self.at += 1;
        }
        self.line.get(from..self.at).unwrap_or_default()
    }

    fn action(&mut self) -> Result<LetteredAction, LineError> {
        use LetteredAction::{Ended, Message, Plug, Remap, Request, Split, Unplug};
        let from = self.at;
        Ok(match self.letters() {
            b"Q" => Request(Action::Queue),
            b"G" => Request(Action::GetRequest),
            b"I" => Request(Action::Insert),
            b"M" => Request(Action::BackMerge),
            b"F" => Request(Action::FrontMerge),
            b"D" => Request(Action::Issue),
            b"S" | b"B" => Request(Action::Other),
            b"C" => Ended(Action::Complete),
            b"R" => Ended(Action::Requeue),
            b"A" => Remap,
            b"X" => Split,
            b"P" => Plug,
            b"U" | b"UT" | b"T" => Unplug,
            b"m" => Message,
            _ => {
                self.at = from;
                return self.wants("an action: one of Q G I M F D R C A X P U UT S B m");
            }
        })
    }

    /// Flush, operation, FUA, read-ahead, synchronous, metadata (`fill_rwbs` in blkparse_fmt.c).
    fn rwbs(&mut self) -> Result<Flags, LineError> {
        const EXPECTED: &str =
            "the letters of RWBS: R, W, D or N, with F before it and F, A, S, M after it";
        let from = self.at;
        let mut flags = Flags {
            operation: Operation::Other,
            readahead: false,
            metadata: false,
            synchronous: false,
        };
        let (mut flush, mut operation) = (false, None);
        let mut known = true;
        for letter in self.letters() {
            match (letter, operation) {
                (b'F', None) => flush = true,
                (b'R', None) => operation = Some(Operation::Read),
                (b'W', None) => operation = Some(Operation::Write),
                (b'D', None) => operation = Some(Operation::Discard),
                (b'N', None) => operation = Some(Operation::Other),
                (b'F', Some(_)) => {}
                (b'A', Some(_)) => flags.readahead = true,
                (b'S', Some(_)) => flags.synchronous = true,
                (b'M', Some(_)) => flags.metadata = true,
                _ => known = false,
            }
        }
        let Some(operation) = operation.filter(|_| known) else {
            self.at = from;
            return self.wants(EXPECTED);
        };
        flags.operation = match operation {
            Operation::Other if flush => Operation::Flush,
            operation => operation,
        };
        Ok(flags)
    }

    /// What the action adds, up to the end of the line.
    fn what(&mut self, action: LetteredAction) -> Result<What, LineError> {
        let mut what = What::default();
        let from = self.at;
        if let Some(number) = self.number() {
            what.sector = number;
            self.spaces();
            if self.eat(b'+') {
                self.spaces();
                what.sectors = self.small_number_or("the number of sectors")?;
                if number > MOST_SECTORS - u64::from(what.sectors) {
                    self.at = from;
                    return self.wants("a sector of a disk, below 2^55");
                }
            } else if action == LetteredAction::Split {
                if !self.eat(b'/') {
                    return self.wants("` / ` and the sector of the split");
                }
                self.spaces();
                self.number_or("the sector of the split")?;
            } else {
                // Bytes of a passthrough command, or a request without data.
                what.passthrough = true;
            }
            self.spaces();
        } else if matches!(action, LetteredAction::Remap | LetteredAction::Split) {
            return self.wants("a sector");
        } else {
            what.passthrough = self.peek() == Some(b'(');
        }
        match action {
            LetteredAction::Remap => {
                const EXPECTED: &str = "`<- (MAJOR,MINOR) SECTOR`, where it was remapped from";
                for byte in *b"<-" {
                    if !self.eat(byte) {
                        return self.wants(EXPECTED);
                    }
                }
                self.spaces();
                if !self.eat(b'(') {
                    return self.wants(EXPECTED);
                }
                let device = self.device(EXPECTED)?;
                if !self.eat(b')') {
                    return self.wants(EXPECTED);
                }
                self.spaces();
                what.remapped_from = Some((device, self.number_or(EXPECTED)?));
                self.end_of_line()?;
            }
            LetteredAction::Ended(_) => {
                self.brackets_of_passthrough()?;
                what.failed = self.error_number()?;
                self.end_of_line()?;
            }
            LetteredAction::Unplug => self.process(true)?,
            _ => {
                self.brackets_of_passthrough()?;
                self.process(false)?;
            }
        }
        Ok(what)
    }

    /// The command of a passthrough request, or with `-t` the time since the record before: `(12 00 00)`.
    fn brackets_of_passthrough(&mut self) -> Result<(), LineError> {
        if self.eat(b'(') {
            while self.peek().is_some_and(|byte| byte != b')') {
                self.at += 1;
            }
            if !self.eat(b')') {
                return self.wants("a closing bracket");
            }
            self.spaces();
        }
        Ok(())
    }

    /// `[-5]`.
    fn error_number(&mut self) -> Result<bool, LineError> {
        const EXPECTED: &str = "the error in brackets, such as [0]";
        if !self.eat(b'[') {
            return self.wants(EXPECTED);
        }
        self.eat(b'-');
        let error = self.number_or(EXPECTED)?;
        if !self.eat(b']') {
            return self.wants(EXPECTED);
        }
        Ok(error != 0)
    }

    /// `[kworker/0:1H]`: the name may hold anything, brackets and spaces too, so the last bracket of the line counts.
    fn process(&mut self, with_count: bool) -> Result<(), LineError> {
        const EXPECTED: &str = "the process in brackets, at the end of the line";
        if self.peek() != Some(b'[') {
            return self.wants(EXPECTED);
        }
        let rest = self.line.get(self.at..).unwrap_or_default();
        let mut rest = rest.trim_ascii_end();
        if with_count {
            let digits = rest.iter().rev().take_while(|byte| byte.is_ascii_digit());
            let digits = digits.count();
            if digits == 0 {
                self.at = self.line.len();
                return self.wants("the number of requests after the process");
            }
            rest = rest
                .get(..rest.len() - digits)
                .unwrap_or_default()
                .trim_ascii_end();
        }
        if rest.len() < 2 || rest.last() != Some(&b']') {
            self.at = self.line.len();
            return self.wants(EXPECTED);
        }
        Ok(())
    }

    fn end_of_line(&mut self) -> Result<(), LineError> {
        self.spaces();
        if self.at < self.line.len() {
            return self.wants("the end of the line");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
