import type { Gateway } from '../client/gateway';
import type { Chain, Feed, FeedId } from '../client/types';
import { explain, type Words } from '../lib/words';

const REFRESH_MS = 8_000;
const SEARCH_DELAY_MS = 200;

/** The chain of this gateway and the feeds on sale. */
export class Catalog {
  chain = $state.raw<Chain | null>(null);
  feeds = $state.raw<readonly Feed[] | null>(null);
  /** Why the list may be old. */
  trouble = $state.raw<Words | null>(null);
  private query = '';
  private searching: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly gateway: Gateway) {}

  /** Starts to keep the list fresh; returns how to stop. */
  start(): () => void {
    void this.refresh();
    const timer = setInterval(() => void this.refresh(), REFRESH_MS);
    return () => clearInterval(timer);
  }

  /** Shows the feeds that match some words, once the typing rests. */
  search(query: string): void {
    this.query = query.trim();
    clearTimeout(this.searching);
    this.searching = setTimeout(() => void this.refresh(), SEARCH_DELAY_MS);
  }

  async refresh(): Promise<void> {
    const { query } = this;
    try {
      this.chain ??= await this.gateway.chain();
      const feeds = await this.gateway.feeds(query);
      if (query === this.query) this.feeds = feeds;
      this.trouble = null;
    } catch (error) {
      this.trouble = explain(error);
    }
  }

  /** A feed of the list. */
  find(id: FeedId): Feed | null {
    return this.feeds?.find((feed) => feed.id === id) ?? null;
  }
}
