//! What goes through the pipes between the tracer and its helper.

use std::io::{self, Read, Write};

/// Longest body, bytes. What an address answers is another's: a mistake there must not fill the memory here.
pub const LONGEST_BODY: usize = 16 << 20;

/// Begins what is sent: what is to be done with the body, or what the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// Ask for the address; no body.
    Get = 1,
    /// Send the body as protobuf.
    PostProtobuf,
    /// It was answered with success; the answer.
    Answered,
    /// It was not; why.
    Failed,
}

impl Tag {
    fn of(byte: u8) -> io::Result<Self> {
        [Self::Get, Self::PostProtobuf, Self::Answered, Self::Failed]
            .into_iter()
            .find(|tag| *tag as u8 == byte)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no such tag"))
    }
}

/// Writes one: tag, length, body.
///
/// # Errors
/// The pipe is closed; the body is too long.
pub fn write(to: &mut impl Write, tag: Tag, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len())
        .ok()
        .filter(|_| body.len() <= LONGEST_BODY)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the body is too long"))?;
    to.write_all(&[tag as u8])?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(body)?;
    to.flush()
}

/// Reads the next; None at the end.
///
/// # Errors
/// It ends in the middle, or is none.
pub fn read(from: &mut impl Read) -> io::Result<Option<(Tag, Vec<u8>)>> {
    let mut tag = [0];
    if from.read(&mut tag)? == 0 {
        return Ok(None);
    }
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST_BODY {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the body is too long",
        ));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    let [tag] = tag;
    Ok(Some((Tag::of(tag)?, body)))
}

#[cfg(test)]
mod tests {
    use super::{Tag, read, write};

    #[test]
    fn what_is_written_is_read_and_what_is_none_is_an_error() {
        let mut pipe = Vec::new();
        let sent = [(Tag::Get, vec![]), (Tag::Failed, b"why\n".to_vec())];
        for (tag, body) in &sent {
            write(&mut pipe, *tag, body).expect("it is short");
        }
        let mut from = pipe.as_slice();
        for expected in sent {
            assert_eq!(read(&mut from).expect("whole"), Some(expected));
        }
        assert_eq!(read(&mut from).expect("the end"), None);
        for wrong in [&pipe[..3], &pipe[..pipe.len() - 1][5..], &[0, 0, 0, 0, 0]] {
            assert!(read(&mut &*wrong).is_err(), "{wrong:?}");
        }
        // Nothing is made ready for a body that is too long.
        let endless = read(&mut [1, 255, 255, 255, 255].as_slice()).expect_err("too long");
        assert_eq!(endless.kind(), std::io::ErrorKind::InvalidData);
        assert!(write(&mut Vec::new(), Tag::Get, &vec![0; super::LONGEST_BODY + 1]).is_err());
    }
}
