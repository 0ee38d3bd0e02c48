//! Where metrics are served.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// An address of this machine, or a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServeAddress {
    Network(SocketAddr),
    /// A path that nothing else has.
    Unix(PathBuf),
}

impl ServeAddress {
    /// Only programs of this machine can connect.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Network(address) => address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

impl FromStr for ServeAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path);
            return if path.is_absolute() {
                Ok(Self::Unix(path))
            } else {
                Err(format!(
                    "{text:?} names no absolute path: write it as unix:/run/tracer.sock"
                ))
            };
        }
        text.parse().map(Self::Network).map_err(|_| {
            format!(
                "{text:?} is no address: write IP:PORT such as 127.0.0.1:9464 or [::1]:9464 (no host names), or unix:/run/tracer.sock"
            )
        })
    }
}

impl fmt::Display for ServeAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(address) => write!(formatter, "http://{address}/metrics"),
            Self::Unix(path) => write!(formatter, "unix:{} (path /metrics)", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ServeAddress;

    fn address(text: &str) -> ServeAddress {
        text.parse().expect(text)
    }

    #[test]
    fn only_loopback_and_sockets_are_of_this_machine() {
        for local in [
            "127.0.0.1:9464",
            "127.8.0.1:1",
            "[::1]:9464",
            "[::ffff:127.0.0.1]:9464",
            "unix:/run/x",
        ] {
            assert!(address(local).is_local(), "{local}");
        }
        for open in ["0.0.0.0:9464", "[::]:9464", "10.0.0.1:80", "[fe80::1]:80"] {
            assert!(!address(open).is_local(), "{open}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for wrong in [
            "",
            "9464",
            ":9464",
            "localhost:9464",
            "127.0.0.1",
            "127.0.0.1:99999",
            "unix:",
            "unix:run/x",
        ] {
            let why = wrong.parse::<ServeAddress>().expect_err(wrong);
            assert!(why.contains("unix:/run/tracer.sock"), "{why}");
        }
    }
}
