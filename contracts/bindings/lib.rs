//! The ledger in Rust.
