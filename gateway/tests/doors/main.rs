//! `ashya-gateway run` as a process, seen from its doors: TLS, limits, and how it goes.

mod device;
mod drain;
mod limits;
mod rig;
mod tls;
