//! An address without TLS.

use std::{fmt, str::FromStr};

/// `http://host:port/path`; without the last slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    authority: String,
    /// Empty, or with its slash.
    path: String,
}

/// Why a text is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    #[error("the tracer speaks no TLS")]
    Tls,
    #[error("it does not begin with http://")]
    Scheme,
    #[error("it names no host")]
    Host,
}

impl HttpUrl {
    /// The same, at this path where it names none.
    #[must_use]
    pub fn or_path(mut self, path: &str) -> Self {
        if self.path.is_empty() {
            path.clone_into(&mut self.path);
        }
        self
    }

    /// The port, where its host is an address of this machine's loopback.
    #[must_use]
    pub fn loopback_port(&self) -> Option<u16> {
        let (host, port) = match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (self.authority.as_str(), 80),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = host.eq_ignore_ascii_case("localhost")
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        is_loopback.then_some(port)
    }
}

impl HttpUrl {
    /// Where an engine serves its metrics: at the usual path, unless there is one.
    ///
    /// # Errors
    /// It is no address, in words.
    pub fn of_engine_metrics(text: &str) -> Result<Self, String> {
        let url: Self = text
            .parse()
            .map_err(|error| format!("{error}; write it as http://127.0.0.1:8080/metrics"))?;
        Ok(url.or_path("/metrics"))
    }
}

impl FromStr for HttpUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.starts_with("https://") {
            return Err(UrlError::Tls);
        }
        let rest = text.strip_prefix("http://").ok_or(UrlError::Scheme)?;
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, path.trim_end_matches('/')),
            None => (rest, ""),
        };
        if authority.is_empty() || text.contains(char::is_whitespace) {
            return Err(UrlError::Host);
        }
        Ok(Self {
            authority: authority.to_owned(),
            path: if path.is_empty() {
                String::new()
            } else {
                format!("/{path}")
            },
        })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::{HttpUrl, UrlError};

    #[test]
    fn a_path_is_added_where_there_is_none_and_loopback_is_told() {
        for (text, url, port) in [
            (
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080/p",
                Some(8080),
            ),
            ("http://localhost/", "http://localhost/p", Some(80)),
            ("http://[::1]:9/own/", "http://[::1]:9/own", Some(9)),
            ("http://[::1]", "http://[::1]/p", Some(80)),
            ("http://10.0.0.1:8080/own", "http://10.0.0.1:8080/own", None),
            ("http://127.0.0.1:x", "http://127.0.0.1:x/p", None),
        ] {
            let read: HttpUrl = text.parse().expect(text);
            let read = read.or_path("/p");
            assert_eq!(
                (read.to_string().as_str(), read.loopback_port()),
                (url, port)
            );
        }
        for (wrong, why) in [
            ("https://c", UrlError::Tls),
            ("c:80", UrlError::Scheme),
            ("http:///p", UrlError::Host),
            ("http://a b/", UrlError::Host),
        ] {
            assert_eq!(wrong.parse::<HttpUrl>(), Err(why));
        }
    }

    #[test]
    fn an_engine_has_its_metrics_at_the_usual_path() {
        let url = HttpUrl::of_engine_metrics("http://127.0.0.1:8080").expect("an address");
        assert_eq!(url.to_string(), "http://127.0.0.1:8080/metrics");
        let why = HttpUrl::of_engine_metrics("127.0.0.1:8080").expect_err("no scheme");
        assert!(why.contains("http://127.0.0.1:8080/metrics"), "{why}");
    }
}
