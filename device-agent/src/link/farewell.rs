//! How the device tells that it is there, and how it goes.

use std::time::Duration;

use ashya_protocol::Topic;
use rumqttc::{AsyncClient, QoS};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use tracing::debug;

use super::broker::Heard;
use super::error::LinkError;
use super::{End, Link};

/// How long a stopping device waits for its last acknowledgements.
const FAREWELL: Duration = Duration::from_secs(2);

impl Link {
    /// Says good-bye, waiting a little for what is under way.
    pub(super) async fn part(
        &mut self,
        client: &AsyncClient,
        events: &mut Receiver<Heard>,
        end: &End,
    ) {
        let mut farewell = async || -> Result<(), LinkError> {
            loop {
                self.flush(client);
                if !self.outbox.is_under_way() {
                    return Ok(());
                }
                self.heard(events.recv().await.ok_or(LinkError::Ended)??);
            }
        };
        if !matches!(timeout(FAREWELL, farewell()).await, Ok(Ok(()))) {
            debug!("left with events under way");
        }
        // After a renewal the device is back in a moment, so it says nothing of leaving.
        let announced = match end {
            End::Stopped => self.announce(client, "offline"),
            End::Renew => Ok(()),
        };
        if announced
            .and_then(|()| Ok(client.try_disconnect()?))
            .is_ok()
        {
            // The client ends by itself once the good-bye is written.
            let gone = async { while let Some(Ok(_)) = events.recv().await {} };
            if timeout(FAREWELL, gone).await.is_err() {
                debug!("the broker did not close the connection");
            }
        }
    }

    pub(super) fn announce(&self, client: &AsyncClient, presence: &str) -> Result<(), LinkError> {
        let topic = Topic::Presence(self.device()).to_string();
        // At most once: a lost one means a lost connection, and then the last will speaks.
        Ok(client.try_publish(topic, QoS::AtMostOnce, true, presence)?)
    }
}
