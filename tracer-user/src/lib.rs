//! Traces how an LLM inference process reads its weights from storage.
pub mod kernel;
