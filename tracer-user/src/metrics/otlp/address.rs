//! Where a collector listens.

use std::{fmt, str::FromStr};

/// The whole URL that metrics are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorAddress(String);

/// Where metrics go below a collector's base address, by the specification.
const PATH: &str = "/v1/metrics";

impl FromStr for CollectorAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "write it as http://127.0.0.1:4318";
        if text.starts_with("https://") {
            return Err(format!(
                "{text:?}: the tracer speaks no TLS; send to a collector on this machine, which hands on with TLS ({example})"
            ));
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(format!("{text:?} is no address of a collector: {example}"));
        };
        let (host, path) = match rest.split_once('/') {
            Some((host, path)) => (host, path.trim_end_matches('/')),
            None => (rest, ""),
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(format!("{text:?} names no host: {example}"));
        }
        Ok(Self(if path.is_empty() {
            format!("http://{host}{PATH}")
        } else {
            format!("http://{host}/{path}")
        }))
    }
}

impl fmt::Display for CollectorAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::CollectorAddress;

    #[test]
    fn a_base_address_gets_the_path_of_metrics() {
        for (text, url) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/metrics"),
            ("http://c:4318/", "http://c:4318/v1/metrics"),
            ("http://c/own/path", "http://c/own/path"),
        ] {
            let address: CollectorAddress = text.parse().expect(text);
            assert_eq!(address.to_string(), url);
        }
        for (wrong, says) in [
            ("https://c:4318", "no TLS"),
            ("c:4318", "http://127.0.0.1:4318"),
            ("http://", "no host"),
        ] {
            let why = wrong.parse::<CollectorAddress>().expect_err(wrong);
            assert!(why.contains(says), "{why}");
        }
    }
}
