//! What a viewer tells about its watches.

use std::collections::BTreeSet;

use ashya_protocol::ws::{NoticeState, ServerMessage};
use ashya_protocol::{DeviceId, FeedId};

use super::Viewer;
use crate::socket::watch::Phase;

impl Viewer {
    pub(super) fn say_watching(&mut self, feed: FeedId) {
        let Some(watch) = self.watches.get(&feed) else {
            return;
        };
        let message = ServerMessage::Watching {
            feed,
            device: watch.device,
            streams: watch.streams.to_vec(),
            expires_at: watch.expires_at(),
        };
        let offline = !self.parts.presence.is_online(watch.device);
        self.say(message);
        if offline {
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

    pub(super) fn tell_presence(&mut self, device: DeviceId, online: bool) {
        let state = if online {
            NoticeState::Online
        } else {
            NoticeState::Offline
        };
        let paid = self
            .watches
            .iter()
            .filter(|(_, watch)| watch.phase != Phase::Unpaid);
        let feeds = paid.filter(|(_, watch)| watch.device == device);
        for feed in feeds.map(|(feed, _)| *feed).collect::<Vec<_>>() {
            self.say_notice(feed, state);
        }
    }

    pub(super) fn tell_all_presence(&mut self) {
        let devices: BTreeSet<_> = self.watches.values().map(|watch| watch.device).collect();
        for device in devices {
            self.tell_presence(device, self.parts.presence.is_online(device));
        }
    }
}
