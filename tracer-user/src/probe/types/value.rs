//! What a program takes a member or an argument for, and what the kernel's types say that it is.

use std::fmt;

use btf_rs::{BtfType, Type};

use super::KernelTypes;

/// What a program loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// An integer of so many bytes. Its sign does not matter: it is never negative.
    Integer(u32),
    /// An integer of so many bytes that may be negative.
    Signed(u32),
    /// The lowest bytes of an integer that has one of these sizes.
    LowestOf(&'static [u32]),
    /// A bit field of one bit.
    Bit,
    /// A pointer to a struct of this name.
    Pointer(&'static str),
    /// A pointer to `struct folio`, or to `struct page` where the kernel has no folios (before Linux 5.16).
    Folio,
}

/// What the kernel's types say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer { bytes: u32, is_signed: bool },
    Bits(u32),
    Pointer { to: Option<String> },
    Other(&'static str),
}

impl KernelTypes {
    /// What a member, a parameter or another reference leads to: through names and qualifiers, and through a struct
    /// that wraps one member (`memdesc_flags_t` since Linux 6.18).
    pub(super) fn kind_of<T: BtfType + ?Sized>(&self, reference: &T) -> Kind {
        self.btf
            .chained_type_iter(reference)
            .find_map(|target| self.own_kind(&target))
            .unwrap_or(Kind::Other("nothing"))
    }

    /// None for a type that only names or qualifies another one.
    fn own_kind(&self, target: &Type) -> Option<Kind> {
        let integer = |bytes: usize, is_signed| Kind::Integer {
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            is_signed,
        };
        Some(match target {
            Type::Typedef(_)
            | Type::Const(_)
            | Type::Volatile(_)
            | Type::Restrict(_)
            | Type::TypeTag(_) => return None,
            Type::Int(found) => integer(found.size(), found.is_signed()),
            Type::Enum(found) => integer(found.size(), found.is_signed()),
            Type::Enum64(found) => integer(found.size(), found.is_signed()),
            Type::Ptr(pointer) => Kind::Pointer {
                to: self.pointee(pointer),
            },
            Type::Struct(wrapper) => match wrapper.members.as_slice() {
                [only] if only.bitfield_size().is_none_or(|bits| bits == 0) => {
                    match self.kind_of(only) {
                        inner @ Kind::Integer { bytes, .. } if bytes as usize == wrapper.size() => {
                            inner
                        }
                        _ => Kind::Other(target.name()),
                    }
                }
                _ => Kind::Other(target.name()),
            },
            _ => Kind::Other(target.name()),
        })
    }

    /// Name of the struct that a pointer leads to.
    fn pointee(&self, pointer: &btf_rs::Ptr) -> Option<String> {
        self.btf
            .chained_type_iter(pointer)
            .find_map(|target| match target {
                Type::Struct(found) => Some(self.btf.resolve_name(&found).ok()),
                Type::Fwd(found) => Some(self.btf.resolve_name(&found).ok()),
                Type::Typedef(_)
                | Type::Const(_)
                | Type::Volatile(_)
                | Type::Restrict(_)
                | Type::TypeTag(_) => None,
                _ => Some(None),
            })
            .flatten()
            .filter(|name| !name.is_empty())
    }

    /// Whether a program that loads `value` can load this.
    pub(super) fn fits(&self, value: Value, kind: &Kind) -> bool {
        match (value, kind) {
            (Value::Integer(wanted), Kind::Integer { bytes, .. }) => wanted == *bytes,
            (Value::Signed(wanted), Kind::Integer { bytes, is_signed }) => {
                wanted == *bytes && *is_signed
            }
            (Value::LowestOf(sizes), Kind::Integer { bytes, .. }) => sizes.contains(bytes),
            (Value::Bit, Kind::Bits(bits)) => *bits == 1,
            (Value::Pointer(wanted), Kind::Pointer { to: Some(to) }) => wanted == to,
            (Value::Folio, Kind::Pointer { to: Some(to) }) => self.folio_structure() == to,
            _ => false,
        }
    }

    /// The struct that stands for cached pages.
    pub(super) fn folio_structure(&self) -> &'static str {
        if self.structures("folio").next().is_some() {
            "folio"
        } else {
            "page"
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(bytes) => write!(formatter, "an integer of {}", Bytes(*bytes)),
            Self::Signed(bytes) => write!(formatter, "a signed integer of {}", Bytes(*bytes)),
            Self::LowestOf(sizes) => {
                formatter.write_str("an integer of ")?;
                for (position, size) in sizes.iter().enumerate() {
                    let joint = if position == 0 { "" } else { " or " };
                    write!(formatter, "{joint}{}", Bytes(*size))?;
                }
                Ok(())
            }
            Self::Bit => formatter.write_str("a bit field of 1 bit"),
            Self::Pointer(to) => write!(formatter, "a pointer to struct {to}"),
            Self::Folio => formatter.write_str("a pointer to struct folio, or before it page"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer { bytes, is_signed } => {
                let sign = if *is_signed {
                    "a signed"
                } else {
                    "an unsigned"
                };
                write!(formatter, "{sign} integer of {}", Bytes(*bytes))
            }
            Self::Bits(bits) => write!(formatter, "a bit field of {bits} bits"),
            Self::Pointer { to: Some(to) } => write!(formatter, "a pointer to struct {to}"),
            Self::Pointer { to: None } => formatter.write_str("a pointer to no struct"),
            Self::Other(kind) => formatter.write_str(kind),
        }
    }
}

struct Bytes(u32);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} byte{}",
            self.0,
            if self.0 == 1 { "" } else { "s" }
        )
    }
}
