// Signs a wallet in at a gateway and prints the token: node session.mjs http://127.0.0.1:8080 0xPRIVATE_KEY
import { privateKeyToAccount } from "viem/accounts";
import { createSiweMessage } from "viem/siwe";

const [base, key] = process.argv.slice(2);
const ask = async (path, body) => {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(base + path, { method: "POST", headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};
const account = privateKeyToAccount(key);
const { nonce } = await ask("/v1/auth/nonce");
const message = createSiweMessage({
  address: account.address,
  chainId: 31337,
  domain: new URL(base).host,
  nonce,
  uri: base,
  version: "1",
});
const signature = await account.signMessage({ message });
const { token } = await ask("/v1/auth/session", { message, signature });
console.log(token);
