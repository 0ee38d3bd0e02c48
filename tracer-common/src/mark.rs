//! Uprobes: what the loader tells a probe about the function that it sits on.

/// What a probed function has to do with a batch of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BatchAction {
    /// Nothing.
    None = 0,
    /// It adds one token to the batch in its first argument.
    Count = 1,
    /// It empties or frees the batch in its first argument.
    Forget = 2,
    /// It decodes the batch in its third argument, whose tokens were counted.
    InThirdArgument = 3,
    /// It decodes a `struct llama_batch` that is passed by value and begins with the number of tokens.
    ByValue = 4,
}

/// The 64-bit cookie of an attachment.
pub mod cookie {
    use super::BatchAction;

    /// Cookie of the function with this number.
    #[must_use]
    pub const fn of(symbol: u16, action: BatchAction) -> u64 {
        symbol as u64 | (action as u64) << 16
    }

    /// Number of the function.
    #[must_use]
    pub const fn symbol(cookie: u64) -> u16 {
        cookie as u16
    }

    /// What it has to do with a batch.
    #[must_use]
    pub const fn batch_action(cookie: u64) -> BatchAction {
        match (cookie >> 16) as u8 {
            1 => BatchAction::Count,
            2 => BatchAction::Forget,
            3 => BatchAction::InThirdArgument,
            4 => BatchAction::ByValue,
            _ => BatchAction::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BatchAction, cookie};

    #[test]
    fn a_cookie_says_what_went_in() {
        for action in [
            BatchAction::None,
            BatchAction::Count,
            BatchAction::Forget,
            BatchAction::InThirdArgument,
            BatchAction::ByValue,
        ] {
            let cookie = cookie::of(7, action);
            assert_eq!(cookie::symbol(cookie), 7);
            assert_eq!(cookie::batch_action(cookie), action);
        }
    }
}
