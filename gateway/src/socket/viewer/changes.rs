//! How a viewer learns that something has changed, and what becomes of its watches then.

use std::collections::BTreeMap;
use std::task::{Context, Poll};

use ashya_protocol::FeedId;
use ashya_protocol::ws::NoticeState;
use tokio::time::sleep_until;

use super::Viewer;
use crate::socket::signals::{Cause, Signal};
use crate::socket::watch::{Change, Phase, WatchRefusal, begins, step, streams_of};

impl Viewer {
    /// [`Self::changed`], polled. What is rare is looked at only when it has something to say, so that a wake-up for an
    /// event costs little.
    pub(in crate::socket) fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let had_nothing = self.ready.is_empty();
        self.read_on();
        // It may have found something to say by the way.
        let mut changed = if had_nothing && !self.ready.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        };
        while let Poll::Ready(signal) = self.signals.poll_next(context) {
            self.hear(signal);
            changed = Poll::Ready(());
        }
        while let Some(due) = &mut self.due
            && due.as_mut().poll(context).is_ready()
        {
            self.tick();
            changed = Poll::Ready(());
        }
        changed
    }

    fn hear(&mut self, signal: Signal) {
        match signal {
            Signal::Changed(feed, cause) => {
                self.take_change(feed, cause);
                self.await_change(feed);
            }
            Signal::Page(key, page) => self.take_page(&key, page),
            Signal::Over(code) => self.over = Some(code),
        }
    }

    /// Does what a change asks for. It is marked as seen before anything is read, so that none falls between the two.
    fn take_change(&mut self, feed: FeedId, cause: Cause) {
        let Some(watch) = self.watches.get_mut(&feed) else {
            return;
        };
        match cause {
            Cause::Feed => self.look_at(feed),
            Cause::Presence => {
                watch.changes.presence.mark_unchanged();
                self.tell_presence(feed);
            }
            Cause::Clock => {
                watch.changes.clock.mark_unchanged();
                // A step back may give access again, of which no timer tells.
                self.look_at(feed);
                self.tick();
            }
        }
    }

    /// Sets the timer to the next reminder or end.
    pub(super) fn set_due(&mut self) {
        let second = self.watches.values().filter_map(|watch| watch.due()).min();
        let due = second.map(|second| self.parts.clock.instant_of(second));
        match (due, &mut self.due) {
            (Some(due), Some(timer)) => timer.as_mut().reset(due),
            (Some(due), timer) => *timer = Some(Box::pin(sleep_until(due))),
            (None, timer) => *timer = None,
        }
    }

    /// Looks again at the feeds that have changed since the last look. The look-outs would bring that about too, but
    /// only when the task gets to them.
    pub(in crate::socket) fn look_at_changed(&mut self) {
        if !self.has_changed() {
            return;
        }
        let changed = self.watches.iter();
        let changed = changed.filter(|(_, watch)| watch.feed_has_changed());
        for feed in changed.map(|(feed, _)| *feed).collect::<Vec<_>>() {
            self.look_at(feed);
        }
    }

    pub(super) fn has_changed(&self) -> bool {
        self.watches.values().any(|watch| watch.feed_has_changed())
    }

    /// Looks again at a feed that has changed, or whose time has come or was moved.
    fn look_at(&mut self, feed: FeedId) {
        let Some(watch) = self.watches.get_mut(&feed) else {
            return;
        };
        let changes = self.parts.index.changes_for(feed, self.wallet);
        if changes.same_channel(&watch.changes.feed) {
            watch.changes.feed.mark_unchanged();
        } else {
            // It was opened while the watch began, and has had changes of its own since.
            watch.changes.feed = changes;
        }
        let (access, paid) = (self.access(feed), self.paid(feed));
        let differs = self.take_terms(feed);
        let Some(watch) = self.watches.get_mut(&feed) else {
            return;
        };
        let (phase, change) = step(watch.phase, access);
        watch.phase = phase;
        watch.begins = begins(access);
        let has_to_pay = phase == Phase::Unpaid && watch.begins.is_none();
        let before = std::mem::replace(&mut watch.paid, paid);
        if watch.paid != before {
            self.catching_up.ask_again();
        }
        if change != Change::Nothing {
            watch.reminded = false;
        }
        match change {
            Change::Begun => {
                self.say_watching(feed);
                self.follow_from_payment(feed);
            }
            Change::Moved => self.say_notice(feed, NoticeState::Expiring),
            // Told with the new terms, below.
            Change::Paused if differs => {}
            Change::Paused => self.say_notice(feed, NoticeState::Paused),
            Change::Resumed => self.say_notice(feed, NoticeState::Resumed),
            Change::Ended => self.end(feed, before.as_ref()),
            Change::Nothing if has_to_pay => {
                if let Some(view) = self.parts.index.feed(feed) {
                    self.tell_terms(&view);
                }
            }
            Change::Nothing => {}
        }
        if differs && phase != Phase::Unpaid && change != Change::Begun {
            self.say_watching(feed);
        }
        self.tell_presence(feed);
        self.follow(feed, &BTreeMap::new());
        self.release_held();
        self.set_due();
    }

    /// Takes over what the feed gives now; whether that differs from what it gave.
    fn take_terms(&mut self, feed: FeedId) -> bool {
        let view = self.parts.index.feed(feed);
        let (Some(view), Some(watch)) = (view, self.watches.get_mut(&feed)) else {
            return false;
        };
        // While the new listing's document has not come, what was sold is still sent.
        let streams = match streams_of(&view, watch.wanted.as_ref()) {
            Err(WatchRefusal::UnknownStream) => streams_of(&view, None).map(|held| {
                let wanted = watch.wanted.iter().flatten();
                wanted
                    .filter(|name| held.contains(*name))
                    .cloned()
                    .collect()
            }),
            other => other,
        };
        let streams = streams.unwrap_or_else(|_| watch.streams.clone());
        let differs = streams != watch.streams || view.device != watch.device;
        watch.streams = streams;
        if view.device != watch.device {
            watch.device = view.device;
            // The wait for the old one's ends with the change of the feed that has brought this.
            watch.changes.presence = self.parts.presence.of(view.device);
        }
        differs
    }

    /// Waits for the next change after what was seen.
    fn await_change(&mut self, feed: FeedId) {
        if let Some(watch) = self.watches.get_mut(&feed) {
            watch._await = self.signals.await_change(feed, watch.changes.next());
        }
    }

    /// Does what is due: beginnings, reminders, and the end of access.
    fn tick(&mut self) {
        let now = self.parts.clock.now_seconds();
        let due = self
            .watches
            .iter()
            .filter(|(_, watch)| watch.due().is_some_and(|at| at <= now));
        for feed in due.map(|(feed, _)| *feed).collect::<Vec<_>>() {
            self.look_at(feed);
            let Some(watch) = self.watches.get_mut(&feed) else {
                continue;
            };
            if watch.is_live() && !watch.reminded && watch.due().is_some_and(|at| at <= now) {
                watch.reminded = true;
                self.say_notice(feed, NoticeState::Expiring);
            }
        }
        self.set_due();
    }
}
