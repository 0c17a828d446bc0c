//! The first steps: which contract is trusted, what it says of the feed, and the books.

use std::sync::Arc;
use std::time::Duration;

use ashya_contracts::{ChainError, Ledger};
use ashya_protocol::FeedId;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::causes::causes;
use crate::gateway::{Gateway, GatewayError};
use crate::subscribe::book::{BookError, Shelf};
use crate::subscribe::news::News;
use crate::subscribe::offer::{self, Lie};
use crate::subscribe::out::{Out, Printer};
use crate::subscribe::payer::{Payer, Said};
use crate::subscribe::plan::Plan;
use crate::subscribe::session;
use crate::subscribe::viewer::Viewer;

/// How long node and gateway are waited for at the first start. Where books are kept already they are waited for
/// without end, since what was bought is to be watched.
const FIRST_PATIENCE: Duration = Duration::from_secs(20);

/// Who pays and who watches.
pub(super) struct Started {
    pub(super) payer: Payer,
    pub(super) viewer: Viewer,
}

/// Why a purchase cannot begin.
#[derive(Debug, Error)]
pub(crate) enum StartError {
    /// The books cannot be used.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The gateway cannot be reached.
    #[error("the gateway cannot be used; is --gateway right?")]
    Gateway(#[from] GatewayError),
    /// The node cannot be reached, or the contract is not there.
    #[error("the chain cannot be used; are --rpc and --ledger right?")]
    Chain(#[from] ChainError),
    /// The node is on another chain than the one that is meant.
    #[error("the node of --rpc serves chain {found}, and {said_by} names chain {expected}")]
    OtherChain {
        /// The node's chain.
        found: u64,
        /// The one that is meant.
        expected: u64,
        /// Who says so.
        said_by: &'static str,
    },
    /// The contract that the gateway names is unknown.
    #[error(
        "the gateway names a contract that is not the ledger of this release: {0}. Nothing was paid. If you trust \
         that contract, name it by --ledger"
    )]
    Unverified(ChainError),
    /// The gateway's chain or contract is not ours.
    #[error("the gateway is not to be trusted: {0}. Nothing was paid")]
    Lied(Lie),
    /// The system has no thread left.
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
    /// There is no such feed.
    #[error("there is no feed {feed} on the ledger {ledger} of chain {chain_id}")]
    UnknownFeed {
        /// The feed.
        feed: FeedId,
        /// The contract.
        ledger: ashya_protocol::Address,
        /// Its chain.
        chain_id: u64,
    },
}

impl StartError {
    /// Whether trying again may help.
    fn is_passing(&self) -> bool {
        match self {
            Self::Gateway(GatewayError::Http { .. } | GatewayError::Nonsense { .. }) => true,
            Self::Gateway(GatewayError::Refused { status, .. }) => status.is_server_error(),
            Self::Chain(error) => matches!(
                error,
                ChainError::Transport(_) | ChainError::TimedOut | ChainError::Rpc { .. }
            ),
            _ => false,
        }
    }
}

pub(super) async fn start(plan: Plan) -> Result<Started, StartError> {
    let gateway = Gateway::new(&plan.gateway)?;
    let shelf = Shelf::open(&plan.state, plan.feed)?;
    let pinned = shelf.pinned()?;
    let deadline = pinned.is_none().then(|| Instant::now() + FIRST_PATIENCE);
    let ledger = patiently(&plan, deadline, async || {
        let known = plan.ledger.or(pinned.map(|domain| domain.ledger));
        find_ledger(&plan, &gateway, known).await
    })
    .await?;
    let domain = ledger.domain();
    let record = patiently(&plan, deadline, async || Ok(ledger.feed(plan.feed).await?)).await?;
    let record = record.ok_or(StartError::UnknownFeed {
        feed: plan.feed,
        ledger: domain.ledger,
        chain_id: domain.chain_id,
    })?;
    let book = shelf.book(plan.wallet.address(), domain, record.price)?;
    plan.voice.tell(&News::Started {
        feed: plan.feed,
        wallet: plan.wallet.address(),
        chain_id: domain.chain_id,
        ledger: domain.ledger,
        price: record.price,
        max_price: plan.max_price.unwrap_or(book.account().first_price),
        budget: plan.budget,
        committed: book.account().purse.committed(),
    });
    if let Some(listing) = session::listing(&gateway, plan.feed, record.listing).await {
        plan.voice.tell(&News::Listing {
            streams: listing.stream_names().cloned().collect(),
            title: listing.title,
            hash: record.listing,
        });
    }
    let plan = Arc::new(plan);
    let (said, heard) = watch::channel(Said::Away(Instant::now()));
    let positions = book.positions();
    let out = match &plan.exec {
        Some(command) => Out::Command(command.clone()),
        None => Out::Lines(Printer::start().map_err(StartError::Thread)?),
    };
    Ok(Started {
        payer: Payer::new(Arc::clone(&plan), ledger.clone(), book, heard),
        viewer: Viewer::new(plan, gateway, ledger, record.device, positions, said, out),
    })
}

/// The contract that is paid: the one that the buyer names, or the one of earlier starts, or the gateway's, if its code is
/// this release's to the byte.
async fn find_ledger(
    plan: &Plan,
    gateway: &Gateway,
    known: Option<ashya_protocol::Address>,
) -> Result<Ledger, StartError> {
    let found = plan.rpc.chain_id().await?;
    for &(expected, said_by) in &plan.chains {
        if expected != found {
            return Err(StartError::OtherChain {
                found,
                expected,
                said_by,
            });
        }
    }
    let address = match known {
        Some(address) => address,
        None => {
            let named = gateway.domain().await?;
            let ours = ashya_protocol::Domain {
                chain_id: found,
                ledger: named.ledger,
            };
            if let Some(lie) = offer::check_domain(named.chain_id, named.ledger, ours) {
                return Err(StartError::Lied(lie));
            }
            match Ledger::verify(&plan.rpc, named.ledger).await {
                Ok(domain) => domain.ledger,
                Err(error @ (ChainError::OtherCode { .. } | ChainError::NoContract { .. })) => {
                    return Err(StartError::Unverified(error));
                }
                Err(error) => return Err(error.into()),
            }
        }
    };
    Ok(Ledger::connect(plan.rpc.clone(), address).await?)
}

/// Tries until it works, cannot work, or the deadline has come.
async fn patiently<T>(
    plan: &Plan,
    deadline: Option<Instant>,
    mut attempt: impl AsyncFnMut() -> Result<T, StartError>,
) -> Result<T, StartError> {
    let mut backoff = Backoff::default();
    loop {
        let error = match attempt().await {
            Err(error) if error.is_passing() => error,
            done => return done,
        };
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(error);
        }
        let reason = causes(&error);
        plan.voice.tell(&News::Trouble { reason });
        sleep(backoff.next_wait()).await;
    }
}
