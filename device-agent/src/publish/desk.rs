//! Where readings are signed, and where what becomes of them is followed.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::future::pending;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use ashya_protocol::Position;
use ashya_protocol::limits::MAX_PAYLOAD_BYTES;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::files::{self, Content};
use super::lines::{self, Line};
use super::receipts::{Printer, receipt};
use super::{Input, Outcome, Publication, PublishError, Receipts, command};
use crate::causes::causes;
use crate::link::{LinkFigures, LinkState};
use crate::outbox::{FIRST_LOOK, Fate};
use crate::uplink::Uplink;
use crate::voice::{Voice, VoiceError, now_us};

/// Events whose receipt may be open or unprinted; who reads waits for the oldest.
const OPEN: usize = 256;
/// Bytes of open ones; one event always fits.
const OPEN_BYTES: usize = 4 * 1024 * 1024;
/// Time between two looks at whether all has been sent.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// How long the disk may take at the end to make the last events safe, where `--wait` is shorter or somebody wants an end.
const SAFE_LIMIT: Duration = Duration::from_secs(5);
/// A command that takes longer is given up, also where it runs less often.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// Signs readings and follows what becomes of them.
pub(super) struct Desk {
    publication: Publication,
    voice: Voice,
    uplink: Uplink,
    open: VecDeque<Open>,
    open_bytes: usize,
    printer: Option<Printer>,
    /// Receipts that the printer has not taken.
    unprinted: VecDeque<Vec<u8>>,
    outcome: Outcome,
}

struct Open {
    position: Position,
    bytes: usize,
    fate: oneshot::Receiver<Fate>,
}

impl Desk {
    /// # Errors
    /// When receipts are to be printed, and no thread can be had.
    pub(super) fn new(
        publication: Publication,
        voice: Voice,
        uplink: Uplink,
    ) -> Result<Self, PublishError> {
        let printer = match publication.receipts {
            Receipts::Print => Some(Printer::start(io::stdout()).map_err(PublishError::Print)?),
            Receipts::Omit => None,
        };
        Ok(Self {
            publication,
            voice,
            uplink,
            open: VecDeque::new(),
            open_bytes: 0,
            printer,
            unprinted: VecDeque::new(),
            outcome: Outcome::default(),
        })
    }

    /// Publishes all of the input.
    ///
    /// # Errors
    /// When it cannot be read, or nothing be published any more.
    pub(super) async fn read(&mut self) -> Result<(), PublishError> {
        match self.publication.input.clone() {
            Input::Stdin => self.lines().await,
            Input::Files(files) => self.files(files).await,
            Input::Command(command, every) => self.command(&command, every).await,
        }
    }

    async fn lines(&mut self) -> Result<(), PublishError> {
        let read = |source| PublishError::Read {
            what: "the standard input".into(),
            source,
        };
        let mut lines = lines::of_stdin(MAX_PAYLOAD_BYTES).map_err(read)?;
        let kind = self.content_type("text/plain");
        loop {
            let line = self.meanwhile(lines.recv()).await?;
            match line.transpose().map_err(read)? {
                Some(Line::Whole(line)) => self.post(&kind, line).await?,
                Some(Line::TooLong(bytes)) => {
                    self.outcome.lost += 1;
                    warn!(
                        "a line of {bytes} bytes is not published: an event may carry {MAX_PAYLOAD_BYTES}"
                    );
                }
                None => return Ok(()),
            }
        }
    }

    async fn files(&mut self, files: Vec<PathBuf>) -> Result<(), PublishError> {
        for file in files {
            let content = self.meanwhile(files::read(file.clone(), MAX_PAYLOAD_BYTES));
            let content = content.await?.map_err(|source| PublishError::Read {
                what: file.display().to_string(),
                source,
            })?;
            let payload = match content {
                Content::Whole(payload) => payload,
                Content::TooLong(length) => {
                    self.outcome.lost += 1;
                    let length = length.map_or("too many".into(), |bytes| bytes.to_string());
                    warn!(file = %file.display(), "{length} bytes are not published: an event may carry {MAX_PAYLOAD_BYTES}");
                    continue;
                }
            };
            let ending = file.extension().and_then(|ending| ending.to_str());
            let kind = self.content_type(files::type_of(ending.unwrap_or_default()));
            self.post(&kind, payload).await?;
        }
        Ok(())
    }

    async fn command(
        &mut self,
        command: &[OsString],
        every: Option<Duration>,
    ) -> Result<(), PublishError> {
        let kind = self.content_type("text/plain");
        // Once: the second tick never comes.
        let mut ticks = interval(every.unwrap_or(Duration::MAX / 4));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            self.meanwhile(ticks.tick()).await?;
            let run = command::run(command, COMMAND_LIMIT, MAX_PAYLOAD_BYTES);
            match self.meanwhile(run).await? {
                Ok(payload) => self.post(&kind, payload).await?,
                Err(error) => {
                    self.outcome.lost += 1;
                    let command = command.first().map(|program| program.to_string_lossy());
                    warn!(command = ?command.unwrap_or_default(), error = %causes(&error), "nothing to publish");
                }
            }
            if every.is_none() {
                return Ok(());
            }
        }
    }

    /// Signs a reading and hands it over; waits while too many receipts are open.
    async fn post(&mut self, content_type: &str, payload: Vec<u8>) -> Result<(), PublishError> {
        let bytes = payload.len();
        while self.open.len() + self.unprinted.len() >= OPEN
            || (self.open_bytes > 0 && self.open_bytes + bytes > OPEN_BYTES)
        {
            self.step().await?;
        }
        let stream = self.publication.stream.as_str();
        let signed = now_us()
            .map_err(VoiceError::from)
            .and_then(|time| self.voice.sign(stream, content_type, time, payload));
        let signed = match signed {
            Ok(signed) => signed,
            Err(error) => {
                self.outcome.lost += 1;
                warn!(error = %causes(&error), "a reading is not published");
                return Ok(());
            }
        };
        let position = signed.position();
        let fate = self.uplink.post(signed).await;
        self.open_bytes += bytes;
        self.open.push_back(Open {
            position,
            bytes,
            fate: fate.map_err(|_| PublishError::Ended)?,
        });
        Ok(())
    }

    /// Waits until every event is safe, and then a while until the gateway has them all. Where it is told to stop, it
    /// waits only for the disk.
    pub(super) async fn close(
        &mut self,
        figures: &LinkFigures,
        stop: &CancellationToken,
    ) -> Result<(), PublishError> {
        let (begun, patience) = (Instant::now(), self.publication.patience);
        let mut stopped = pin!(soon_after(stop));
        // Where the disk is not there yet, events are held back for it.
        let least = if figures.read().is_spool_read {
            SAFE_LIMIT
        } else {
            FIRST_LOOK + SAFE_LIMIT
        };
        let safe = async {
            while !self.open.is_empty() {
                self.step().await?;
            }
            Ok::<_, PublishError>(())
        };
        tokio::select! {
            settled = safe => settled?,
            // Neither the gateway nor the disk takes them.
            () = sleep(patience.max(least)) => {}
            () = &mut stopped => return Ok(()),
        }
        let delivered = async {
            loop {
                let now = figures.read();
                if now.is_spool_read && now.held.events == 0 && now.in_memory == 0 {
                    return;
                }
                sleep(LOOK_INTERVAL).await;
            }
        };
        // What is not delivered by then is on the disk.
        tokio::select! {
            delivered = self.meanwhile(delivered) => delivered,
            () = sleep(patience.saturating_sub(begun.elapsed())) => Ok(()),
            () = &mut stopped => Ok(()),
        }
    }

    /// What became of everything, now that the link has ended, as this was; all receipts are printed, unless it is told to
    /// stop and nobody reads them.
    pub(super) async fn finish(
        mut self,
        link: LinkState,
        stop: &CancellationToken,
    ) -> (Outcome, Result<(), PublishError>) {
        while let Some(open) = self.open.front_mut() {
            let fate = open.fate.try_recv().ok();
            self.settle(fate);
        }
        let outcome = Outcome {
            waiting: link.held.events,
            is_disk_away: link.is_disk_away,
            refused: link.tally.refused,
            lost: self.outcome.lost + link.tally.dropped_events + link.tally.dropped_pictures,
            ..self.outcome
        };
        let printing = async {
            while !self.unprinted.is_empty() {
                self.step().await?;
            }
            match self.printer.take() {
                Some(printer) => printer.finish().await.map_err(PublishError::Print),
                None => Ok(()),
            }
        };
        let printed = tokio::select! {
            printed = printing => printed,
            () = soon_after(stop) => {
                warn!("nobody reads the receipts: the last ones are not printed");
                Ok(())
            }
        };
        (outcome, printed)
    }

    /// Waits for something, and tells meanwhile what becomes of earlier readings.
    async fn meanwhile<T>(&mut self, waiting: impl Future<Output = T>) -> Result<T, PublishError> {
        let mut waiting = pin!(waiting);
        loop {
            tokio::select! {
                done = &mut waiting => return Ok(done),
                stepped = self.step(), if self.is_busy() => stepped?,
            }
        }
    }

    /// Whether a fate is to be waited for, or a receipt to be printed.
    fn is_busy(&self) -> bool {
        !self.open.is_empty() || !self.unprinted.is_empty()
    }

    /// Waits until it is decided what becomes of the oldest reading, or a receipt is on its way out. Safe to drop while it
    /// waits.
    async fn step(&mut self) -> Result<(), PublishError> {
        let decided = async {
            match self.open.front_mut() {
                Some(open) => (&mut open.fate).await.ok(),
                None => pending().await,
            }
        };
        let room = async {
            match &mut self.printer {
                Some(printer) if !self.unprinted.is_empty() => printer.room().await,
                _ => pending().await,
            }
        };
        tokio::select! {
            fate = decided => self.settle(fate),
            room = room => {
                let room = room.map_err(PublishError::Print)?;
                if let Some(line) = self.unprinted.pop_front() {
                    room.send(line);
                }
            }
        }
        Ok(())
    }

    /// The fate of the oldest reading; nothing where the link has ended without one.
    fn settle(&mut self, fate: Option<Fate>) {
        let Some(open) = self.open.pop_front() else {
            return;
        };
        self.open_bytes -= open.bytes;
        match &fate {
            Some(Fate::Acknowledged | Fate::Kept) => self.outcome.safe += 1,
            // Counted by the link.
            Some(Fate::Refused(_) | Fate::Dropped) => {}
            None => self.outcome.lost += 1,
        }
        if let (Some(fate), Some(_)) = (fate, &self.printer) {
            let line = receipt(&self.publication.stream, open.position, &fate);
            self.unprinted.push_back(line);
        }
    }

    fn content_type(&self, otherwise: &str) -> String {
        let asked = self.publication.content_type.as_ref();
        asked.map_or_else(|| otherwise.to_owned(), ToString::to_string)
    }
}

/// Comes when it was told to stop and the disk has had its time since.
async fn soon_after(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(SAFE_LIMIT).await;
}

#[cfg(test)]
mod tests {
    use ashya_protocol::{Address, Boot, DeviceKey, Domain};

    use super::*;
    use crate::outbox::Tally;

    fn desk() -> (Desk, tokio::sync::mpsc::Receiver<crate::uplink::Parcel>) {
        let publication = Publication {
            stream: "temperature".parse().unwrap(),
            content_type: None,
            input: Input::Files(Vec::new()),
            patience: Duration::ZERO,
            receipts: Receipts::Omit,
        };
        let domain = Domain {
            chain_id: 31337,
            ledger: Address::new([7; 20]),
        };
        let key = DeviceKey::from_bytes([5; 32]).unwrap();
        let voice = Voice::new(key, domain, Boot::try_from(1).unwrap());
        let (uplink, parcels) = Uplink::new();
        (Desk::new(publication, voice, uplink).unwrap(), parcels)
    }

    #[tokio::test]
    async fn what_the_disk_drops_counts_as_lost_and_nothing_twice() {
        let (mut desk, mut parcels) = desk();
        for fate in [Some(Fate::Kept), Some(Fate::Dropped), None] {
            desk.post("text/plain", b"21.5".to_vec()).await.unwrap();
            let receipt = parcels.recv().await.unwrap().receipt.unwrap();
            if let Some(fate) = fate {
                receipt.send(fate).unwrap();
            }
        }
        // One of them in memory, the others on the disk, where they had been kept.
        let link = LinkState {
            tally: Tally {
                dropped_events: 3,
                dropped_pictures: 2,
                ..Tally::default()
            },
            ..LinkState::default()
        };
        let (outcome, printed) = desk.finish(link, &CancellationToken::new()).await;
        printed.unwrap();
        assert_eq!((outcome.safe, outcome.lost), (1, 6));
    }
}
