//! What a viewer tells about its watches.

use ashya_protocol::FeedId;
use ashya_protocol::ws::{NoticeState, ServerMessage};

use super::Viewer;

impl Viewer {
    pub(super) fn say_watching(&mut self, feed: FeedId) {
        let Some(watch) = self.watches.get_mut(&feed) else {
            return;
        };
        watch.online = *watch.changes.presence.borrow();
        let online = watch.online;
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
