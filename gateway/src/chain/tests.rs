//! The follower over real HTTP to a node of this test, which serves a generated chain and misbehaves on demand.

mod asking;
mod generated;
mod logs;
mod node;
mod outcome;
mod random;
mod rig;
mod stubborn;
