// A wallet for tests, injected into the page: MetaMask's own in-page provider over a stream to a small wallet engine.
//
// It asks before each approval, as MetaMask does: a request waits in a queue until the test approves or rejects it through
// `window.testWallet`. It never approves by itself.

import { createWalletMiddleware } from '@metamask/eth-json-rpc-middleware';
import { JsonRpcEngine, createAsyncMiddleware } from '@metamask/json-rpc-engine';
import { createEngineStream } from '@metamask/json-rpc-middleware-stream';
import { initializeProvider } from '@metamask/providers';
import { providerErrors, rpcErrors } from '@metamask/rpc-errors';
import { Duplex } from 'readable-stream';
import { createWalletClient, hexToBigInt, http, numberToHex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';

const UNRECOGNIZED_CHAIN = 4902;

/** @type {{ keys: `0x${string}`[], chainId: number, chains: Record<number, string>, name?: string, rdns?: string }} */
const options = window.testWalletOptions;

const accounts = options.keys.map((key) => privateKeyToAccount(key));
const chains = new Map(Object.entries(options.chains).map(([id, url]) => [Number(id), url]));
const queue = [];
let chainId = options.chainId;
let selected = 0;
let permitted = [];

const [pageEnd, walletEnd] = streamPair();
const engine = new JsonRpcEngine();
walletEnd.pipe(createEngineStream({ engine })).pipe(walletEnd);

engine.push(createAsyncMiddleware(answerWallet));
engine.push(
  createWalletMiddleware({
    getAccounts: async () => permitted,
    processPersonalMessage: async (message) => {
      const account = permittedAccount(message.from);
      await ask('sign', message);
      return account.signMessage({ message: { raw: message.data } });
    },
    processTypedMessageV4: async (message) => {
      const account = permittedAccount(message.from);
      await ask('sign-typed', message);
      return account.signTypedData(JSON.parse(message.data));
    },
    processTransaction: sendTransaction,
  }),
);
engine.push(createAsyncMiddleware(answerFromChain));

initializeProvider({
  connectionStream: pageEnd,
  shouldSendMetadata: false,
  shouldSetOnWindow: true,
  providerInfo: {
    uuid: crypto.randomUUID(),
    name: options.name ?? 'Test wallet',
    rdns: options.rdns ?? 'test.ashya.wallet',
    icon: 'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg"/>',
  },
});

window.testWallet = {
  pending: () => queue.map(({ kind }) => kind),
  approve: () => queue.shift().approve(),
  reject: () => queue.shift().reject(),
  useAccount(index) {
    selected = index;
    permit([accounts[index].address]);
  },
  useChain: announceChain,
  revoke: () => permit([]),
};

async function answerWallet(request, response, next) {
  const parameter = Array.isArray(request.params) ? request.params[0] : undefined;
  switch (request.method) {
    case 'metamask_getProviderState':
      response.result = {
        accounts: permitted,
        chainId: numberToHex(chainId),
        isUnlocked: true,
        networkVersion: String(chainId),
        isConnected: true,
      };
      return;
    case 'metamask_sendDomainMetadata':
      response.result = true;
      return;
    case 'eth_chainId':
      response.result = numberToHex(chainId);
      return;
    case 'eth_requestAccounts':
      if (permitted.length === 0) await connect(request.method);
      response.result = permitted;
      return;
    case 'wallet_requestPermissions':
      await connect(request.method);
      response.result = [
        { parentCapability: 'eth_accounts', caveats: [{ type: 'restrictReturnedAccounts', value: permitted }] },
      ];
      return;
    case 'wallet_revokePermissions':
      permit([]);
      response.result = null;
      return;
    case 'wallet_switchEthereumChain':
      await switchChain(Number(hexToBigInt(parameter.chainId)));
      response.result = null;
      return;
    case 'wallet_addEthereumChain':
      await addChain(parameter);
      response.result = null;
      return;
    default:
      await next();
  }
}

async function connect(method) {
  if (queue.some(({ kind }) => kind === 'connect')) {
    throw rpcErrors.resourceUnavailable(
      `Request of type '${method}' already pending for origin ${location.origin}. Please wait.`,
    );
  }
  await ask('connect');
  permit([accounts[selected].address]);
}

async function switchChain(id) {
  if (!chains.has(id)) {
    throw providerErrors.custom({
      code: UNRECOGNIZED_CHAIN,
      message: `Unrecognized chain ID "${numberToHex(id)}". Try adding the chain using wallet_addEthereumChain first.`,
    });
  }
  if (id === chainId) return;
  await ask('switch-chain', { id });
  announceChain(id);
}

async function addChain(chain) {
  const url = new URL(chain.rpcUrls?.[0] ?? 'missing:');
  if (url.protocol !== 'https:' && !['localhost', '127.0.0.1'].includes(url.hostname)) {
    throw rpcErrors.invalidParams(`Expected an array with at least one valid string HTTPS url 'rpcUrls', Received:\n${chain.rpcUrls}`);
  }
  // MetaMask refuses a missing list of explorers; null says that there is none.
  if (chain.blockExplorerUrls === undefined) {
    throw rpcErrors.invalidParams("Expected null or array with at least one valid string HTTPS url 'blockExplorerUrl'. Received: undefined");
  }
  await ask('add-chain', chain);
  const id = Number(hexToBigInt(chain.chainId));
  chains.set(id, chain.rpcUrls[0]);
  announceChain(id);
}

async function sendTransaction(transaction) {
  const account = permittedAccount(transaction.from);
  try {
    await ask('transaction', transaction);
  } catch (error) {
    error.message = 'MetaMask Tx Signature: User denied transaction signature.';
    throw error;
  }
  const client = createWalletClient({ account, transport: http(chains.get(chainId)) });
  const { to, data, value, gas } = transaction;
  return client.sendTransaction({
    chain: null,
    to,
    data,
    value: value && BigInt(value),
    gas: gas && BigInt(gas),
  });
}

async function answerFromChain(request, response) {
  if (/^(wallet|metamask)_/.test(request.method)) throw rpcErrors.methodNotFound();
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: request.method, params: request.params ?? [] });
  const answer = await fetch(chains.get(chainId), { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const { result, error } = await answer.json();
  if (error) throw Object.assign(new Error(error.message), error);
  response.result = result;
}

/** Puts a request into the queue and waits for the test's decision. */
function ask(kind, detail) {
  return new Promise((approve, refuse) => {
    queue.push({ kind, detail, approve, reject: () => refuse(providerErrors.userRejectedRequest()) });
  });
}

function permittedAccount(address) {
  const found = accounts.find((account) => account.address.toLowerCase() === address?.toLowerCase());
  if (!found || !permitted.includes(found.address.toLowerCase())) throw providerErrors.unauthorized();
  return found;
}

function permit(addresses) {
  permitted = addresses.map((address) => address.toLowerCase());
  notify('metamask_accountsChanged', permitted);
}

function announceChain(id) {
  chainId = id;
  notify('metamask_chainChanged', { chainId: numberToHex(id), networkVersion: String(id), isConnected: true });
}

function notify(method, params) {
  walletEnd.write({ jsonrpc: '2.0', method, params });
}

/** Two object streams, each of which reads what is written to the other. */
function streamPair() {
  const ends = [0, 1].map((index) => new Duplex({
    objectMode: true,
    read() {},
    write(chunk, _encoding, done) {
      queueMicrotask(() => ends[1 - index].push(chunk));
      done();
    },
  }));
  return ends;
}
