//! `jsonwebtoken` 9 under the version number that ethers-providers 2.0.14 asks for.
pub use v9::*;
