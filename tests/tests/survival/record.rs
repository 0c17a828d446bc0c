//! What the agent has said about its events, and what the gateway has of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ashya_protocol::ws::{ClientMessage, ServerMessage};
use ashya_protocol::{Boot, FeedId, Position};
use ashya_tests::{Account, Receipt, Said, World};

/// Time for the next message of a replay, on a busy machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Every receipt so far, and the lines that they were given for.
#[derive(Default)]
pub(crate) struct Record {
    /// Lines that were published.
    lines: u64,
    /// The line of each event with a receipt.
    receipts: BTreeMap<Position, String>,
    /// All starts that had a receipt.
    boots: BTreeSet<Boot>,
    kept: u64,
    /// The newest event that history was asked for.
    looked: Option<Position>,
    /// Events that history gave.
    seen: u64,
    /// Rounds without a gateway.
    pub(crate) away: u64,
}

/// One start of the agent.
pub(crate) struct Round<'a> {
    record: &'a mut Record,
    lines: std::collections::VecDeque<String>,
    boot: Option<Boot>,
}

impl Record {
    pub(crate) fn round(&mut self) -> Round<'_> {
        Round {
            record: self,
            lines: std::collections::VecDeque::new(),
            boot: None,
        }
    }

    /// From here on everything is sold: what was before is not looked for.
    pub(crate) fn begin(&mut self) {
        self.looked = self.receipts.keys().next_back().copied();
    }

    pub(crate) fn receipts(&self) -> u64 {
        self.receipts.len() as u64
    }

    /// Every event with a receipt since the last look comes out of history: once, in order, with its line.
    pub(crate) async fn check(
        &mut self,
        world: &World,
        owner: &Account,
        feed: FeedId,
    ) -> Result<()> {
        let looked = self.looked.context("nothing was published yet")?;
        let since = |position: &Position| *position > looked;
        let mut missing: BTreeMap<_, _> = self
            .receipts
            .iter()
            .filter(|(position, _)| since(position))
            .collect();
        let Some(newest) = missing.keys().next_back().map(|position| **position) else {
            return Ok(());
        };
        let mut watcher = world.watcher(owner).await?;
        watcher
            .say(&ClientMessage::Watch {
                feed,
                streams: None,
                since: [("detections".parse()?, looked)].into(),
            })
            .await?;
        let mut last = looked;
        while last < newest {
            let heard = watcher.next(ANSWER_LIMIT).await?;
            let heard = heard.with_context(|| format!("missing are {missing:?}"))?;
            match heard.said {
                Said::Event(event) => {
                    let event = event.event();
                    ensure!(event.position > last, "{:?} after {last:?}", event.position);
                    last = event.position;
                    self.seen += 1;
                    if let Some(line) = missing.remove(&last) {
                        ensure!(*event.payload == *line.as_bytes(), "{event:?} was {line}");
                    }
                }
                // A start's last numbers were not on the disk yet when it was killed: nobody has a receipt for them.
                Said::Control(
                    ServerMessage::Watching { .. }
                    | ServerMessage::Notice { .. }
                    | ServerMessage::Gap { .. },
                ) => {}
                Said::Control(other) => bail!("{other:?}"),
            }
        }
        ensure!(missing.is_empty(), "with a receipt, but lost: {missing:?}");
        self.looked = Some(newest);
        Ok(())
    }

    pub(crate) fn rows(&self) -> String {
        format!(
            "| starts of the agent | {} |\n| rounds without the gateway | {} |\n| lines given | {} |\n| events with a receipt, all arrived, once, in order | {} |\n| of them told as kept on the disk | {} |\n| events in the history, each number once | {} |\n",
            self.boots.len(),
            self.away,
            self.lines,
            self.receipts.len(),
            self.kept,
            self.seen
        )
    }
}

impl Round<'_> {
    /// A line that was never published before.
    pub(crate) fn next_line(&mut self) -> String {
        self.record.lines += 1;
        let line = format!("line {}", self.record.lines);
        self.lines.push_back(line.clone());
        line
    }

    /// Notes a receipt: they come in the order of the lines.
    pub(crate) fn note(&mut self, receipt: &Receipt) -> Result<()> {
        let line = self.lines.pop_front().context("a receipt for no line")?;
        ensure!(
            matches!(receipt.fate.as_str(), "acknowledged" | "kept"),
            "{receipt:?}"
        );
        match self.boot {
            None => {
                let newest = self.record.boots.last();
                ensure!(
                    newest.is_none_or(|newest| *newest < receipt.boot),
                    "boot {} after {newest:?}",
                    receipt.boot
                );
                ensure!(self.record.boots.insert(receipt.boot));
                self.boot = Some(receipt.boot);
            }
            Some(boot) => ensure!(boot == receipt.boot, "{receipt:?} in boot {boot}"),
        }
        self.record.kept += u64::from(receipt.fate == "kept");
        let again = self.record.receipts.insert(receipt.position(), line);
        ensure!(again.is_none(), "{receipt:?} has the number of {again:?}");
        Ok(())
    }
}

impl Display for Record {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} receipts, {} of them kept, {} starts, {} events seen",
            self.receipts.len(),
            self.kept,
            self.boots.len(),
            self.seen
        )
    }
}
