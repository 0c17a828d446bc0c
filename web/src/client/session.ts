import { stringToHex, type EIP1193Provider } from 'viem';
import { createSiweMessage } from 'viem/siwe';
import { getAddress } from 'viem/utils';
import type { Gateway } from './gateway';
import { sessionShape } from './messages';
import { parseJson } from './shape';
import type { Address, Domain, Session } from './types';
import { fromWallet } from './wallets';

/** A session that ends within this time is not worth using, in seconds. */
const MARGIN_SECONDS = 30;
const SIGN_IN_MINUTES = 10;

/** Signs in with Ethereum (EIP-4361): the wallet signs a text of this page with the gateway's nonce. */
export async function signIn(
  gateway: Gateway,
  provider: EIP1193Provider,
  wallet: Address,
  domain: Domain,
  page: Pick<Location, 'host' | 'origin'>,
): Promise<Session> {
  const issuedAt = new Date();
  const message = createSiweMessage({
    domain: page.host,
    uri: page.origin,
    address: getAddress(wallet),
    statement: 'Sign in to Ashya',
    version: '1',
    chainId: domain.chainId,
    nonce: await gateway.nonce(),
    issuedAt,
    expirationTime: new Date(issuedAt.getTime() + SIGN_IN_MINUTES * 60_000),
  });
  const signature = await fromWallet(provider.request({ method: 'personal_sign', params: [stringToHex(message), wallet] }));
  return gateway.session(message, signature);
}

/** Keeps sessions for as long as the tab lives, a wallet's apart from another's. */
export class SessionStore {
  constructor(
    private readonly storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>,
    private readonly domain: Domain,
  ) {}

  load(wallet: Address): Session | null {
    const kept = this.storage.getItem(this.key(wallet));
    if (kept === null) return null;
    try {
      const session = parseJson(kept, sessionShape, 'session');
      if (session.expiresAt - MARGIN_SECONDS > Date.now() / 1000) return session;
    } catch {
      // What cannot be read is as good as nothing.
    }
    this.forget(wallet);
    return null;
  }

  save(session: Session): void {
    this.storage.setItem(this.key(session.wallet), JSON.stringify(session));
  }

  forget(wallet: Address): void {
    this.storage.removeItem(this.key(wallet));
  }

  private key(wallet: Address): string {
    return `ashya.session.${this.domain.chainId}.${this.domain.ledger}.${wallet}`;
  }
}
