//! The jury: runs the real programs, a real chain and a real browser on free ports, and stops them.
//!
//! ```text
//!  World ── Anvil      the chain, a block a second, with the ledger deployed
//!    │  └── Gateway    the real program
//!    ├─ Agent          the real program, on a generated scene
//!    ├─ Device         raw MQTT with a key of its own: may lie, forge and replay
//!    ├─ RtspCamera     a camera that dies, falls silent and returns
//!    ├─ Watcher        a subscriber's websocket; checks every signature itself
//!    └─ run_script     a real browser, driven from Node
//! ```
//!
//! Whatever is started ends with the value that holds it, and with this program however it ends ([`Process`]).
//! The same parts make the demo ([`Demo`]).

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod account;
mod agent;
mod anvil;
mod api;
mod browser;
mod demo;
mod device;
mod gateway;
mod metrics;
mod paths;
mod process;
mod process_figures;
mod publisher;
mod raw_socket;
mod rtsp;
mod sensor;
mod subscriber;
mod tampering;
mod wait;
mod watcher;
mod world;

pub use account::{Account, SignIn, checksum, random_key};
pub use agent::{Agent, AgentOptions};
pub use anvil::{Anvil, AnvilOptions, BlockTime, LOCAL_CHAIN};
pub use api::{Answer, Api};
pub use browser::run_script;
pub use demo::{Demo, DemoOptions};
pub use device::{Delivery, Device, Grant, Mqtt};
pub use gateway::{Addresses, Gateway, GatewayOptions};
pub use metrics::Metrics;
pub use paths::{binary, free_port, repository, shared};
pub use process::Process;
pub use process_figures::{cpu_seconds, raise_file_limit, resident_kb};
pub use publisher::Publisher;
pub use raw_socket::{Opcode, RawSocket, ServerFrame, frame, frame_of, head_of, part};
pub use rtsp::{RtspCamera, Video};
pub use sensor::{Receipt, Sensor};
pub use subscriber::{Subscriber, SubscriberOptions, wei_of};
pub use tampering::{Tamper, Tampering};
pub use wait::{eventually, now, now_us};
pub use watcher::{Heard, Said, Subprotocol, Watcher};
pub use world::{FeedPlan, OpenFeed, Outage, World, WorldOptions};
