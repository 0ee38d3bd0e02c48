//! The secret that a scraper has to show.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Shorter ones can be guessed.
const SHORTEST_BYTES: usize = 16;

const LONGEST_BYTES: u64 = 4096;

/// A bearer token, of which only the digest is kept.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// What a file holds, without the white space around it.
    ///
    /// # Errors
    /// It cannot be read, others may read it too, or it is no token that would protect anything.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let file = path.display();
        let cannot = || format!("cannot read the token in {file}");
        let opened = File::open(path).with_context(cannot)?;
        let mode = opened.metadata().with_context(cannot)?.permissions().mode();
        if mode & 0o077 != 0 {
            bail!(
                "others than its owner may read or change the token in {file}: run `chmod 600 {file}`"
            );
        }
        let mut text = String::new();
        let read: io::Result<usize> = opened.take(LONGEST_BYTES + 1).read_to_string(&mut text);
        read.with_context(cannot)?;
        let token = text.trim();
        if token.len() < SHORTEST_BYTES || text.len() as u64 > LONGEST_BYTES {
            bail!(
                "the token in {file} has {} bytes; it takes {SHORTEST_BYTES} to {LONGEST_BYTES}: `openssl rand -hex 32` makes one",
                token.len()
            );
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!(
                "the token in {file} has spaces, line ends or letters that are not ASCII: a header cannot carry those"
            );
        }
        Ok(Self::of(token.as_bytes()))
    }

    fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Whether the value of an `Authorization` header shows it. How long that takes tells nothing of the token, nor of
    /// its length.
    #[must_use]
    pub fn is_shown_by(&self, authorization: &[u8]) -> bool {
        let Some((scheme, shown)) = authorization.split_at_checked("Bearer ".len()) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(Self::of(shown).0.ct_eq(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _};

    use super::Token;

    const SECRET: &str = "0123456789abcdef";

    fn of_file(text: &str, mode: u32) -> anyhow::Result<Token> {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(text.as_bytes())?;
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode))?;
        Token::read(file.path())
    }

    #[test]
    fn only_the_token_itself_opens() {
        let token = of_file(&format!("{SECRET}\n"), 0o600).expect("a token");
        assert!(token.is_shown_by(format!("Bearer {SECRET}").as_bytes()));
        assert!(token.is_shown_by(format!("bearer {SECRET}").as_bytes()));
        for wrong in [
            "",
            "Bearer ",
            "Bearer",
            SECRET,
            "Basic 0123456789abcdef",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer 0123456789abcdeF",
        ] {
            assert!(!token.is_shown_by(wrong.as_bytes()), "{wrong:?}");
        }
    }

    #[test]
    fn what_would_not_protect_is_refused() {
        for (text, mode, why) in [
            (SECRET, 0o644, "chmod 600"),
            (SECRET, 0o620, "chmod 600"),
            ("short", 0o600, "5 bytes"),
            ("", 0o600, "0 bytes"),
            ("0123456789 abcdef", 0o600, "spaces"),
            (&"x".repeat(5000), 0o600, "bytes"),
        ] {
            let error = of_file(text, mode).err().expect(why).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
