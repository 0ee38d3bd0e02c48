//! What a plan says of sampling: temperature 0 and a fixed seed make runs repeatable.

use std::collections::BTreeMap;

use super::{
    Adapter, Template,
    source::{Complaints, EngineSource},
};

/// Temperature and seed, by the plan's keys and by the command of llama.cpp's programs; they must not contradict.
pub(super) fn sampling(
    adapter: Adapter,
    source: &EngineSource,
    command: &[Template],
    complaints: &mut Complaints<'_>,
) -> (Option<f64>, Option<u64>) {
    let temperature = source.temperature.as_ref().map(|value| *value.get_ref());
    let seed = source.seed.as_ref().map(|value| {
        if *value.get_ref() < 0 {
            complaints.at(Some(value.span()), "a seed is 0 or more");
        }
        value.get_ref().unsigned_abs()
    });
    if let Some(written) = source
        .temperature
        .as_ref()
        .filter(|value| !value.get_ref().is_finite() || *value.get_ref() < 0.0)
    {
        complaints.at(
            Some(written.span()),
            "a temperature is a number of 0 or more",
        );
    }
    match adapter {
        // What the request says, and the built-in engine's seed, are ours.
        Adapter::LlamaServer => (temperature.or(Some(0.0)), seed.or(Some(1))),
        Adapter::BuiltIn => (temperature, seed.or(Some(0))),
        Adapter::Command | Adapter::LlamaBench => (temperature, seed),
        Adapter::LlamaCli | Adapter::LlamaCompletion => {
            let own: BTreeMap<String, String> = temperature
                .map(|value| ("temperature".to_owned(), value.to_string()))
                .into_iter()
                .chain(seed.map(|value| ("seed".to_owned(), value.to_string())))
                .collect();
            let said_temperature: Option<f64> =
                option_value(command, &["--temp", "--temperature"], &own)
                    .and_then(|value| value.parse().ok());
            let said_seed: Option<u64> =
                option_value(command, &["-s", "--seed"], &own).and_then(|value| value.parse().ok());
            if let Some(written) = source
                .temperature
                .as_ref()
                .filter(|_| said_temperature != temperature)
            {
                complaints.at(
                    Some(written.span()),
                    "the command does not pass this temperature: add \"--temp\", \"{temperature}\"",
                );
            }
            if let Some(written) = source.seed.as_ref().filter(|_| said_seed != seed) {
                complaints.at(
                    Some(written.span()),
                    "the command does not pass this seed: add \"--seed\", \"{seed}\"",
                );
            }
            (said_temperature, said_seed)
        }
    }
}

/// The value of an option, which follows it or is tied to it with `=`; the last one counts.
fn option_value(
    command: &[Template],
    names: &[&str],
    values: &BTreeMap<String, String>,
) -> Option<String> {
    let words: Vec<Option<String>> = command.iter().map(|word| word.fill(values)).collect();
    let mut found = None;
    for (position, word) in words.iter().enumerate() {
        let Some(word) = word else { continue };
        if names.contains(&word.as_str()) {
            found = words.get(position + 1).cloned().flatten();
        } else if let Some((_, value)) = word
            .split_once('=')
            .filter(|(name, _)| names.contains(name))
        {
            found = Some(value.to_owned());
        }
    }
    found
}
