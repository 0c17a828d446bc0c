import { LedgerRefused } from '../client/errors';
import { secondsLeft, standsStill, type FeedClock } from '../client/feedClock';
import { listingHash } from '../client/listing';
import type { Agreement, Ledger, Payer } from '../client/ledger';
import type { Address, Chain, Feed, FeedId, Listing, Session } from '../client/types';
import { formatEth, totalOf } from '../lib/money';
import { formatDuration } from '../lib/time';
import { explain, type Words } from '../lib/words';
import type { App } from './app.svelte';
import { LiveFeed } from './live.svelte';
import { Task } from './task.svelte';

/** The gateway may need this long to read the block with a payment, in milliseconds. */
const PATIENCE_MS = 30_000;

/** The newest block may be this old, in milliseconds: a slot of Ethereum and a little more. */
const BLOCK_MS = 15_000;
const RETRY_MS = 1_000;

/** Whether the listing that was read is the one on the ledger. */
export type Check = 'checking' | 'same' | 'different' | 'missing';

/** One feed: its listing, what the wallet has paid for, and the live view. */
export class FeedPage {
  feed = $state.raw<Feed | null>(null);
  trouble = $state.raw<Words | null>(null);
  listing = $state.raw<Listing | null>(null);
  check = $state<Check>('checking');
  agreement = $state.raw<Agreement | null>(null);
  /** The wallet whose agreement was read last; until then nobody can tell whether it has paid already. */
  private readFor = $state<Address | null>(null);
  clock = $state.raw<FeedClock | null>(null);
  live = $state.raw<LiveFeed | null>(null);
  /** What the last cancellation gave back, in wei. */
  refund = $state<bigint | null>(null);
  readonly task = new Task();
  private checked: string | null = null;

  constructor(
    private readonly app: App,
    readonly id: FeedId,
  ) {
    this.feed = app.catalog.find(id);
  }

  /** Seconds that the wallet has paid for and not used. */
  left = $derived.by((): number =>
    this.agreement && this.clock ? secondsLeft(this.clock, this.agreement.expiry, this.app.ticker.now) : 0,
  );

  /** What a cancellation would give back now, in wei. */
  refundable = $derived.by((): bigint =>
    this.agreement && this.left > 0 ? totalOf(this.agreement.price, Math.floor(this.left)) : 0n,
  );

  /** Whether the clock stands still, so that no paid time passes. */
  still = $derived.by((): boolean => this.clock !== null && standsStill(this.clock, this.app.ticker.now));

  /** Whether it is known what the connected wallet has paid; where none is connected there is nothing to know. */
  settled = $derived.by((): boolean => {
    const address = this.app.wallet.connected?.address;
    return address === undefined || address === this.readFor;
  });

  /** Whether the wallet has time left. */
  paid = $derived.by((): boolean => this.settled && this.left > 0);

  owns = $derived.by((): boolean => this.feed !== null && this.app.wallet.connected?.address === this.feed.owner);

  /** Reads the feed anew and checks its listing. */
  async load(): Promise<void> {
    try {
      this.feed = await this.app.gateway.feed(this.id);
      this.trouble = null;
      await this.checkListing(this.feed);
    } catch (error) {
      this.trouble = explain(error);
    }
  }

  /** Reads what the connected wallet has paid for. */
  async readAgreement(): Promise<void> {
    const { ledger } = this.app;
    const address = this.app.wallet.connected?.address;
    if (!ledger || !address) {
      this.agreement = null;
      return;
    }
    try {
      const [agreement, clock] = await Promise.all([ledger.agreement(this.id, address, address), ledger.clock(this.id)]);
      if (this.app.wallet.connected?.address !== address) return;
      this.clock = clock;
      this.agreement = agreement;
      this.readFor = address;
    } catch (error) {
      this.trouble = explain(error);
    }
  }

  /** Pays for the chosen time and watches. */
  pay(): Promise<void> {
    return this.spend(async ({ payer, ledger }, feed, tell) => {
      this.refund = null;
      // A wallet that was connected just now may have paid before; the ledger would refuse a second time.
      await this.readAgreement();
      if (this.paid) return { tone: 'calm', text: 'This wallet has time left already. Nothing was paid.' };
      const { seconds } = this.app;
      const total = totalOf(feed.price, seconds);
      await this.app.checkFunds(ledger, payer, total);
      const terms = { price: feed.price, listing: feed.listing, seconds };
      await this.onceEnded(() => ledger.subscribe(payer, feed.id, terms, tell));
      return { tone: 'good', text: `Paid ${formatEth(total, 'exact')} for ${formatDuration(seconds)}.` };
    });
  }

  /** Adds the chosen time to what is left. */
  extend(): Promise<void> {
    return this.spend(async ({ payer, ledger }, feed, tell) => {
      const { seconds } = this.app;
      const price = this.agreement?.price ?? feed.price;
      const total = totalOf(price, seconds);
      await this.app.checkFunds(ledger, payer, total);
      await ledger.extend(payer, feed.id, payer.address, { price, seconds }, tell);
      return { tone: 'good', text: `Paid ${formatEth(total, 'exact')} for ${formatDuration(seconds)} more.` };
    });
  }

  /** Ends the subscription and takes back what is not used. */
  cancel(): Promise<void> {
    return this.task.run(async (tell) => {
      try {
        const { payer, ledger } = await this.app.payer(tell);
        const { refund } = await ledger.cancel(payer, this.id, payer.address, tell);
        this.refund = refund;
        this.agreement = null;
        return { tone: 'good', text: 'Cancelled. What you did not use is back in your wallet.' };
      } finally {
        await this.readAgreement();
      }
    });
  }

  /** Signs in where needed and watches what is paid already, or one's own feed. */
  watch(): Promise<void> {
    return this.task.run(async (tell) => {
      const { payer, chain } = await this.app.payer(tell);
      this.open(await this.app.signedIn(payer, chain, tell), chain, 0);
      return null;
    });
  }

  /** Watches without asking for anything, where the wallet is signed in. */
  resume(): void {
    const { session } = this.app;
    const { chain } = this.app.catalog;
    if (session && chain && !this.live && !this.task.busy) this.open(session, chain, 0);
  }

  /** Stops watching. */
  close(): void {
    this.live?.close();
    this.live = null;
  }

  /**
   * Subscribes, and waits for the chain where it lags: its newest block may be older than the end of the last
   * subscription, and the ledger then takes that one for live.
   */
  private async onceEnded(subscribe: () => Promise<unknown>): Promise<void> {
    const deadline = Date.now() + BLOCK_MS;
    for (;;) {
      try {
        await subscribe();
        return;
      } catch (error) {
        const lagging = error instanceof LedgerRefused && error.refusal === 'SubscriptionLive' && this.left === 0;
        if (!lagging || Date.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }

  private spend(
    action: (
      means: { readonly payer: Payer; readonly ledger: Ledger },
      feed: Feed,
      tell: Parameters<Parameters<Task['run']>[0]>[0],
    ) => Promise<Words>,
  ): Promise<void> {
    return this.task.run(async (tell) => {
      const { feed } = this;
      if (!feed) return null;
      try {
        const { payer, ledger, chain } = await this.app.payer(tell);
        const session = await this.app.signedIn(payer, chain, tell);
        const words = await action({ payer, ledger }, feed, tell);
        if (this.live?.phase !== 'live') this.open(session, chain, PATIENCE_MS);
        return words;
      } catch (error) {
        this.app.noteError(error);
        // The terms may have changed under the buyer.
        void this.load();
        throw error;
      } finally {
        void this.readAgreement();
      }
    });
  }

  private open(session: Session, chain: Chain, patienceMs: number): void {
    this.close();
    const url = this.app.gateway.socketUrl(location.href);
    this.live = new LiveFeed(url, session, chain, this.id, patienceMs, () => {
      if (this.live?.signedOut) this.app.forgetSession();
      void this.readAgreement();
    });
  }

  /** Hashes the listing's text here in the browser and compares it with the ledger itself, where it can be read. */
  private async checkListing(feed: Feed): Promise<void> {
    const expected = (await this.app.ledger?.terms(feed.id).catch(() => null))?.listing ?? feed.listing;
    if (this.checked === expected) return;
    try {
      const { document, listing } = await this.app.gateway.listing(feed.id);
      this.listing = listing;
      this.check = listingHash(document) === expected && feed.listing === expected ? 'same' : 'different';
      this.checked = this.check === 'same' ? expected : null;
    } catch {
      this.check = 'missing';
    }
  }
}
