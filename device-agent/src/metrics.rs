//! What a device counts, in the OpenMetrics text format on a listener of its own.

mod figures;
mod page;
mod server;

use std::sync::Arc;

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

pub(crate) use figures::Figures;
pub use server::MetricsError;
pub(crate) use server::MetricsServer;

/// Every metric of a device, read when somebody asks. Cheap to clone. [`Figures`] lists them.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
}

impl Metrics {
    /// The metrics of a device.
    pub(crate) fn new(figures: Figures) -> Self {
        let mut registry = Registry::with_prefix("ashya_agent");
        registry.register_collector(Box::new(figures));
        Self {
            registry: Arc::new(registry),
        }
    }

    /// The metrics now.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}
