use ashya_contracts::ChainError;

/// Successes in a row before more blocks are asked for at a time: a node that refuses once does so again.
const PATIENCE: u32 = 4;

/// How many blocks to ask for at a time: fewer when the node refuses, more again when it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranges {
    size: u64,
    most: u64,
    successes: u32,
}

impl Ranges {
    pub(super) const fn new(most: u64) -> Self {
        Self {
            size: most,
            most,
            successes: 0,
        }
    }

    /// The last block of the range that begins at `from`.
    pub(super) fn end(&self, from: u64, head: u64) -> u64 {
        head.min(from.saturating_add(self.size - 1))
    }

    /// Notes that the node answered for `blocks` blocks.
    pub(super) fn answered(&mut self, blocks: u64) {
        if blocks < self.size {
            return;
        }
        self.successes += 1;
        if self.successes >= PATIENCE {
            self.size = (self.size * 2).min(self.most);
            self.successes = 0;
        }
    }

    /// Notes that the node refused `blocks` blocks. One block is asked for by its hash, which is no range to refuse.
    pub(super) fn refused(&mut self, blocks: u64) {
        self.size = (blocks / 2).max(1);
        self.successes = 0;
    }
}

/// Whether a node may answer the same question for fewer blocks. There is no standard for it: codes and words are those
/// of the large providers and clients.
pub(super) fn refuses_range(error: &ChainError) -> bool {
    const CODES: [i64; 3] = [-32_005, -32_602, -32_614];
    const WORDS: [&str; 9] = [
        "query returned more than",
        "block range",
        "range is too large",
        "range too large",
        "too many",
        "limit",
        "response size",
        "timeout",
        "timed out",
    ];
    match error {
        ChainError::TooLarge | ChainError::TimedOut => true,
        ChainError::Rpc { code, message } => {
            let message = message.to_lowercase();
            CODES.contains(code) || WORDS.iter().any(|words| message.contains(words))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_shrink_and_grow() {
        let mut ranges = Ranges::new(1_000);
        assert_eq!(ranges.end(5, 10_000), 1_004);
        assert_eq!(ranges.end(5, 7), 7);
        ranges.refused(1_000);
        assert_eq!(ranges.end(1, 10_000), 500);
        for _ in 0..PATIENCE {
            assert_eq!(ranges.end(1, 10_000), 500);
            ranges.answered(500);
        }
        assert_eq!(ranges.end(1, 10_000), 1_000);
        for blocks in [1_000, 500, 250, 125, 62, 31, 15, 7, 3] {
            ranges.refused(blocks);
        }
        assert_eq!(ranges.end(1, 10_000), 1);
        ranges.refused(1);
        assert_eq!(ranges.end(1, 10_000), 1, "one block cannot be halved");
        for _ in 0..100 {
            ranges.answered(1_000);
        }
        assert_eq!(ranges.end(1, 10_000), 1_000, "never more than configured");
    }

    #[test]
    fn an_answer_for_less_than_was_asked_proves_nothing() {
        let mut ranges = Ranges::new(1_000);
        ranges.refused(1_000);
        for _ in 0..100 {
            ranges.answered(499);
        }
        assert_eq!(ranges.end(1, 10_000), 500);
    }

    #[test]
    fn what_counts_as_a_refusal_of_the_range() {
        let rpc = |code, message: &str| ChainError::Rpc {
            code,
            message: message.into(),
        };
        for (error, refuses) in [
            (rpc(-32_005, "whatever"), true),
            (rpc(-32_602, "eth_getLogs is limited"), true),
            (rpc(-32_000, "Query returned more than 10000 results"), true),
            (rpc(-32_000, "exceed maximum block range: 5000"), true),
            (rpc(-32_000, "query timeout exceeded"), true),
            (rpc(35, "Response size is larger than 150MB"), true),
            (rpc(-32_000, "header not found"), false),
            (rpc(-32_601, "the method does not exist"), false),
            (ChainError::TooLarge, true),
            (ChainError::TimedOut, true),
            (ChainError::Transport("refused".into()), false),
            (ChainError::UnexpectedAnswer("limit".into()), false),
        ] {
            assert_eq!(refuses_range(&error), refuses, "{error}");
        }
    }
}
