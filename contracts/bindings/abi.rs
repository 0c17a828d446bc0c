//! Bindings that ethers generates from the committed ABI.

#![allow(missing_docs, unreachable_pub, clippy::all)]

ethers::contract::abigen!(FeedLedger, "./abi/FeedLedger.json");
ethers::contract::abigen!(VerifySignature, "./abi/VerifySignature.json");
