import { createClient, hexToBigInt, http, type EIP1193Provider } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { sendTransaction } from 'viem/actions';
import type { Address, Chain, Hex } from './types';
import { DEMO_RDNS, type AnnouncedWallet } from './wallets';

const ICON =
  'data:image/svg+xml,%3Csvg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"%3E%3Crect width="32" height="32" rx="9" fill="%23b45309"/%3E%3Cpath d="M8 12h16v10H8zM8 12l10-4v4" fill="none" stroke="%23fff" stroke-width="2.200" stroke-linejoin="round"/%3E%3C/svg%3E';

/** Error of an in-page provider, with its EIP-1193 code. */
class ProviderError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

type Call = { readonly method: string; readonly params?: unknown };

/**
 * A wallet inside the page, over a key with play money that the gateway of a local chain hands to everyone. It approves
 * by itself. `avoid` are addresses to pass over: the owner of a feed watches it free, which shows nothing of paying.
 */
export function demoWallet(chain: Chain, rpcUrl: string, avoid: readonly Address[]): AnnouncedWallet {
  const accounts = chain.demoKeys.map((key) => privateKeyToAccount(key));
  const account = accounts.find(({ address }) => !avoid.includes(address.toLowerCase() as Address)) ?? accounts[0];
  if (!account) throw new ProviderError(4200, 'The gateway offers no demo keys.');
  const viemChain = {
    id: chain.chainId,
    name: chain.name,
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
  };
  const client = createClient({ account, chain: viemChain, transport: http(rpcUrl) });

  const answer = async ({ method, params }: Call): Promise<unknown> => {
    const [first] = Array.isArray(params) ? (params as readonly unknown[]) : [];
    switch (method) {
      case 'eth_requestAccounts':
      case 'eth_accounts':
        return [account.address.toLowerCase()];
      case 'eth_chainId':
        return `0x${chain.chainId.toString(16)}`;
      case 'wallet_switchEthereumChain':
        if (Number((first as { chainId: Hex }).chainId) === chain.chainId) return null;
        throw new ProviderError(4902, 'The demo wallet knows the local chain alone.');
      case 'personal_sign':
        return account.signMessage({ message: { raw: first as Hex } });
      case 'eth_sendTransaction': {
        const { to, data, value } = first as { to: Address; data?: Hex; value?: Hex };
        return sendTransaction(client, { to, ...(data && { data }), ...(value && { value: hexToBigInt(value) }) });
      }
      default:
        if (/^(wallet|metamask|personal)_/.test(method)) throw new ProviderError(4200, `The demo wallet has no ${method}.`);
        return client.request({ method, params } as Parameters<typeof client.request>[0]);
    }
  };
  // It never changes its account or chain, so there is nothing to listen to.
  const provider = { request: answer, on: () => undefined, removeListener: () => undefined } as unknown as EIP1193Provider;
  return { info: { uuid: crypto.randomUUID(), name: 'Demo wallet', icon: ICON, rdns: DEMO_RDNS }, provider };
}
