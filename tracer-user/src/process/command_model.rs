//! The model that a command names among its arguments: `-m FILE`, `--model FOLDER`, an index of shards, a name in the
//! cache of Hugging Face's hub.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::model::{ModelFileError, ModelFiles, hub_cache, names_a_model};

use super::caller::Caller;

/// Options of engines behind which the model stands: llama.cpp, vLLM, SGLang, transformers' scripts, ktransformers.
const OPTIONS: [&str; 8] = [
    "-m",
    "--model",
    "--model-path",
    "--model_path",
    "--model-name-or-path",
    "--model_name_or_path",
    "--gguf_path",
    "--gguf-path",
];

/// Why a command's arguments name no model.
#[derive(Debug, thiserror::Error)]
pub enum CommandModelError {
    /// No argument is a model.
    #[error(
        "no argument of the command is a GGUF or safetensors file, a folder with one model, or an index of shards; name the model with --model"
    )]
    None,
    /// An argument names a model that cannot be taken.
    #[error("{option} of the command names no model that can be traced: {source}")]
    Unusable {
        option: String,
        source: ModelFileError,
    },
}

/// The files by which a command's models are named, in the order of its arguments: those behind an option such as `-m`;
/// where there is none, all arguments that are models by name or content.
///
/// # Errors
/// There are none, or what stands behind such an option is not there.
pub fn models_of_command(
    command: &[OsString],
    caller: &Caller,
) -> Result<Vec<PathBuf>, CommandModelError> {
    let arguments = command.get(1..).unwrap_or_default();
    let mut behind_options = Vec::new();
    for (position, argument) in arguments.iter().enumerate() {
        let Some((option, value)) = option_and_value(argument, arguments.get(position + 1)) else {
            continue;
        };
        if OPTIONS.contains(&option.as_str()) {
            let model = model_at(&value, caller)
                .map_err(|source| CommandModelError::Unusable { option, source })?;
            behind_options.push(model);
        }
    }
    let found = if behind_options.is_empty() {
        arguments
            .iter()
            .map(|argument| match argument_with_value(argument) {
                Some((_, value)) => value,
                None => argument,
            })
            .filter(|value| !value.as_bytes().starts_with(b"-") && could_be_model(value, caller))
            .filter_map(|value| model_at(value, caller).ok())
            .collect()
    } else {
        behind_options
    };
    let mut models: Vec<PathBuf> = Vec::new();
    for model in found {
        if !models.contains(&model) {
            models.push(model);
        }
    }
    if models.is_empty() {
        return Err(CommandModelError::None);
    }
    Ok(models)
}

/// An option with what stands behind it: `--model=X`, or `--model X`.
fn option_and_value(argument: &OsStr, next: Option<&OsString>) -> Option<(String, OsString)> {
    if let Some((option, value)) = argument_with_value(argument) {
        return Some((option.to_string_lossy().into_owned(), value.to_owned()));
    }
    let option = argument.to_str().filter(|it| it.starts_with('-'))?;
    Some((option.to_owned(), next?.clone()))
}

/// `--option=value` apart.
fn argument_with_value(argument: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let bytes = argument.as_bytes();
    let equals = bytes.iter().position(|&byte| byte == b'=')?;
    bytes.starts_with(b"-").then(|| {
        let (option, value) = bytes.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        (OsStr::from_bytes(option), OsStr::from_bytes(value))
    })
}

/// Whether an argument that stands behind no known option is to be taken for a model: not every folder is.
fn could_be_model(value: &OsStr, caller: &Caller) -> bool {
    let path = Path::new(value);
    if path.is_dir() {
        return path.join("config.json").is_file();
    }
    names_a_model(path) || (!path.exists() && hub_snapshot(value, caller).is_some())
}

/// A file of the model that a path, or a name in the hub's cache, stands for.
fn model_at(value: &OsStr, caller: &Caller) -> Result<PathBuf, ModelFileError> {
    let path = Path::new(value);
    if path.is_dir() {
        return ModelFiles::file_in_folder(path);
    }
    if !path.exists()
        && let Some(snapshot) = hub_snapshot(value, caller)
    {
        return ModelFiles::file_in_folder(&snapshot);
    }
    ModelFiles::from_path(path).map(|_| path.to_owned())
}

/// The snapshot of `OWNER/NAME` in the caller's cache of the hub.
fn hub_snapshot(value: &OsStr, caller: &Caller) -> Option<PathBuf> {
    let (owner, name) = value.to_str()?.split_once('/')?;
    let is_plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    if !is_plain(owner) || !is_plain(name) {
        return None;
    }
    let variable = |name: &str| caller.variable(name).map(PathBuf::from);
    let cache = variable("HF_HUB_CACHE")
        .or_else(|| Some(variable("HF_HOME")?.join("hub")))
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("huggingface/hub")))
        .or_else(|| Some(variable("HOME")?.join(".cache/huggingface/hub")))?;
    let repository = cache.join(format!("models--{owner}--{name}"));
    hub_cache::snapshots(&repository).into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hub_cache::tests::put;

    fn caller(variables: &[(&str, &Path)]) -> Caller {
        let mut caller = Caller::of_this_process().expect("caller");
        caller.environment = variables
            .iter()
            .map(|(name, value)| (name.into(), value.as_os_str().to_owned()))
            .collect();
        caller
    }

    fn found(command: &[&str], caller: &Caller) -> Result<Vec<PathBuf>, String> {
        let command: Vec<OsString> = command.iter().map(OsString::from).collect();
        models_of_command(&command, caller).map_err(|error| error.to_string())
    }

    #[test]
    fn models_are_taken_from_arguments() {
        let directory = tempfile::tempdir().expect("directory");
        let path = |name: &str| directory.path().join(name);
        let text = |name: &str| path(name).to_str().expect("utf-8").to_owned();
        for (name, content) in [
            ("m.gguf", "x"),
            ("draft.gguf", "x"),
            ("blob", "GGUF"),
            ("prompt.txt", "hello"),
            ("folder/config.json", "{}"),
            ("folder/model.safetensors", "x"),
            ("sharded/a.safetensors", "x"),
            ("sharded/b.safetensors", "x"),
            (
                "sharded/model.safetensors.index.json",
                r#"{"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}"#,
            ),
            ("many/q4.gguf", "x"),
            ("many/q8.gguf", "x"),
        ] {
            std::fs::create_dir_all(path(name).parent().expect("folder")).expect("folder");
            std::fs::write(path(name), content).expect("file");
        }
        let nobody = caller(&[]);
        let (model, draft, blob) = (text("m.gguf"), text("draft.gguf"), text("blob"));
        let (prompt, folder, sharded) = (text("prompt.txt"), text("folder"), text("sharded"));
        let index = text("sharded/model.safetensors.index.json");
        for (command, expected) in [
            (
                vec!["llama-cli", "-m", &model, "-md", &draft, "-f", &prompt],
                vec!["m.gguf"],
            ),
            (
                vec!["llama-server", "--model", &blob, "--port", "1"],
                vec!["blob"],
            ),
            (
                vec!["serve", &format!("--model={folder}")],
                vec!["folder/model.safetensors"],
            ),
            (
                vec!["vllm", "serve", &folder],
                vec!["folder/model.safetensors"],
            ),
            (
                vec!["x", "--model-path", &sharded],
                vec!["sharded/model.safetensors.index.json"],
            ),
            (
                vec!["python3", "run.py", &index],
                vec!["sharded/model.safetensors.index.json"],
            ),
            (
                vec!["cat", &prompt, &model, &blob, &model],
                vec!["m.gguf", "blob"],
            ),
        ] {
            let expected: Vec<PathBuf> = expected.into_iter().map(path).collect();
            assert_eq!(found(&command, &nobody), Ok(expected), "{command:?}");
        }
        for (command, words) in [
            (
                vec!["llama-cli", "-m", "/none/m.gguf"],
                "-m of the command names no model that can be traced: model /none/m.gguf: does not exist",
            ),
            (vec!["llama-cli", "-m", &text("many")], "q4.gguf, q8.gguf"),
            (
                vec!["ls", &text("many"), &prompt],
                "name the model with --model",
            ),
            (vec!["true"], "name the model with --model"),
            (vec![&model], "name the model with --model"),
        ] {
            let error = found(&command, &nobody).expect_err("no model");
            assert!(error.contains(words), "{command:?}: {error}");
        }
    }

    #[test]
    fn a_name_is_looked_up_in_the_callers_cache() {
        let directory = tempfile::tempdir().expect("directory");
        let home = directory.path();
        let repository = home.join(".cache/huggingface/hub/models--Some-One--M.1");
        put(&repository, "0123", "model.safetensors", b"weights");
        let expected = vec![repository.join("snapshots/0123/model.safetensors")];
        let caller = caller(&[("HOME", home)]);
        for command in [
            &["vllm", "serve", "Some-One/M.1"][..],
            &["x", "--model", "Some-One/M.1"],
        ] {
            assert_eq!(found(command, &caller), Ok(expected.clone()), "{command:?}");
        }
        found(&["vllm", "serve", "Some-One/other"], &caller).expect_err("not there");
        found(&["vllm", "serve", "../M.1"], &caller).expect_err("no name");
    }
}
