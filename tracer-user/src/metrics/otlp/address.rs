//! Where a collector listens.

use std::{fmt, str::FromStr};

use crate::outward::{HttpUrl, UrlError};

/// The whole URL that metrics are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectorAddress(HttpUrl);

/// Where metrics go below a collector's base address, by the specification.
const PATH: &str = "/v1/metrics";

impl CollectorAddress {
    #[must_use]
    pub const fn url(&self) -> &HttpUrl {
        &self.0
    }
}

impl FromStr for CollectorAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url: HttpUrl = text.parse().map_err(|error| match error {
            UrlError::Tls => format!(
                "{text:?}: {error}; send to a collector on this machine, which hands on with TLS (write it as http://127.0.0.1:4318)"
            ),
            UrlError::Scheme | UrlError::Host => format!(
                "{text:?} is no address of a collector: {error}; write it as http://127.0.0.1:4318"
            ),
        })?;
        Ok(Self(url.or_path(PATH)))
    }
}

impl fmt::Display for CollectorAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
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
