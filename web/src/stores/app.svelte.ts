import { createContext } from 'svelte';
import { LedgerRefused, ProblemError, UnreachableError } from '../client/errors';
import { Gateway } from '../client/gateway';
import { Ledger, type Payer } from '../client/ledger';
import { SessionStore, signIn } from '../client/session';
import type { Chain, Session } from '../client/types';
import { DEMO_RDNS, ensureChain } from '../client/wallets';
import { Catalog } from './catalog.svelte';
import type { Stage } from './task.svelte';
import { Ticker } from './ticker.svelte';
import { WalletStore } from './wallet.svelte';

/** What a payment must leave for its gas, in wei: 150,000 gas at 2 gwei. */
const GAS_ALLOWANCE = 300_000_000_000_000n;
const DEFAULT_SECONDS = 600;

/** Everything that outlives a page of the app. */
export class App {
  readonly gateway = new Gateway();
  readonly ticker = new Ticker();
  readonly catalog = new Catalog(this.gateway);
  readonly wallet = new WalletStore(sessionStorage);
  /** Seconds to pay for, as chosen last. */
  seconds = $state(DEFAULT_SECONDS);
  /** Whether the list of wallets is open. */
  choosing = $state(false);
  /** Rises when a session begins or ends. */
  private sessions = $state(0);

  /** Starts all that runs; returns how to stop. */
  start(): () => void {
    const stops = [this.ticker.start(), this.catalog.start(), this.wallet.start()];
    return () => stops.forEach((stop) => stop());
  }

  /** Whether the gateway offers play money, which only a local chain's does. */
  get offersDemo(): boolean {
    const { chain } = this.catalog;
    return chain !== null && chain.demoKeys.length > 0 && chain.rpcUrl !== null;
  }

  /** The ledger, as soon as it can be read. */
  ledger = $derived.by((): Ledger | null => {
    const { chain } = this.catalog;
    const provider = this.wallet.connected?.provider ?? null;
    return chain && (chain.rpcUrl !== null || provider) ? new Ledger(chain, provider) : null;
  });

  /** The session of the connected wallet. */
  session = $derived.by((): Session | null => {
    const { chain } = this.catalog;
    const address = this.wallet.connected?.address;
    return this.sessions >= 0 && chain && address ? this.storeOf(chain).load(address) : null;
  });

  /** The wallet that pays: the connected one, or the demo wallet where one is offered. */
  async payer(tell: (stage: Stage) => void): Promise<{ readonly payer: Payer; readonly ledger: Ledger; readonly chain: Chain }> {
    const { chain } = this.catalog;
    if (!chain) throw new UnreachableError();
    tell('connecting');
    const payer = this.wallet.connected ?? (await this.connectDemo());
    tell('switching');
    await ensureChain(payer.provider, chain);
    return { payer, ledger: new Ledger(chain, payer.provider), chain };
  }

  async connectDemo(): Promise<Payer> {
    const { chain, feeds } = this.catalog;
    if (!chain) throw new UnreachableError();
    return this.wallet.connectDemo(chain, feeds?.map(({ owner }) => owner) ?? []);
  }

  /** Connects the demo wallet again after a reload, which needs no one's leave. */
  async restoreDemo(): Promise<void> {
    if (this.offersDemo && !this.wallet.connected && this.wallet.remembered === DEMO_RDNS) await this.connectDemo();
  }

  /** A session of a wallet, signing in where there is none. */
  async signedIn(payer: Payer, chain: Chain, tell: (stage: Stage) => void): Promise<Session> {
    const store = this.storeOf(chain);
    const kept = store.load(payer.address);
    if (kept) return kept;
    tell('signing-in');
    const session = await signIn(this.gateway, payer.provider, payer.address, chain, location);
    store.save(session);
    this.sessions += 1;
    return session;
  }

  /** Forgets a session that the gateway no longer takes. */
  forgetSession(): void {
    const { chain } = this.catalog;
    const address = this.wallet.connected?.address;
    if (chain && address) this.storeOf(chain).forget(address);
    this.sessions += 1;
  }

  /** Forgets the session when an error says that it is no longer good. */
  noteError(error: unknown): void {
    if (error instanceof ProblemError && error.status === 401) this.forgetSession();
  }

  /** Throws where a wallet holds too little, before it is asked to sign. */
  async checkFunds(ledger: Ledger, payer: Payer, total: bigint): Promise<void> {
    const balance = await ledger.balance(payer.address);
    if (balance < total + GAS_ALLOWANCE) throw new LedgerRefused('InsufficientFunds', [balance]);
  }

  private storeOf(chain: Chain): SessionStore {
    return new SessionStore(sessionStorage, chain);
  }
}

/** The app, for all components below `App.svelte`. */
export const [useApp, provideApp] = createContext<App>();
