//! What a viewer tells about its watches.

use ashya_protocol::FeedId;
use ashya_protocol::rest::FeedState;
use ashya_protocol::ws::{EndReason, NoticeState, ServerMessage};

use super::Viewer;
use crate::ledger_index::FeedView;
use crate::socket::watch::Phase;

impl Viewer {
    /// The device is there, and the clock of a feed that is paid runs, unless a notice right behind says otherwise.
    pub(super) fn say_watching(&mut self, feed: FeedId) {
        let Some(watch) = self.watches.get_mut(&feed) else {
            return;
        };
        watch.online = *watch.changes.presence.borrow();
        let (online, is_held) = (watch.online, matches!(watch.phase, Phase::Held));
        let message = ServerMessage::Watching {
            feed,
            device: watch.device,
            streams: watch.streams.to_vec(),
            expires_at: watch.expires_at(),
        };
        self.say(message);
        if !online {
            self.say_notice(feed, NoticeState::Offline);
        }
        if is_held {
            self.say_notice(feed, NoticeState::Paused);
        }
    }

    /// Tells a client that has not paid how to, or why nobody can, where that differs from what it was told last. Of a
    /// retired feed there is nothing left to wait for.
    pub(super) fn tell_terms(&mut self, view: &FeedView) {
        let Some(watch) = self.watches.get_mut(&view.id) else {
            return;
        };
        let terms = self.parts.index.offer(view).ok_or_else(|| view.state());
        // Without its document a feed is not sold here, and the offer waits for it.
        let is_hidden = terms.is_ok() && view.document.is_none();
        if is_hidden || watch.told.as_ref() == Some(&terms) {
            return;
        }
        watch.told = Some(terms.clone());
        match terms {
            Ok(offer) => {
                self.parts.metrics.offers.inc();
                self.say(ServerMessage::PaymentRequired(offer));
            }
            Err(FeedState::Paused) => self.say_notice(view.id, NoticeState::Paused),
            Err(FeedState::Retired) => self.finish(view.id, EndReason::Retired),
            // An open feed has an offer.
            Err(FeedState::Open) => {}
        }
    }

    pub(super) fn say_notice(&mut self, feed: FeedId, state: NoticeState) {
        if let Some(watch) = self.watches.get(&feed) {
            let expires_at = watch.expires_at();
            self.say(ServerMessage::Notice {
                feed,
                state,
                expires_at,
            });
        }
    }

    /// Tells a client that has paid whether the device is there, where that differs from what it was told last.
    pub(super) fn tell_presence(&mut self, feed: FeedId) {
        let Some(watch) = self.watches.get_mut(&feed).filter(|watch| watch.is_paid()) else {
            return;
        };
        let before = std::mem::replace(&mut watch.online, *watch.changes.presence.borrow());
        match (before, watch.online) {
            (false, true) => self.say_notice(feed, NoticeState::Online),
            (true, false) => self.say_notice(feed, NoticeState::Offline),
            (true, true) | (false, false) => {}
        }
    }
}
