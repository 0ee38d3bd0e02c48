//! The socket, opened before rights are given up.

use std::{
    fs, io,
    net::TcpListener,
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::FileTypeExt as _,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use nix::sys::{
    socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr},
    stat::Mode,
};

use super::{address::ServeAddress, token::Token};

/// Connections that wait to be taken, as in the standard library.
const WAITING: i32 = 128;

/// A socket that takes connections already. They are answered when there is a server.
pub struct Listening {
    pub(super) socket: Socket,
    pub(super) token: Option<Token>,
    /// With the port that it got.
    address: ServeAddress,
    /// Removed with this.
    _file: Option<SocketFile>,
}

pub(super) enum Socket {
    Network(TcpListener),
    Unix(UnixListener),
}

impl Socket {
    /// A second descriptor of it.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Network(listener) => Self::Network(listener.try_clone()?),
            Self::Unix(listener) => Self::Unix(listener.try_clone()?),
        })
    }
}

struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Whoever removed it has done what was to be done.
        let _ = fs::remove_file(&self.0);
    }
}

impl Listening {
    /// Takes the address.
    ///
    /// # Errors
    /// It is in use or not of this machine; it is open to other machines and there is no token.
    pub fn open(address: &ServeAddress, token_file: Option<&Path>) -> anyhow::Result<Self> {
        let token = token_file.map(Token::read).transpose()?;
        if token.is_none() && !address.is_local() {
            bail!(
                "other machines could read the metrics at {address}: serve on 127.0.0.1, or name a file with a secret with --serve-token-file"
            );
        }
        let (socket, address, file) = match address {
            ServeAddress::Network(wanted) => {
                let listener = TcpListener::bind(wanted).with_context(|| {
                    format!("cannot serve metrics on {wanted}: name another address or port with --serve (port 0 takes a free one)")
                })?;
                listener.set_nonblocking(true)?;
                let own = listener.local_addr()?;
                (Socket::Network(listener), ServeAddress::Network(own), None)
            }
            ServeAddress::Unix(path) => {
                let listener = bind_unix(path)
                    .with_context(|| format!("cannot serve metrics on {}: name a socket in a folder that is there and that you may write", path.display()))?;
                let file = SocketFile(path.clone());
                listener.set_nonblocking(true)?;
                (Socket::Unix(listener), address.clone(), Some(file))
            }
        };
        Ok(Self {
            socket,
            token,
            address,
            _file: file,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> &ServeAddress {
        &self.address
    }
}

/// A socket that nobody listens on any more was left by somebody who was killed; anything else stays.
fn bind_unix(path: &Path) -> anyhow::Result<UnixListener> {
    if let Ok(found) = fs::symlink_metadata(path) {
        if !found.file_type().is_socket() {
            bail!("there is a file that is no socket: name another path");
        }
        match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).context("a socket of before cannot be removed")?;
            }
            _ => bail!("another program listens there: name another path"),
        }
    }
    let socket = socket::socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // The file gets the mode of its socket, so that at no time others can connect.
    nix::sys::stat::fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket::bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    socket::listen(&socket, Backlog::new(WAITING)?)?;
    Ok(UnixListener::from(socket))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::{Listening, ServeAddress};

    fn open(address: &str) -> anyhow::Result<Listening> {
        Listening::open(&address.parse().expect("an address"), None)
    }

    fn refusal(address: &str) -> String {
        format!("{:#}", open(address).err().expect("it is refused"))
    }

    #[test]
    fn an_address_in_use_and_one_open_to_others_are_refused() {
        let first = open("127.0.0.1:0").expect("a free port");
        let ServeAddress::Network(taken) = first.address() else {
            panic!("it is of the network");
        };
        assert_ne!(taken.port(), 0);
        assert!(refusal(&taken.to_string()).contains("--serve"));
        assert!(refusal("0.0.0.0:0").contains("--serve-token-file"));
        assert!(refusal("192.0.2.1:9464").contains("--serve-token-file"));
    }

    #[test]
    fn a_socket_of_before_goes_and_other_files_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let address = format!("unix:{}", path.display());
        {
            let _first = open(&address).expect("nobody has it");
            let mode = fs::metadata(&path).expect("it is there").permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
            assert!(refusal(&address).contains("another program"));
            assert!(path.exists(), "the refused one removed it");
        }
        assert!(!path.exists(), "it was left behind");
        drop(std::os::unix::net::UnixListener::bind(&path).expect("it binds"));
        drop(open(&address).expect("nobody listens there"));
        fs::write(&path, "text").expect("a file");
        assert!(refusal(&address).contains("no socket"));
        assert_eq!(fs::read(&path).expect("it stays"), b"text");
    }
}
