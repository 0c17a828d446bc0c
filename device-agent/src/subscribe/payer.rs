//! Keeps a feed paid: looks at the chain, decides, and sends what was decided once.

mod cancel;
mod dear;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use ashya_contracts::{ChainError, Draft, FeedRecord, Ledger, SubscribeTerms};
use ashya_protocol::{FeedId, Offer, Wei};
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::causes::causes;
use crate::data::unix_seconds;
use crate::subscribe::book::{Account, Book, BookError};
use crate::subscribe::decide::{Action, ChainView, Standing, Stop, Terms, Waiting, Word, decide};
use crate::subscribe::news::News;
use crate::subscribe::offer;
use crate::subscribe::plan::Plan;
use crate::subscribe::purse::{OverBudget, Purpose};

use self::dear::Dear;
pub(crate) use cancel::CancelError;

/// Gas of the dearest payment, the first into 256 hours of a feed, with the quarter that is added to estimates.
const PAYMENT_GAS: u64 = 140_000;
/// Longest time between two looks at the chain.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Time between two looks for a receipt.
const RECEIPT_EVERY: Duration = Duration::from_millis(500);
/// Time until a refused payment is tried again: a block of a fast chain.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How long a gateway that served us a moment ago counts as there, so that its restart costs no time that is not paid.
const AWAY_GRACE: Duration = Duration::from_secs(60);

/// For how long a reason to wait has to stand until it is told.
const TELL_AFTER: Duration = Duration::from_secs(3);

/// Whether a reason to wait was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    Due,
    Done,
}

/// What the gateway has said last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// Nothing since then.
    Away(Instant),
    /// That the feed is ours to watch.
    Watching,
    /// That it has to be paid.
    Asks(Offer),
    /// That it is not ours, and that nobody can buy it: it is paused or retired.
    Closed,
}

/// Who pays.
#[derive(Debug)]
pub(crate) struct Payer {
    plan: Arc<Plan>,
    ledger: Ledger,
    book: Book,
    said: watch::Receiver<Said>,
    /// Whether the last thing that the gateway said was that the feed is ours to watch.
    watched: bool,
    /// Since when the gateway's word differs from the chain.
    doubted: Option<Instant>,
    /// What the gas of a payment was found to cost a moment ago, where that was more than expected.
    dear: Dear,
    /// When open transactions were handed to the node for the last time.
    sent_at: Option<Instant>,
    /// Why nothing is paid, since when, and whether it was told.
    waiting: Option<(Waiting, Instant, Telling)>,
    backoff: Backoff,
}

/// Why paying has failed for good.
#[derive(Debug, Error)]
pub(crate) enum PayError {
    /// The books cannot be kept, and nothing is paid that is not in them.
    #[error(transparent)]
    Book(#[from] BookError),
    /// There is no such feed.
    #[error("there is no feed {0} on the ledger")]
    UnknownFeed(FeedId),
    /// The wallet is empty from the start.
    #[error("{0}. Send it the difference on that chain, or lower --term")]
    Funds(ChainError),
    /// The chain cannot be read or written. It is tried again.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The budget was left; nothing was sent.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
}

enum Round {
    Wait(Duration),
    Stop(Stop),
}

impl Payer {
    pub(crate) fn new(
        plan: Arc<Plan>,
        ledger: Ledger,
        book: Book,
        said: watch::Receiver<Said>,
    ) -> Self {
        Self {
            plan,
            ledger,
            book,
            said,
            watched: false,
            doubted: None,
            dear: Dear::default(),
            sent_at: None,
            waiting: None,
            backoff: Backoff::default(),
        }
    }

    /// The books.
    pub(crate) fn account(&self) -> &Account {
        self.book.account()
    }

    /// Pays until there is nothing more to pay for. Safe to drop at any moment: what may be on its way is on the disk.
    ///
    /// # Errors
    /// When trying again cannot help.
    pub(crate) async fn run(&mut self) -> Result<Stop, PayError> {
        loop {
            let pause = match self.round().await {
                Ok(Round::Stop(stop)) => return Ok(stop),
                Ok(Round::Wait(pause)) => {
                    self.backoff.reset();
                    pause
                }
                Err(PayError::Chain(error)) => self.trouble(&error),
                Err(error) => return Err(error),
            };
            tokio::select! {
                () = sleep(pause) => {}
                // A gateway that is no longer listened to says nothing more.
                Ok(()) = self.said.changed() => {}
            }
        }
    }

    async fn round(&mut self) -> Result<Round, PayError> {
        self.settle().await?;
        if self.account().purse.open().is_some() {
            return Ok(Round::Wait(RECEIPT_EVERY));
        }
        let view = self.look().await?;
        let word = self.weigh(&view)?;
        let (account, budget) = (self.account(), self.plan.budget);
        let terms = Terms {
            term: self.plan.term,
            max_price: self.plan.max_price.unwrap_or(account.first_price),
            listing: self.plan.listing,
        };
        let standing = Standing {
            left: account.purse.left(self.plan.budget),
            hoped: Wei::new(budget.get().saturating_sub(account.purse.spent().get())),
            honoured: account.honoured,
        };
        let action = decide(terms, standing, &view, word);
        if !matches!(action, Action::Wait { .. }) {
            self.waiting = None;
        }
        match action {
            Action::Stop(stop) => Ok(Round::Stop(stop)),
            Action::Wait { reason, seconds } => {
                self.explain(reason);
                let untold = matches!(self.waiting, Some((_, _, Telling::Due)));
                let longest = if untold { TELL_AFTER } else { LOOK_EVERY };
                let pause = Duration::from_secs(seconds.max(1));
                Ok(Round::Wait(pause.min(longest)))
            }
            Action::Subscribe {
                seconds,
                price,
                listing,
            } => {
                let terms = SubscribeTerms {
                    feed: self.plan.feed,
                    beneficiary: self.plan.wallet.address(),
                    duration: seconds,
                    max_price: price,
                    listing,
                    price,
                };
                let draft = self.ledger.draft_subscribe(&self.plan.wallet, terms).await;
                self.pay(Purpose::Subscribe { seconds }, draft).await
            }
            Action::Extend { seconds, price } => {
                let (wallet, feed) = (&self.plan.wallet, self.plan.feed);
                let draft = self
                    .ledger
                    .draft_extend(wallet, feed, wallet.address(), seconds, price)
                    .await;
                self.pay(Purpose::Extend { seconds }, draft).await
            }
        }
    }

    async fn pay(
        &mut self,
        purpose: Purpose,
        draft: Result<Draft, ChainError>,
    ) -> Result<Round, PayError> {
        let draft = match draft {
            Ok(draft) => draft,
            Err(error @ ChainError::InsufficientFunds { .. })
                if self.account().purse.is_fresh() =>
            {
                return Err(PayError::Funds(error));
            }
            // Such as a subscription whose last second is not over on the chain, or a pause of this moment.
            Err(error @ ChainError::Refused(_)) => {
                self.tell_trouble(&error);
                return Ok(Round::Wait(RETRY_AFTER));
            }
            Err(error) => return Err(error.into()),
        };
        let needed = draft.value().get().saturating_add(draft.most_fee().get());
        if needed > self.account().purse.left(self.plan.budget).get() {
            // Gas is dearer than expected: what is left buys less, or nothing.
            self.dear = Dear::found(draft.most_fee(), Instant::now());
            return Ok(Round::Wait(Duration::ZERO));
        }
        self.dear = Dear::default();
        self.dispatch(purpose, draft).await?;
        Ok(Round::Wait(Duration::ZERO))
    }

    /// Signs, keeps on the disk, and only then sends.
    async fn dispatch(&mut self, purpose: Purpose, draft: Draft) -> Result<(), PayError> {
        let (value, most_fee) = (draft.value(), draft.most_fee());
        let least_nonce = self.account().purse.next_nonce();
        let signed = self
            .ledger
            .sign(&self.plan.wallet, draft, least_nonce)
            .await?;
        let budget = self.plan.budget;
        self.book.change(|account| {
            account.purse.enter(budget, purpose, signed.clone())?;
            if matches!(purpose, Purpose::Subscribe { .. }) {
                account.honoured = false;
            }
            Ok::<_, PayError>(())
        })?;
        let (what, seconds) = settle::words(purpose);
        self.tell(&News::Sent {
            what,
            seconds,
            value,
            most_fee,
            transaction: signed.hash,
        });
        self.send(&signed).await;
        Ok(())
    }

    /// Everything that a decision needs of the chain.
    async fn look(&self) -> Result<ChainView, PayError> {
        let (feed, wallet) = (self.plan.feed, self.plan.wallet.address());
        let record = self.ledger.feed(feed).await?;
        let FeedRecord { price, listing, .. } = record.ok_or(PayError::UnknownFeed(feed))?;
        let clock = self.ledger.clock(feed).await?;
        let held = self.ledger.subscription(feed, wallet, wallet).await?;
        let head = self.ledger.rpc().latest().await?;
        let fee = self.ledger.fee_of(&self.plan.wallet, PAYMENT_GAS).await?;
        Ok(ChainView {
            // A local chain may be ahead of the wall clock, and a machine's clock behind.
            now: unix_seconds().max(head.timestamp),
            price,
            listing,
            clock,
            held,
            fee: fee.max(self.dear.at(Instant::now())),
        })
    }

    /// The gateway's word, held against the chain.
    fn weigh(&mut self, view: &ChainView) -> Result<Word, PayError> {
        let said = self.said.borrow_and_update().clone();
        let word = match said {
            Said::Away(since) if self.watched && since.elapsed() < AWAY_GRACE => Word::Watching,
            Said::Away(_) => Word::Away,
            Said::Closed => Word::Closed,
            Said::Watching => Word::Watching,
            Said::Asks(ref offer) => {
                let domain = self.ledger.domain();
                let lie = offer::check(offer, self.plan.feed, domain, view.price, view.listing);
                Word::Asks(lie.map(|lie| {
                    let since = *self.doubted.get_or_insert_with(Instant::now);
                    (lie, since.elapsed().as_secs())
                }))
            }
        };
        if !matches!(word, Word::Asks(Some(_))) {
            self.doubted = None;
        }
        match said {
            Said::Watching => self.watched = true,
            Said::Asks(_) | Said::Closed => self.watched = false,
            Said::Away(_) => {}
        }
        if said == Said::Watching && !self.account().honoured {
            self.book.change(|account| {
                account.honoured = true;
                Ok::<_, BookError>(())
            })?;
        }
        Ok(word)
    }

    fn explain(&mut self, reason: Waiting) {
        let (since, telling) = match self.waiting {
            Some((before, since, telling)) if before == reason => (since, telling),
            _ => (Instant::now(), Telling::Due),
        };
        // What passes at once is no news: a start, or a payment that the gateway sees a moment later.
        let due = telling == Telling::Due && since.elapsed() >= TELL_AFTER;
        let telling = if due { Telling::Done } else { telling };
        self.waiting = Some((reason, since, telling));
        if !due {
            return;
        }
        let reason = match reason {
            // Told by the payment itself, and by the gateway.
            Waiting::Paid | Waiting::Free => return,
            Waiting::Paused => "the feed is paused: nobody's time runs, and nothing is paid",
            Waiting::GatewayAway => "nothing is paid while the gateway is away",
            Waiting::GatewayBehind => "the gateway has not seen yet what is on the chain: waiting",
            Waiting::BudgetSpent => {
                "the rest of the budget buys no more time: watching what is paid to its end"
            }
            Waiting::NotFinal => {
                "a part of the budget is kept back until the last payments are final: waiting"
            }
            Waiting::PriceChanged => {
                "the price has changed: watching what is paid to its end, then looking at the new price"
            }
            Waiting::Retiring => "the feed is being retired: watching what is paid to its end",
        };
        self.tell(&News::Waiting { reason });
    }

    fn trouble(&mut self, error: &ChainError) -> Duration {
        self.tell_trouble(error);
        self.backoff.next_wait()
    }

    fn tell_trouble(&self, error: &ChainError) {
        let reason = causes(error);
        self.tell(&News::Trouble { reason });
    }

    fn tell(&self, news: &News) {
        self.plan.voice.tell(news);
    }
}
