//! Words of an engine's command with placeholders: `{tokens}`. `{{` and `}}` stand for braces.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Serialize, Serializer};

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace that opens nothing or closes nothing.
    #[error(
        "{0:?} has a brace without its counterpart; write {{{{ and }}}} for braces that mean themselves"
    )]
    Unbalanced(String),
    /// A name that could be no axis.
    #[error(
        "{{{0}}} in the command is no placeholder: its name must be of letters, digits, _ and -; write {{{{ and }}}} for braces that mean themselves"
    )]
    Name(String),
}

/// A word with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    written: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Placeholder(String),
}

impl Template {
    /// Reads a word.
    ///
    /// # Errors
    /// Braces that do not fit together.
    pub fn parse(word: &str) -> Result<Self, TemplateError> {
        let unbalanced = || TemplateError::Unbalanced(word.to_owned());
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = word;
        while let Some(position) = rest.find(['{', '}']) {
            let (before, from_brace) = rest.split_at(position);
            text.push_str(before);
            if let Some(after) = from_brace.strip_prefix("{{") {
                text.push('{');
                rest = after;
            } else if let Some(after) = from_brace.strip_prefix("}}") {
                text.push('}');
                rest = after;
            } else {
                let (name, after) = from_brace
                    .strip_prefix('{')
                    .and_then(|inside| inside.split_once('}'))
                    .ok_or_else(unbalanced)?;
                if !is_name(name) {
                    return Err(TemplateError::Name(name.to_owned()));
                }
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Placeholder(name.to_owned()));
                rest = after;
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self {
            written: word.to_owned(),
            parts,
        })
    }

    /// As it was written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }

    /// Names of its placeholders.
    #[must_use]
    pub fn placeholders(&self) -> BTreeSet<&str> {
        self.parts
            .iter()
            .filter_map(|part| match part {
                Part::Placeholder(name) => Some(name.as_str()),
                Part::Text(_) => None,
            })
            .collect()
    }

    /// Puts the values in. What a value holds is not looked at again. `None` where a placeholder has no value.
    #[must_use]
    pub fn fill(&self, values: &BTreeMap<String, String>) -> Option<String> {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => Some(text.as_str()),
                Part::Placeholder(name) => values.get(name).map(String::as_str),
            })
            .collect()
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

/// Whether this can be the name of an axis.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Template, TemplateError};

    fn values() -> BTreeMap<String, String> {
        [("tokens", "10"), ("own-axis", "{tokens} }")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    #[test]
    fn values_go_where_their_names_are() {
        for (word, filled) in [
            ("plain", "plain"),
            ("", ""),
            ("--n={tokens}!", "--n=10!"),
            ("{tokens}{tokens}", "1010"),
            ("{{tokens}}", "{tokens}"),
            ("{{{tokens}}}", "{10}"),
            ("ü{own-axis}", "ü{tokens} }"),
        ] {
            let template = Template::parse(word).expect(word);
            assert_eq!(template.fill(&values()).as_deref(), Some(filled), "{word}");
        }
        let unknown = Template::parse("a{port}").expect("a placeholder");
        assert_eq!(unknown.fill(&values()), None);
        assert_eq!(
            unknown.placeholders().into_iter().collect::<Vec<_>>(),
            ["port"]
        );
    }

    #[test]
    fn braces_that_do_not_fit_are_refused() {
        for word in ["{", "}", "{tokens", "tokens}", "{a}}", "{{a}"] {
            assert!(
                matches!(Template::parse(word), Err(TemplateError::Unbalanced(_))),
                "{word}"
            );
        }
        for word in ["{}", "{a b}", "{{{", "{\"json\": 1}"] {
            assert!(Template::parse(word).is_err(), "{word}");
        }
    }

    proptest! {
        /// Any text, its braces doubled, means itself.
        #[test]
        fn doubled_braces_mean_themselves(text in ".*") {
            let doubled = text.replace('{', "{{").replace('}', "}}");
            let template = Template::parse(&doubled).expect("doubled");
            prop_assert_eq!(template.fill(&BTreeMap::new()), Some(text));
        }
    }
}
