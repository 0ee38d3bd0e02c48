//! What can be wrong with a kernel's types.

/// Why the kernel's types could not be used. Each names the kernel's release.
#[derive(Debug, thiserror::Error)]
pub enum TypesError {
    /// No BTF, or none that can be read.
    #[error(
        "cannot read the types of Linux {kernel} from {path}: {source}; the tracer needs a kernel built with CONFIG_DEBUG_INFO_BTF=y (every current distribution kernel is)"
    )]
    Unreadable {
        /// The kernel's release.
        kernel: String,
        /// The file.
        path: String,
        /// What the parser said.
        source: btf_rs::Error,
    },
    /// A type that this kernel does not have.
    #[error("Linux {kernel}: its BTF has no {kind} {name}; {hint}")]
    MissingType {
        /// The kernel's release.
        kernel: String,
        /// `struct`, `enumerator` or `tracepoint`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What that means.
        hint: &'static str,
    },
    /// A member that this kernel's type does not have.
    #[error("Linux {kernel}: struct {structure} has no member {member}; expected {expected}")]
    MissingMember {
        /// The kernel's release.
        kernel: String,
        /// The struct.
        structure: &'static str,
        /// The member, with all names that it has had.
        member: String,
        /// What the programs load.
        expected: String,
    },
    /// A member that is not what the programs load.
    #[error(
        "Linux {kernel}: member {member} of struct {structure} is {found}; expected {expected}"
    )]
    UnexpectedMember {
        /// The kernel's release.
        kernel: String,
        /// The struct.
        structure: &'static str,
        /// The member.
        member: &'static str,
        /// What the kernel's types say.
        found: String,
        /// What the programs load.
        expected: String,
    },
    /// An argument that is not where, or not what, the programs read.
    #[error("Linux {kernel}: {place}: argument {argument} is {found}; expected {expected}")]
    UnexpectedArgument {
        /// The kernel's release.
        kernel: String,
        /// The tracepoint or function.
        place: String,
        /// The argument, and its position from 0 on.
        argument: String,
        /// What the kernel's types say.
        found: String,
        /// What the programs read.
        expected: String,
    },
    /// A field of a tracepoint's record that BTF and the format file describe differently.
    #[error(
        "Linux {kernel}: field {field} of tracepoint {tracepoint} is {found} in its format file; expected {expected}, as BTF says"
    )]
    UnexpectedField {
        /// The kernel's release.
        kernel: String,
        /// The tracepoint.
        tracepoint: &'static str,
        /// The field.
        field: String,
        /// What the format file says.
        found: String,
        /// What BTF says.
        expected: String,
    },
}
