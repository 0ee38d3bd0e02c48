//! Processors of this machine and of guests, by the names that each tool has for them.

use std::env::consts;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Architecture {
    /// x86-64.
    Amd64,
    /// 64-bit Arm.
    Arm64,
}

impl Architecture {
    pub const fn debian(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The folder of shared libraries below `lib`.
    pub const fn library_folder(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// The target that what is tested is built for: Rust brings this C library with it, and links it in.
    pub const fn rust_target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
            Self::Arm64 => "aarch64-unknown-linux-musl",
        }
    }

    /// The target with the machine's own C library.
    pub const fn gnu_target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// QEMU, and the package of Debian's that has it.
    pub const fn emulator(self) -> (&'static str, &'static str) {
        match self {
            Self::Amd64 => ("qemu-system-x86_64", "qemu-system-x86"),
            Self::Arm64 => ("qemu-system-aarch64", "qemu-system-arm"),
        }
    }

    /// This machine's own; none where it is another.
    pub fn of_machine() -> Option<Self> {
        match consts::ARCH {
            "x86_64" => Some(Self::Amd64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// Whether this machine runs such programs, and has them.
    pub fn is_of_machine(self) -> bool {
        Self::of_machine() == Some(self)
    }

    /// A folder's name: that which is of this machine's architecture goes without it.
    pub fn folder(self, name: &str) -> String {
        if self.is_of_machine() {
            name.to_owned()
        } else {
            format!("{name}-{}", self.debian())
        }
    }
}
