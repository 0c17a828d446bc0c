//! What a viewer gets in random histories: payments, pauses and resumes whose words come late, blocks that are taken
//! back, and a client that comes and goes. What is promised follows from the ledger's words alone.

mod ledger;

use std::collections::BTreeSet;
use std::slice;

use ashya_protocol::ws::ServerMessage;
use futures_util::FutureExt;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::dice::Dice;
use super::viewer::watch;
use super::world::{ALICE, FEED, PATIENCE, START, World};
use crate::hub::tests::position;
use crate::hub::{Hub, Moment, RingLimits};
use crate::ledger_index::Delta;
use crate::socket::{Outgoing, Step, Viewer};
use ledger::{Known, Word, event_of};

const HISTORIES: u64 = 120;
/// Each ends with a look at what has come.
const CHAPTERS: usize = 2;
const STEPS: usize = 25;
/// Events in memory, where it is short.
const SHORT: u64 = 4;

/// One request to watch, and what came of it. Events are numbered from 1 on.
#[derive(Default)]
struct Ask {
    /// What is paid after this one is promised.
    after: u64,
    /// Whether it has waited for its payment until now.
    waits: bool,
    /// What is not promised any more.
    excused: BTreeSet<u64>,
    /// What was written, up to which, and what was told to be gone.
    given: BTreeSet<u64>,
    last: u64,
    gone: BTreeSet<u64>,
}

#[derive(Debug, Default)]
struct Tally {
    given: usize,
    gaps: usize,
    ends: usize,
    reorgs: usize,
}

struct History {
    seed: u64,
    dice: Dice,
    world: World,
    /// All that the ledger has said, and for each word that is known what was before it.
    words: Vec<(u64, Word)>,
    undos: Vec<Delta>,
    /// When each event was accepted.
    events: Vec<u64>,
    viewer: Viewer,
    ask: Option<Ask>,
    /// The last event that the client has.
    seen: u64,
    tally: Tally,
}

impl History {
    async fn begin(seed: u64, tally: Tally) -> Self {
        let mut world = match seed % 6 {
            0 => World::with_history_and_memory_of(SHORT as usize).await,
            _ => World::start().await,
        };
        if matches!(seed % 6, 1 | 2) {
            let limits = RingLimits {
                events: SHORT as usize,
                ..RingLimits::default()
            };
            world.parts.hub = Hub::keeping(world.parts.metrics.clone(), limits);
        }
        let mut history = Self {
            seed,
            dice: Dice(seed),
            words: vec![(0, Word::Paid(0, 20))],
            undos: Vec::new(),
            events: Vec::new(),
            viewer: Viewer::new(world.parts.clone(), ALICE),
            ask: None,
            seen: 0,
            tally,
            world,
        };
        history.tell(0, 0);
        history.request(None);
        history
    }

    fn now(&self) -> u64 {
        self.world.parts.clock.now_seconds() - START
    }

    fn known(&self) -> Known {
        Known::of(&self.words[..self.undos.len()])
    }

    fn context(&self) -> String {
        let (known, unknown) = self.words.split_at(self.undos.len());
        format!("seed {}, known {known:?}, unknown {unknown:?}", self.seed)
    }

    /// The gateway takes back the last words that it knew and learns those up to a second, in one move.
    fn tell(&mut self, back: usize, until: u64) {
        let known = self.undos.len() - back;
        let taken = self.undos.split_off(known);
        let next = self.words[known..].iter();
        let next = next.take_while(|(second, _)| *second <= until).count();
        let events = (known..known + next).map(|last| event_of(&self.words[..=last]));
        let events: Vec<_> = events.collect();
        let index = &self.world.parts.index;
        let blocks = (1..).zip(events.iter().map(slice::from_ref));
        let stepped = index.step(taken.iter().rev(), blocks);
        self.undos.extend(stepped.undos);
    }

    /// The ledger says something.
    fn say(&mut self, second: u64) {
        if Known::of(&self.words).is_paused() || self.dice.roll(2) == 0 {
            self.words.push((second, Word::Turn));
        } else {
            self.pay(second);
        }
    }

    /// The wallet extends what it has paid, or buys anew.
    fn pay(&mut self, second: u64) {
        let all = Known::of(&self.words);
        let (time, more) = (all.feed_time(second), 5 + self.dice.roll(20));
        let live = all.windows.last().filter(|(_, expiry)| time < *expiry);
        let (start, expiry) = live.copied().unwrap_or((time, time));
        self.words.push((second, Word::Paid(start, expiry + more)));
    }

    /// The last known words are taken back: for good, for something else, or to be said again, at once or late.
    fn reorganise(&mut self, now: u64) {
        let back = self.undos.len().min(1 + self.dice.roll(3) as usize);
        let kept = self.undos.len() - back;
        let change = self.dice.roll(3);
        if back > 0 && change < 2 {
            let second = now.min(self.words[kept].0 + self.dice.roll(3));
            self.words.truncate(kept);
            if change == 1 {
                self.say(second);
            }
        }
        let until = [0, now][self.dice.roll(2) as usize];
        self.tell(back, until);
        self.tally.reorgs += 1;
    }

    fn publish(&mut self) {
        let second = self.now();
        let at = START + second;
        let clock = self.world.parts.index.feed(FEED).unwrap().clock;
        let stamp = clock.paused_at.is_none().then(|| clock.feed_time(at));
        let moment = Moment {
            at,
            feed_times: stamp.map(|time| (FEED, time)).into_iter().collect(),
            paused: stamp.is_none().then_some(FEED).into_iter().collect(),
        };
        self.events.push(second);
        let number = self.events.len() as u64;
        self.world.publish_with("detections", number, 10, moment);
    }

    fn request(&mut self, since: Option<u64>) {
        let count = self.events.len() as u64;
        let is_open = self.known().is_open(self.now());
        let position = since.map(|number| position(3, number));
        watch(&mut self.viewer, FEED, position);
        // "To ask, a wallet has to have access now."
        let after = since.filter(|_| is_open).unwrap_or(count);
        self.ask = Some(Ask {
            after,
            waits: !is_open,
            last: if is_open { after } else { 0 },
            ..Ask::default()
        });
        self.look();
    }

    /// Notes what becomes of events when the viewer looks at the ledger.
    fn look(&mut self) {
        let (known, now, count) = (self.known(), self.now(), self.events.len() as u64);
        let is_short = self.seed % 6 < 3;
        let Some(ask) = self.ask.as_mut().filter(|_| known.is_open(now)) else {
            return;
        };
        let begins = std::mem::take(&mut ask.waits);
        for (second, number) in self.events.iter().zip(1..) {
            // Only the end of a pause brings back what was left out: while the clock runs, what is not paid is dropped,
            // whatever a reorganisation says later. Words that are merely late do not make it paid.
            let is_dropped = !known.paid(*second) && !known.is_paused();
            // A watch that waited "begins with what is in memory".
            let is_forgotten = begins && is_short && number + SHORT <= count;
            if is_dropped || is_forgotten {
                ask.excused.insert(number);
            }
        }
    }

    /// The viewer has written an event.
    fn give(&mut self, number: u64, now: u64) {
        let (known, context) = (self.known(), self.context());
        let second = self.events[number as usize - 1];
        let ask = self.ask.as_mut().expect("nobody asks");
        assert!(known.is_open(now), "{context}: {number} at {now}");
        assert!(!known.is_paused(), "{context}: {number} in a pause");
        assert!(known.paid(second), "{context}: {number} was not paid");
        assert!(ask.last < number, "{context}: {number} after {}", ask.last);
        ask.last = number;
        ask.given.insert(number);
        self.seen = self.seen.max(number);
        self.tally.given += 1;
    }

    fn write(&mut self) {
        loop {
            let now = self.viewer.read_clock();
            match self.viewer.next(now) {
                Step::Idle => return,
                Step::TooSlow => panic!("seed {}: too slow", self.seed),
                Step::Write(Outgoing::Event(event), _) => {
                    self.give(event.position().seq.get(), now.time.as_secs() - START);
                }
                Step::Write(Outgoing::Control(ServerMessage::Gap { from, to, .. }), _) => {
                    let is_kept = !matches!(self.seed % 6, 1 | 2);
                    assert!(!is_kept, "{}: {from:?} to {to:?}", self.context());
                    let ask = self.ask.as_mut().expect("nobody asks");
                    ask.gone.extend(from.get()..=to.get());
                    self.tally.gaps += 1;
                }
                Step::Write(Outgoing::Control(ServerMessage::Ended { .. }), _) => {
                    self.ask = None;
                    self.tally.ends += 1;
                }
                Step::Write(Outgoing::Control(_), _) => {}
            }
        }
    }

    async fn drain(&mut self) {
        loop {
            // Without a rest the runtime lets a task hear only so much.
            yield_now().await;
            let turned = self.viewer.turn().now_or_never().is_some();
            self.look();
            self.write();
            let known = self.known();
            let is_live = known.is_open(self.now()) && !known.is_paused();
            if self.viewer.is_catching_up() && is_live {
                let turn = timeout(PATIENCE, self.viewer.turn());
                turn.await.expect("no page");
            } else if !turned {
                return;
            }
        }
    }

    fn reconnect(&mut self) {
        self.viewer = Viewer::new(self.world.parts.clone(), ALICE);
        self.ask = None;
    }

    async fn come_back(&mut self) {
        let since = match self.dice.roll(4) {
            0 => None,
            1 => Some(self.seen.saturating_sub(self.dice.roll(8))),
            _ => Some(self.seen),
        };
        if since.is_none() || self.dice.roll(2) == 0 {
            self.reconnect();
        } else {
            // A connection takes no request while it has something to say.
            self.drain().await;
        }
        self.request(since);
    }

    async fn step(&mut self) {
        let now = self.now() + self.dice.roll(3);
        self.world.jump(now);
        match self.dice.roll(12) {
            0..3 => self.say(now),
            3 => self.reorganise(now),
            4 => self.come_back().await,
            _ => {}
        }
        let late = self.dice.roll(6);
        self.tell(0, now.saturating_sub(late));
        for _ in 0..self.dice.roll(3) {
            self.publish();
        }
        if self.dice.roll(2) == 0 {
            self.drain().await;
        }
        if self.ask.is_none() && self.dice.roll(2) == 0 {
            self.come_back().await;
        }
    }

    /// All words are known and access is open: who watches has all that is paid, and so has who asks for all anew.
    async fn settle(&mut self) {
        let now = self.now();
        if Known::of(&self.words).is_paused() {
            self.words.push((now, Word::Turn));
        }
        self.pay(now);
        self.tell(0, now);
        if self.ask.is_none() {
            self.request(Some(self.seen));
        }
        self.drain().await;
        self.check();
        self.reconnect();
        self.request(Some(0));
        self.drain().await;
        self.check();
    }

    fn check(&mut self) {
        let (known, context) = (self.known(), self.context());
        let ask = self.ask.as_mut().expect("it has ended");
        let mut lost = Vec::new();
        for (second, number) in self.events.iter().zip(1..) {
            let known_of = [&ask.given, &ask.gone, &ask.excused];
            let is_told = known_of.iter().any(|numbers| numbers.contains(&number));
            if ask.after < number && known.paid(*second) && !is_told {
                lost.push((number, *second));
            }
        }
        assert!(lost.is_empty(), "{context}: never came: {lost:?}");
        ask.after = self.events.len() as u64;
    }
}

#[tokio::test]
async fn a_viewer_gets_what_is_paid_and_nothing_else_in_any_history() {
    let mut tally = Tally::default();
    for seed in 0..HISTORIES {
        let mut history = History::begin(seed, tally).await;
        for _ in 0..CHAPTERS {
            for _ in 0..STEPS {
                history.step().await;
            }
            history.settle().await;
        }
        tally = history.tally;
    }
    let Tally { given, gaps, .. } = tally;
    let is_varied = given > 1_000 && gaps > 0 && tally.ends > 0 && tally.reorgs > 0;
    assert!(is_varied, "{tally:?}");
}
