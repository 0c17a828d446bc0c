use std::time::Duration;

use anyhow::{Context, Result};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::device::Device;

/// A device that publishes at a steady pace in the background, until it is stopped or dropped.
#[derive(Debug)]
pub struct Publisher {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<Device>>,
}

impl Publisher {
    /// Publishes one event of `stream` each `pace`. The payload is a count, as JSON.
    pub fn start(device: Device, stream: &'static str, pace: Duration) -> Self {
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(publish(device, stream, pace, stopped));
        Self {
            stop: Some(stop),
            task,
        }
    }

    /// Stops and hands the device back.
    ///
    /// # Errors
    /// When publishing had failed.
    pub async fn stop(mut self) -> Result<Device> {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        (&mut self.task).await.context("the publisher panicked")?
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn publish(
    mut device: Device,
    stream: &'static str,
    pace: Duration,
    mut stopped: oneshot::Receiver<()>,
) -> Result<Device> {
    let mut mqtt = device.connect().await?;
    let mut ticks = tokio::time::interval(pace);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0_u64;
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => return Ok(device),
            _ = ticks.tick() => {
                let payload = format!("{{\"count\":{count}}}");
                device.emit(&mut mqtt, stream, payload.as_bytes()).await?;
                count += 1;
            }
        }
    }
}
