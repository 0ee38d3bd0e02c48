//! Runs that are missing, as lines of a plan.

use crate::{
    report::document::{Document, Text},
    schema::ExperimentRecord,
};

/// Runs that would answer a question.
pub(super) struct Missing {
    /// What for.
    pub why: String,
    /// The template of whole plans for this question.
    pub template: &'static str,
    /// Runs of each cell.
    pub repetitions: usize,
    /// Axes with other values than the experiment's; all others stay as they are. Empty: only the template is named.
    pub axes: Vec<(String, Vec<String>)>,
}

/// A TOML string, quoted.
fn quote(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

impl Missing {
    /// The reason, and the lines of the plan.
    pub(super) fn write(&self, document: &mut Document, experiment: &ExperimentRecord) {
        let why = format!("Missing: {}.", self.why);
        if self.axes.is_empty() {
            document.paragraph(
                Text::plain(why)
                    .then(" ")
                    .code(format!("tracer experiment template {}", self.template))
                    .then(" prints a plan."),
            );
            return;
        }
        document.paragraph(why + " A plan with these lines would supply them:");
        document.code(self.plan(experiment));
    }

    fn plan(&self, experiment: &ExperimentRecord) -> String {
        let mut lines = vec![
            format!(
                "name = {}",
                quote(&format!("{}, {}", experiment.name, self.template))
            ),
            format!("seed = {}", experiment.seed),
            format!("repetitions = {}", self.repetitions),
            "# [engine] and all else as in the plan of this experiment".to_owned(),
            String::new(),
            "[axes]".to_owned(),
        ];
        let line = |name: &str, values: &[String]| {
            let values: Vec<String> = values.iter().map(|value| quote(value)).collect();
            // A bare key needs no quotes; the plan's own axes may need them.
            let bare = name
                .chars()
                .all(|it| it.is_ascii_alphanumeric() || it == '_' || it == '-');
            let key = if bare { name.to_owned() } else { quote(name) };
            format!("{key} = [{}]", values.join(", "))
        };
        for axis in &experiment.axes {
            let changed = self.axes.iter().find(|(name, _)| name == &axis.name);
            let values = changed.map_or(&axis.values, |(_, values)| values);
            lines.push(line(&axis.name, values));
        }
        let known = |name: &str| experiment.axes.iter().any(|axis| axis.name == name);
        for (name, values) in self.axes.iter().filter(|(name, _)| !known(name)) {
            lines.push(line(name, values));
            if *name != "model" && *name != "pressure" {
                lines.push(format!("# with {{{name}}} in the engine's command"));
            }
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        report::{
            document::{Document, markdown},
            experiment::sample::{experiment, finished},
        },
        schema::PlannedPressure,
    };

    use super::Missing;

    #[test]
    fn the_lines_are_toml_whatever_the_values_hold() {
        let mut made = experiment(vec![finished("a \"b\"\\\n.gguf", PlannedPressure::None)]);
        made.axes.push(crate::schema::AxisRecord {
            name: "my axis".into(),
            values: vec!["x".into()],
        });
        let missing = Missing {
            why: "x".into(),
            template: "coverage",
            repetitions: 3,
            axes: vec![
                ("tokens".into(), vec!["10".into()]),
                ("threads".into(), vec!["2".into()]),
            ],
        };
        let mut document = Document::default();
        missing.write(&mut document, &made);
        let text = markdown(&document);
        let plan = text
            .split("```\n")
            .nth(1)
            .and_then(|rest| rest.split("```").next())
            .expect("a plan");
        let parsed: toml::Table = plan.parse().expect("TOML");
        let axes = parsed["axes"].as_table().expect("axes");
        assert_eq!(axes["model"][0].as_str(), Some("a \"b\"\\\n.gguf"));
        assert_eq!(axes["tokens"][0].as_str(), Some("10"));
        assert_eq!(axes["threads"][0].as_str(), Some("2"));
        assert_eq!(axes["my axis"][0].as_str(), Some("x"));
        assert_eq!(parsed["repetitions"].as_integer(), Some(3));
    }
}
