import { numberToHex, type EIP1193Provider } from 'viem';
import { WalletError, type WalletRefusal } from './errors';
import type { Address, Chain } from './types';

/** A wallet that announced itself (EIP-6963). */
export interface AnnouncedWallet {
  readonly info: { readonly uuid: string; readonly name: string; readonly icon: string; readonly rdns: string };
  readonly provider: EIP1193Provider;
}

/** Names the wallet inside the page, which only local chains have. */
export const DEMO_RDNS = 'org.ashya.demo';

/** How long a wallet may take to be on the chain to which it agreed to switch, in milliseconds. */
const SWITCH_MS = 5_000;
const SWITCH_POLL_MS = 100;

/** Asks for wallets and tells each one that announces itself, now or later. Returns how to stop. */
export function discoverWallets(tell: (wallet: AnnouncedWallet) => void): () => void {
  const listen = (event: Event): void => {
    if (event instanceof CustomEvent && isAnnounced(event.detail)) tell(event.detail);
  };
  window.addEventListener('eip6963:announceProvider', listen);
  window.dispatchEvent(new Event('eip6963:requestProvider'));
  return () => window.removeEventListener('eip6963:announceProvider', listen);
}

/** Asks a wallet for its account. */
export async function requestAccount(provider: EIP1193Provider): Promise<Address> {
  const accounts = await fromWallet(provider.request({ method: 'eth_requestAccounts' }));
  const account = firstAccount(accounts);
  if (!account) throw new WalletError('failed', 'The wallet shared no account.');
  return account;
}

/** The account that the page may already use; `null` where it has to ask. */
export async function permittedAccount(provider: EIP1193Provider): Promise<Address | null> {
  return firstAccount(await fromWallet(provider.request({ method: 'eth_accounts' })));
}

/** The first of a wallet's accounts. */
export function firstAccount(accounts: readonly string[]): Address | null {
  return (accounts[0]?.toLowerCase() as Address | undefined) ?? null;
}

/** Brings a wallet to the ledger's chain, adding the chain where the wallet does not know it. */
export async function ensureChain(provider: EIP1193Provider, chain: Chain): Promise<void> {
  if (await isOn(provider, chain)) return;
  const chainId = numberToHex(chain.chainId);
  try {
    await fromWallet(provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId }] }));
  } catch (error) {
    if (!(error instanceof WalletError) || error.refusal !== 'unknown-chain' || chain.rpcUrl === null) throw error;
    await addChain(provider, chain, chain.rpcUrl);
  }
  const deadline = Date.now() + SWITCH_MS;
  while (!(await isOn(provider, chain))) {
    if (Date.now() > deadline) throw new WalletError('unknown-chain', `The wallet is not on ${chain.name}.`);
    await new Promise((resolve) => setTimeout(resolve, SWITCH_POLL_MS));
  }
}

/** Waits for a wallet's answer and turns its error into a `WalletError` by its code. */
export async function fromWallet<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    throw new WalletError(refusalOf(cause), cause instanceof Error ? cause.message : 'The wallet failed.', { cause });
  }
}

/** Why a wallet refused, by the codes of EIP-1193, EIP-1474 and EIP-3085 wherever the error carries them. */
export function refusalOf(error: unknown): WalletRefusal {
  const codes = codesOf(error);
  if (codes.includes(4001)) return 'rejected';
  if (codes.includes(4902)) return 'unknown-chain';
  if (codes.includes(-32002)) return 'busy';
  if (codes.includes(4900) || codes.includes(4901)) return 'disconnected';
  if (codes.includes(4200) || codes.includes(-32601)) return 'unsupported';
  return 'failed';
}

/** All codes of an error: its own, its cause's, and the one that some wallets wrap into -32603. */
function codesOf(error: unknown, depth = 0): readonly number[] {
  if (typeof error !== 'object' || error === null || depth > 8) return [];
  const { code, cause, data } = error as { code?: unknown; cause?: unknown; data?: unknown };
  const wrapped = typeof data === 'object' && data !== null ? (data as { originalError?: unknown }).originalError : undefined;
  return [...(typeof code === 'number' ? [code] : []), ...codesOf(wrapped, depth + 1), ...codesOf(cause, depth + 1)];
}

async function addChain(provider: EIP1193Provider, chain: Chain, rpcUrl: string): Promise<void> {
  const parameters = {
    chainId: numberToHex(chain.chainId),
    chainName: chain.name,
    rpcUrls: [rpcUrl],
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    // MetaMask refuses the request when this is missing, and takes null.
    blockExplorerUrls: null,
  };
  const request = provider.request as (call: { method: string; params: readonly unknown[] }) => Promise<null>;
  await fromWallet(request({ method: 'wallet_addEthereumChain', params: [parameters] }));
  if (await isOn(provider, chain)) return;
  await fromWallet(provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId: parameters.chainId }] }));
}

async function isOn(provider: EIP1193Provider, chain: Chain): Promise<boolean> {
  return Number(await fromWallet(provider.request({ method: 'eth_chainId' }))) === chain.chainId;
}

function isAnnounced(detail: unknown): detail is AnnouncedWallet {
  if (typeof detail !== 'object' || detail === null) return false;
  const { info, provider } = detail as { info?: Partial<AnnouncedWallet['info']>; provider?: { request?: unknown } };
  return (
    typeof info?.uuid === 'string' && typeof info.name === 'string' && typeof info.rdns === 'string' &&
    // EIP-6963 asks for a data URI; anything else would be a request to somewhere.
    typeof info.icon === 'string' && info.icon.startsWith('data:image/') && typeof provider?.request === 'function'
  );
}
