//! Plan templates, one for each open question but the last, which any run that reads answers. A template is a whole plan with comments; only the models' paths, and the
//! sizes of memory, have to be set.

/// Names of the templates, in the order of the questions, each with its text.
pub const TEMPLATES: [(&str, &str); 7] = [
    ("coverage", include_str!("coverage.toml")),
    ("cache-delta", include_str!("cache-delta.toml")),
    ("threshold", include_str!("threshold.toml")),
    ("memory", include_str!("memory.toml")),
    ("rereads", include_str!("rereads.toml")),
    ("seeks", include_str!("seeks.toml")),
    ("kv-cache", include_str!("kv-cache.toml")),
];

/// The template of this name.
#[must_use]
pub fn template(name: &str) -> Option<&'static str> {
    TEMPLATES
        .iter()
        .find(|(own, _)| *own == name)
        .map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::{TEMPLATES, template};

    /// What is between braces in these texts.
    fn placeholders(command: &[toml::Value]) -> Vec<&str> {
        command
            .iter()
            .filter_map(toml::Value::as_str)
            .flat_map(|word| word.split('{').skip(1))
            .filter_map(|rest| rest.split('}').next())
            .collect()
    }

    #[test]
    fn every_template_is_a_plan_whose_placeholders_are_axes() {
        for (name, text) in TEMPLATES {
            let plan: toml::Table = text
                .parse()
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(plan["name"].as_str(), Some(name));
            let axes = plan["axes"].as_table().expect("axes");
            let command = plan["engine"]["command"].as_array().expect("a command");
            let used = placeholders(command);
            for placeholder in &used {
                assert!(axes.contains_key(*placeholder), "{name}: {placeholder}");
            }
            for axis in axes
                .keys()
                .filter(|axis| *axis != "pressure" && *axis != "extents")
            {
                assert!(
                    used.contains(&axis.as_str()),
                    "{name}: nobody uses the axis {axis}"
                );
            }
            assert!(
                axes.contains_key("model") && axes.contains_key("pressure"),
                "{name}"
            );
            for values in axes.values() {
                assert!(!values.as_array().expect("values").is_empty(), "{name}");
            }
            // Runs are pooled only if they sampled deterministically.
            assert_eq!(
                plan["engine"]["temperature"].as_integer(),
                Some(0),
                "{name}"
            );
            assert!(plan["engine"]["seed"].is_integer(), "{name}");
        }
    }

    /// The lines that a comment offers instead are a plan, too.
    #[test]
    fn the_built_in_engine_of_a_comment_is_valid() {
        for (name, text) in TEMPLATES {
            let offered: String = text
                .lines()
                .filter_map(|line| line.strip_prefix("#| "))
                .flat_map(|line| [line, "\n"])
                .collect();
            let engine: toml::Table = offered
                .parse()
                .unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(engine["adapter"].as_str(), Some("built-in"), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_has_no_template() {
        assert_eq!(template("nothing"), None);
        assert!(template("cache-delta").is_some());
    }
}
