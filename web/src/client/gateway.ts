import { ProblemError, UnreachableError } from './errors';
import { chainShape, feedShape, listingShape, offerShape, sessionShape, subscriptionShape } from './messages';
import { list, object, optional, parseJson, text, type Shape } from './shape';
import type { Chain, Feed, FeedId, Hex, Listing, Session, Subscription } from './types';

/** No answer of the gateway takes longer than this, in milliseconds. */
const TIMEOUT_MS = 15_000;

/** Entries of one request, and most requests for one list. */
const PAGE = 200;
const MAX_PAGES = 10;

const problemShape = object({ code: text, detail: text, offer: optional(offerShape) });

/** The REST interface `/v1` of a gateway. Every call throws `ProblemError`, `UnreachableError` or `ShapeError`. */
export class Gateway {
  /** `origin` is such as `http://127.0.0.1:8080`; the page's own gateway where it is empty. */
  constructor(private readonly origin = '') {}

  /** Address of the websocket. */
  socketUrl(page: string): string {
    const url = new URL('/v1/ws', this.origin || page);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    return url.href;
  }

  chain(): Promise<Chain> {
    return this.read('/v1/chain', chainShape);
  }

  async feeds(query = ''): Promise<readonly Feed[]> {
    const shape = object({ feeds: list(feedShape), next: optional(text) });
    return this.pages('/v1/feeds', query === '' ? {} : { q: query }, shape, ({ feeds }) => feeds);
  }

  feed(id: FeedId): Promise<Feed> {
    return this.read(`/v1/feeds/${id}`, feedShape);
  }

  /** The exact canonical text of a listing, to be hashed, and what it says. */
  async listing(id: FeedId): Promise<{ readonly document: string; readonly listing: Listing }> {
    const document = await this.send(`/v1/feeds/${id}/listing`, {});
    return { document, listing: parseJson(document, listingShape, 'listing') };
  }

  async nonce(): Promise<string> {
    return (await this.read('/v1/auth/nonce', object({ nonce: text }), { method: 'POST' })).nonce;
  }

  session(message: string, signature: Hex): Promise<Session> {
    return this.read('/v1/auth/session', sessionShape, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ message, signature }),
    });
  }

  async subscriptions(token: string): Promise<readonly Subscription[]> {
    const shape = object({ subscriptions: list(subscriptionShape), next: optional(text) });
    const init = { headers: { authorization: `Bearer ${token}` } };
    return this.pages('/v1/me/subscriptions', {}, shape, ({ subscriptions }) => subscriptions, init);
  }

  /** A list to its end, or as far as a person would read it. */
  private async pages<T extends { readonly next?: string | undefined }, E>(
    path: string,
    query: Record<string, string>,
    shape: Shape<T>,
    entries: (page: T) => readonly E[],
    init: RequestInit = {},
  ): Promise<readonly E[]> {
    const all: E[] = [];
    let after: string | undefined;
    for (let count = 0; count < MAX_PAGES; count += 1) {
      const search = new URLSearchParams({ ...query, limit: String(PAGE), ...(after === undefined ? {} : { after }) });
      const page = await this.read(`${path}?${search}`, shape, init);
      all.push(...entries(page));
      after = page.next;
      if (after === undefined) break;
    }
    return all;
  }

  private async read<T>(path: string, shape: Shape<T>, init: RequestInit = {}): Promise<T> {
    return parseJson(await this.send(path, init), shape, 'answer');
  }

  private async send(path: string, init: RequestInit): Promise<string> {
    let response: Response;
    let body: string;
    try {
      response = await fetch(this.origin + path, { ...init, cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
      body = await response.text();
    } catch (cause) {
      throw new UnreachableError({ cause });
    }
    if (!response.ok) throw problem(response, body);
    return body;
  }
}

function problem(response: Response, body: string): ProblemError | UnreachableError {
  try {
    const { code, detail, offer } = parseJson(body, problemShape, 'problem');
    return new ProblemError(response.status, code, detail, offer ?? null);
  } catch (cause) {
    // A proxy before the gateway answers in its own words when the gateway is away.
    if (response.status >= 502) return new UnreachableError({ cause });
    return new ProblemError(response.status, 'unknown', `The gateway answered ${response.status} ${response.statusText}.`);
  }
}
