//! Against a real chain, one for each test.

mod anvil;
mod artifacts;
mod ledger;
mod process;
mod signatures;
