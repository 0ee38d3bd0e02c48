//! What the tracer and the process that probes say to each other: messages of fixed size over a socket that keeps them apart,
//! each with the descriptors that belong to it.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// A place to be probed; the file's descriptor comes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where it lies in the file.
    pub offset_bytes: u64,
    /// What the program is told when it is reached.
    pub cookie: u64,
    /// Whether its return is probed instead of its entry.
    pub returns: bool,
}

const REQUEST_BYTES: usize = 17;

impl Request {
    pub fn to_bytes(self) -> [u8; REQUEST_BYTES] {
        let mut bytes = [0; REQUEST_BYTES];
        bytes[..8].copy_from_slice(&self.offset_bytes.to_ne_bytes());
        bytes[8..16].copy_from_slice(&self.cookie.to_ne_bytes());
        bytes[16] = u8::from(self.returns);
        bytes
    }

    /// None where it is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; REQUEST_BYTES] = bytes.try_into().ok()?;
        let number = |from: usize| {
            Some(u64::from_ne_bytes(
                bytes.get(from..from + 8)?.try_into().ok()?,
            ))
        };
        Some(Self {
            offset_bytes: number(0)?,
            cookie: number(8)?,
            returns: match bytes[16] {
                0 => false,
                1 => true,
                _ => return None,
            },
        })
    }
}

/// Sends bytes and descriptors as one message.
///
/// # Errors
/// As of `sendmsg(2)`.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[RawFd]) -> io::Result<()> {
    let with = [ControlMessage::ScmRights(descriptors)];
    let with = if descriptors.is_empty() {
        &[][..]
    } else {
        &with
    };
    sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(bytes)],
        with,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    Ok(())
}

/// Waits for a message of at most 32 bytes and two descriptors; no bytes where the other side is gone.
///
/// # Errors
/// As of `recvmsg(2)`; a message that is longer.
pub fn receive(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = [0; 32];
    let mut space = nix::cmsg_space!([RawFd; 2]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let message = loop {
        match recvmsg::<()>(
            socket.as_raw_fd(),
            &mut parts,
            Some(&mut space),
            MsgFlags::MSG_CMSG_CLOEXEC,
        ) {
            Err(nix::errno::Errno::EINTR) => {}
            other => break other?,
        }
    };
    let length = message.bytes;
    let is_cut = message
        .flags
        .intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC);
    let mut descriptors = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = part {
            // SAFETY: the kernel made them for us with this message, and nobody else knows them.
            descriptors.extend(
                received
                    .into_iter()
                    .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            );
        }
    }
    if is_cut {
        return Err(io::Error::other("a message is too long"));
    }
    Ok((
        bytes.get(..length).unwrap_or_default().to_vec(),
        descriptors,
    ))
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read as _, os::fd::AsFd as _};

    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    use proptest::prelude::*;

    use super::*;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )
        .expect("a pair")
    }

    proptest! {
        #[test]
        fn a_request_comes_as_it_went_and_other_bytes_are_none(
            offset_bytes: u64, cookie: u64, returns: bool, other in proptest::collection::vec(any::<u8>(), 0..40)
        ) {
            let request = Request { offset_bytes, cookie, returns };
            prop_assert_eq!(Request::from_bytes(&request.to_bytes()), Some(request));
            let read = Request::from_bytes(&other);
            prop_assert!(read.is_none_or(|read| read.to_bytes()[..] == other[..]));
        }
    }

    #[test]
    fn descriptors_come_along_and_the_end_is_told_from_a_message() {
        let (here, there) = pair();
        let (mut reads, writes) = {
            let (reads, writes) = std::io::pipe().expect("a pipe");
            (reads, OwnedFd::from(writes))
        };
        send(here.as_fd(), b"x", &[writes.as_raw_fd()]).expect("sent");
        drop(writes);
        let (bytes, descriptors) = receive(there.as_fd()).expect("received");
        assert_eq!((bytes.as_slice(), descriptors.len()), (&b"x"[..], 1));
        for descriptor in descriptors {
            std::io::Write::write_all(&mut File::from(descriptor), b"through").expect("written");
        }
        let mut text = String::new();
        reads.read_to_string(&mut text).expect("read");
        assert_eq!(text, "through");
        drop(here);
        let (bytes, descriptors) = receive(there.as_fd()).expect("the end");
        assert!(bytes.is_empty() && descriptors.is_empty());
    }

    #[test]
    fn what_is_too_long_is_an_error() {
        let (here, there) = pair();
        send(here.as_fd(), &[0; 33], &[]).expect("sent");
        assert!(receive(there.as_fd()).is_err());
    }
}
