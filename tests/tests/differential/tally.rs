use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::ensure;

use crate::answer::{Outcome, Refusal};
use crate::call::{Call, Operation};
use crate::model::{Feed, Model};
use crate::words::Word;

/// What was tried, for the report.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Per function, how often it was accepted and refused.
    functions: BTreeMap<&'static str, [u64; 2]>,
    refusals: BTreeMap<&'static str, u64>,
    /// Withdrawals that paid something.
    paid: u64,
    /// Most subscriptions that one feed had at a time, live or not yet settled.
    busiest: usize,
    pub(crate) compared: u64,
    pub(crate) chains: u64,
}

impl Tally {
    pub(crate) fn count(&mut self, operation: &Operation, answer: &Result<Outcome, Refusal>) {
        let function = self.functions.entry(operation.call.function()).or_default();
        function[usize::from(answer.is_err())] += 1;
        match answer {
            Ok(outcome) => {
                let withdrawal = matches!(operation.call, Call::Withdraw { .. });
                self.paid += u64::from(withdrawal && outcome.returned != [Word::ZERO]);
            }
            Err(refusal) => *self.refusals.entry(refusal.name()).or_default() += 1,
        }
    }

    /// Takes note of how busy the feeds are.
    pub(crate) fn measure(&mut self, model: &Model) {
        let busiest = model.feeds.values().map(Feed::in_buckets).max();
        self.busiest = self.busiest.max(busiest.unwrap_or(0));
    }

    /// Checks that every refusal there is has been seen, and every function accepted and refused.
    ///
    /// # Errors
    /// With the first that has not.
    pub(crate) fn check_complete(&self) -> anyhow::Result<()> {
        for name in Refusal::NAMES {
            ensure!(self.refusals.contains_key(name), "{name} never came");
        }
        ensure!(self.functions.len() == 16, "a function was never called");
        for (function, counts) in &self.functions {
            ensure!(!counts.contains(&0), "{function}: {counts:?}");
        }
        Ok(())
    }

    /// The figures in Markdown.
    pub(crate) fn report(&self, seed: u64, seconds: f64) -> String {
        let sum = |index: usize| self.functions.values().map(|counts| counts[index]).sum();
        let (accepted, refused): (u64, u64) = (sum(0), sum(1));
        let operations = accepted + refused;
        let mut text = format!(
            "{operations} operations, {refused} of them refused, on {} fresh chains: the ledger and the naive model agreed \
             after each one.\n{} answers, balances, views and event lists were compared, to the wei and to the byte.\n\
             {} withdrawals paid something; the busiest feed had {} subscriptions in its buckets at once.\n\
             Seed {seed}; {seconds:.0} s, {:.0} operations a second.\n\n\
             | function | accepted | refused |\n|---|---|---|\n",
            self.chains,
            self.compared,
            self.paid,
            self.busiest,
            operations as f64 / seconds,
        );
        for (function, [accepted, refused]) in &self.functions {
            let _ = writeln!(text, "| {function} | {accepted} | {refused} |");
        }
        text.push_str("\n| refused with | times |\n|---|---|\n");
        for (name, times) in &self.refusals {
            let _ = writeln!(text, "| {name} | {times} |");
        }
        text
    }
}
