//! What the loader fixed before load.

use tracer_common::settings::Settings;

/// Overridden by the loader under this name. All zero here: a program that was loaded without settings
/// finds no device.
#[unsafe(no_mangle)]
pub static SETTINGS: Settings = Settings::ZERO;

/// One field of the settings. A volatile read keeps the compiler from using the zeros above; the verifier
/// turns the load from the frozen map into a constant.
macro_rules! setting {
    ($($field:tt)+) => {
        // SAFETY: a static of plain integers, only read.
        unsafe { core::ptr::read_volatile(&raw const $crate::settings::SETTINGS.$($field)+) }
    };
}
pub(crate) use setting;
