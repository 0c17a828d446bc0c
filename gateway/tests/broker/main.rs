//! The broker from outside: rumqttc and raw sockets against a real one on a free port.

mod events;
mod hostile;
mod rig;
mod sessions;
