//! Draws what happens next: valid calls for the most part, and calls that the ledger must refuse.

mod drawer;
mod values;

use ashya_protocol::FeedId;

use self::drawer::Drawer;
use crate::call::Operation;
use crate::cast::Cast;
use crate::dice::Dice;
use crate::model::{Feed, Model};

/// Calls of a hundred that are to be refused.
const REFUSED: u64 = 25;
/// In a call that is to be refused, values of a hundred that are wrong on purpose.
const SLIPS: u64 = 18;
/// Functions that are tried until one gives what is wanted, and tries for each.
const FUNCTIONS: usize = 20;
const TRIES: usize = 6;
/// Feeds that a history begins with.
const FEW_FEEDS: usize = 4;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
#[derive(Debug, Clone, Copy)]
enum Function {
    OpenFeed,
    SetPrice,
    SetPayout,
    SetPauser,
    SetListing,
    SetDevice,
    TransferFeed,
    AcceptFeed,
    Pause,
    Resume,
    Retire,
    Withdraw,
    Settle,
    Subscribe,
    Extend,
    Cancel,
}

/// How often each function is called.
const SHARES: [(u64, Function); 16] = [
    (6, Function::OpenFeed),
    (8, Function::SetPrice),
    (6, Function::SetPayout),
    (6, Function::SetPauser),
    (4, Function::SetListing),
    (4, Function::SetDevice),
    (6, Function::TransferFeed),
    (6, Function::AcceptFeed),
    (10, Function::Pause),
    (14, Function::Resume),
    (1, Function::Retire),
    (28, Function::Withdraw),
    (16, Function::Settle),
    (80, Function::Subscribe),
    (32, Function::Extend),
    (28, Function::Cancel),
];

/// The next operation of a history.
pub(crate) fn draw(model: &Model, cast: &Cast, dice: &mut Dice) -> Operation {
    let feeds: Vec<FeedId> = model.feeds.keys().copied().collect();
    let focus = dice.any_early(&feeds).map(|id| &model.feeds[id]);
    let at = model.now + jump(model.now, focus, cast.longest_jump, dice);
    let refused = !feeds.is_empty() && dice.percent(REFUSED);
    let focus = focus.map(|feed| feed.id);
    let mut drawer = Drawer {
        model,
        cast,
        dice,
        feeds: &feeds,
        focus,
        at,
        slips: if refused { SLIPS } else { 0 },
    };
    let mut operation = drawer.operation(Function::OpenFeed);
    for _ in 0..FUNCTIONS {
        let function = if feeds.len() < FEW_FEEDS && !refused {
            Function::OpenFeed
        } else {
            drawer.dice.weighted(&SHARES)
        };
        for _ in 0..TRIES {
            operation = drawer.operation(function);
            let affordable = operation.value <= model.wallets[&operation.sender];
            if affordable && model.answer(&operation).1.is_err() == refused {
                return operation;
            }
        }
    }
    operation.value = 0;
    operation
}

/// Seconds until the next block: none, a few, up to around an hour boundary or an end, or a long time.
fn jump(now: u64, focus: Option<&Feed>, longest: u64, dice: &mut Dice) -> u64 {
    let time = focus.map_or(0, |feed| feed.time(now));
    let ends: Vec<u64> = focus.map_or_else(Vec::new, |feed| {
        let ends = feed.subscriptions.iter().map(|s| s.end);
        ends.filter(|end| (time + 1..time + 2 * DAY).contains(end))
            .collect()
    });
    let around = |moment: u64, dice: &mut Dice| (moment + dice.below(3)).saturating_sub(time + 1);
    match dice.below(100) {
        0..22 => 0,
        22..50 => dice.between(1, 90),
        50..66 => around((time + 1).next_multiple_of(HOUR), dice),
        66..76 => dice.any(&ends).map_or(1, |end| around(*end, dice)),
        76..91 => dice.between(1, longest.min(3 * HOUR)),
        91..98 => dice.between(1, longest / 8),
        _ => dice.between(1, longest),
    }
}
