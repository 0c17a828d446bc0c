import type { EIP1193Provider } from 'viem';
import { WalletError } from '../client/errors';
import type { Payer } from '../client/ledger';
import type { Address, Chain } from '../client/types';
import { DEMO_RDNS, discoverWallets, firstAccount, permittedAccount, requestAccount, type AnnouncedWallet } from '../client/wallets';

const REMEMBERED = 'ashya.wallet';

/** The wallets of this browser and the one that is connected. */
export class WalletStore {
  announced = $state.raw<readonly AnnouncedWallet[]>([]);
  connected = $state.raw<(Payer & { readonly wallet: AnnouncedWallet }) | null>(null);
  private unlisten: (() => void) | null = null;

  constructor(private readonly storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>) {}

  /** Starts to listen for wallets; reconnects the one of before if it still permits that. Returns how to stop. */
  start(): () => void {
    return discoverWallets((wallet) => {
      if (this.announced.some(({ info }) => info.uuid === wallet.info.uuid)) return;
      this.announced = [...this.announced, wallet];
      if (!this.connected && this.remembered === wallet.info.rdns) void this.restore(wallet);
    });
  }

  get remembered(): string | null {
    return this.storage.getItem(REMEMBERED);
  }

  get isDemo(): boolean {
    return this.connected?.wallet.info.rdns === DEMO_RDNS;
  }

  /** Asks a wallet for its account and keeps it. */
  async connect(wallet: AnnouncedWallet): Promise<Payer> {
    return this.adopt(wallet, await requestAccount(wallet.provider));
  }

  /** Connects the wallet inside the page, loading its code first. `avoid` are addresses that would watch free. */
  async connectDemo(chain: Chain, avoid: readonly Address[]): Promise<Payer> {
    if (chain.rpcUrl === null) throw new WalletError('unsupported', 'The gateway offers no RPC address.');
    const { demoWallet } = await import('../client/demoWallet');
    return this.connect(demoWallet(chain, chain.rpcUrl, avoid));
  }

  disconnect(): void {
    this.unlisten?.();
    this.unlisten = null;
    this.connected = null;
    this.storage.removeItem(REMEMBERED);
  }

  private async restore(wallet: AnnouncedWallet): Promise<void> {
    const address = await permittedAccount(wallet.provider).catch(() => null);
    if (address && !this.connected) this.adopt(wallet, address);
  }

  private adopt(wallet: AnnouncedWallet, address: Address): Payer {
    const { provider } = wallet;
    this.unlisten?.();
    this.unlisten = this.listen(provider);
    this.connected = { wallet, address, provider };
    this.storage.setItem(REMEMBERED, wallet.info.rdns);
    return this.connected;
  }

  private listen(provider: EIP1193Provider): () => void {
    const onAccounts = (accounts: readonly string[]): void => {
      const address = firstAccount(accounts);
      if (!address) this.disconnect();
      else if (this.connected && this.connected.address !== address) this.connected = { ...this.connected, address };
    };
    // Another chain needs nothing here: before each payment the wallet is brought to the ledger's chain.
    provider.on('accountsChanged', onAccounts);
    return () => provider.removeListener('accountsChanged', onAccounts);
  }
}
