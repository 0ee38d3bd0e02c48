//! Who listens on a port of this machine.

use procfs::{
    ProcResult,
    net::{TcpState, tcp, tcp6},
    process::{FDTarget, Process},
};

/// Sockets that listen on a port, in this process's network.
#[derive(Clone, Debug)]
pub struct Listeners {
    inodes: Vec<u64>,
}

impl Listeners {
    /// Those of now.
    ///
    /// # Errors
    /// `/proc/net/tcp` cannot be read.
    pub fn on(port: u16) -> ProcResult<Self> {
        let mut entries = tcp()?;
        // A machine without IPv6 has no such file.
        entries.extend(tcp6().unwrap_or_default());
        Ok(Self {
            inodes: entries
                .iter()
                .filter(|entry| {
                    entry.state == TcpState::Listen && entry.local_address.port() == port
                })
                .map(|entry| entry.inode)
                .collect(),
        })
    }

    /// Nobody listens there; in a container somebody may.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.inodes.is_empty()
    }

    /// Whether a process has one of them; no where its descriptors cannot be looked at.
    #[must_use]
    pub fn has(&self, process: i32) -> bool {
        Process::new(process)
            .and_then(|process| process.fd())
            .is_ok_and(|mut descriptors| {
                descriptors.any(|descriptor| {
                    descriptor.is_ok_and(|descriptor| {
                        matches!(descriptor.target, FDTarget::Socket(inode) if self.inodes.contains(&inode))
                    })
                })
            })
    }
}
