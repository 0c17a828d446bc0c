//! Accounts by EIP-7702: a key and code at one address. Either may sign in.

use anyhow::{Context, Result, ensure};
use ashya_protocol::rest::SessionRequest;
use ashya_protocol::{Address, Hash, keccak256, typed_data};
use ashya_tests::{Account, AnvilOptions, World, WorldOptions};
use reqwest::StatusCode;
use serde_json::json;

/// The last 32 bytes of a wrapped signature (ERC-6492).
const WRAPPED: [u8; 32] = *b"\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92\x64\x92";

/// Code whose `isValidSignature` (ERC-1271) takes the digest itself for a signature and nothing else:
/// `return calldata[0x04] == calldata[0x64] ? 0x1626ba7e : 0`.
const RULE: &str = "6004356064351463 1626ba7e 0260e01b5f5260205ff3";

/// A delegation designator (EIP-7702) is this and the address of the code.
const DESIGNATOR: &str = "0xef0100";

#[tokio::test(flavor = "multi_thread")]
async fn key_and_delegate_of_an_account_both_sign_in() {
    let options = WorldOptions {
        anvil: AnvilOptions {
            hardfork: Some("prague"),
            ..AnvilOptions::default()
        },
        ..WorldOptions::default()
    };
    let world = World::start_with(options, |_| {}).await.unwrap();
    if let Err(error) = signs_in(&world).await {
        panic!("{error:?}");
    }
}

async fn signs_in(world: &World) -> Result<()> {
    let account = world.account().await?;
    let stranger = Account::random()?;
    let rule = deploy(world, RULE).await?;
    // Before there is code, only the key counts.
    check(world, &account, "a rule of nobody", by_rule, false).await?;

    delegate(world, &account, rule).await?;
    let code = world
        .anvil
        .rpc("eth_getCode", json!([account.address(), "latest"]))
        .await?;
    let designator = format!("{DESIGNATOR}{}", &rule.to_string()[2..]);
    ensure!(code == json!(designator.to_lowercase()), "{code}");

    check(world, &account, "the delegate's rule", by_rule, true).await?;
    let own = |digest: Hash| account.key().sign(&digest).as_bytes().to_vec();
    // The delegate's rule says no to it. The key can take the delegate away at any time, so its word is the last.
    check(world, &account, "its own key", own, true).await?;
    let foreign = |digest: Hash| stranger.key().sign(&digest).as_bytes().to_vec();
    check(world, &account, "a stranger's key", foreign, false).await?;
    let other = |_: Hash| keccak256(b"another text").as_bytes().to_vec();
    check(world, &account, "the rule for another text", other, false).await?;
    let wrapped = |digest: Hash| wrap(&by_rule(digest));
    check(world, &account, "the rule, wrapped", wrapped, true).await?;
    let wrapped = |digest: Hash| wrap(&foreign(digest));
    check(world, &account, "a stranger, wrapped", wrapped, false).await?;

    delegate(world, &account, Address::ZERO).await?;
    check(world, &account, "a rule that is gone", by_rule, false).await?;
    check(world, &account, "its own key again", own, true).await
}

/// What the rule takes for a signature.
fn by_rule(digest: Hash) -> Vec<u8> {
    digest.as_bytes().to_vec()
}

/// Tries to sign in as `account` with a signature of the text's digest.
async fn check(
    world: &World,
    account: &Account,
    name: &str,
    sign: impl Fn(Hash) -> Vec<u8>,
    valid: bool,
) -> Result<()> {
    let text = world.api().sign_in_request(world.domain().chain_id).await?;
    let (message, _) = account.sign_in(&text)?;
    let signature = sign(typed_data::personal_message(&message));
    let body = SessionRequest {
        message,
        signature: format!("0x{}", hex::encode(signature)),
    };
    let answer = world.api().post("/v1/auth/session", &body).await?;
    if valid {
        ensure!(answer.status == StatusCode::OK, "{name}: {answer:?}");
    } else {
        ensure!(
            answer.problem()?.code == "signature-invalid",
            "{name}: {answer:?}"
        );
    }
    Ok(())
}

/// `abi.encode(factory, calldata, signature)` and the suffix, with a factory that has nothing to do.
fn wrap(signature: &[u8]) -> Vec<u8> {
    let word = |value: usize| {
        let mut word = [0; 32];
        word[24..].copy_from_slice(&(value as u64).to_be_bytes());
        word
    };
    let mut bytes = [
        word(0xfac),
        word(96),
        word(128),
        word(0),
        word(signature.len()),
    ]
    .concat();
    bytes.extend(signature);
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    bytes.extend(WRAPPED);
    bytes
}

/// Puts code on the chain and gives back where it is.
async fn deploy(world: &World, code: &str) -> Result<Address> {
    let code = hex::decode(code.replace(' ', ""))?;
    // Copies what stands behind it: PUSH1 length, DUP1, PUSH1 9, PUSH0, CODECOPY, PUSH0, RETURN.
    let length = u8::try_from(code.len())?;
    let copy = [0x60, length, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3];
    let data = format!("0x{}", hex::encode([&copy[..], &code].concat()));
    let receipt = send(world, json!({ "data": data })).await?;
    Ok(serde_json::from_value(receipt["contractAddress"].clone())?)
}

/// Makes the account act by the code at an address (EIP-7702); by none when that is zero.
async fn delegate(world: &World, account: &Account, to: Address) -> Result<()> {
    let count = world
        .anvil
        .rpc(
            "eth_getTransactionCount",
            json!([account.address(), "latest"]),
        )
        .await?;
    let count = count.as_str().context("a count")?;
    let nonce = u8::from_str_radix(count.trim_start_matches("0x"), 16)?;
    let chain = u16::try_from(world.domain().chain_id)?;
    // rlp([chain, address, nonce]), all of them short: 31337 takes two bytes.
    let mut list = vec![0x82];
    list.extend(chain.to_be_bytes());
    list.push(0x94);
    list.extend(to.as_bytes());
    list.push(if nonce == 0 { 0x80 } else { nonce });
    let length = 0xc0 + u8::try_from(list.len())?;
    let digest = keccak256(&[&[0x05, length][..], &list].concat());
    let signature = account.key().sign(&digest);
    let bytes = signature.as_bytes();
    let authorization = json!({
        "chainId": format!("{chain:#x}"),
        "address": to,
        "nonce": format!("{nonce:#x}"),
        "yParity": format!("{:#x}", bytes[64] - 27),
        "r": quantity(&bytes[..32]),
        "s": quantity(&bytes[32..64]),
    });
    let request = json!({ "to": Address::ZERO, "authorizationList": [authorization] });
    send(world, request).await.map(drop)
}

fn quantity(bytes: &[u8]) -> String {
    let digits = hex::encode(bytes);
    format!("0x{}", digits.trim_start_matches('0'))
}

/// Sends a transaction from an account of the chain's own, and waits for its receipt.
async fn send(world: &World, mut request: serde_json::Value) -> Result<serde_json::Value> {
    let accounts = world.anvil.rpc("eth_accounts", json!([])).await?;
    request["from"] = accounts[5].clone();
    let hash = world.anvil.rpc("eth_sendTransaction", json!([request]));
    let hash = hash.await?;
    let receipt = ashya_tests::eventually(
        "a receipt",
        std::time::Duration::from_secs(15),
        async || {
            let found = world.anvil.rpc("eth_getTransactionReceipt", json!([hash]));
            Ok(Some(found.await?).filter(|receipt| !receipt.is_null()))
        },
    )
    .await?;
    ensure!(receipt["status"] == json!("0x1"), "{receipt}");
    Ok(receipt)
}
