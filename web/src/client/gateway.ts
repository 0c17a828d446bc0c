import { ProblemError, UnreachableError } from './errors';
import { chainShape, feedShape, listingShape, offerShape, sessionShape, subscriptionShape } from './messages';
import { list, object, optional, parseJson, text, type Shape } from './shape';
import type { Chain, Feed, FeedId, Hex, Listing, Session, Subscription } from './types';

/** No answer of the gateway takes longer than this, in milliseconds. */
const TIMEOUT_MS = 15_000;

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
    const search = query === '' ? '' : `?${new URLSearchParams({ q: query })}`;
    return (await this.read(`/v1/feeds${search}`, object({ feeds: list(feedShape) }))).feeds;
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
    const shape = object({ subscriptions: list(subscriptionShape) });
    return (await this.read('/v1/me/subscriptions', shape, { headers: { authorization: `Bearer ${token}` } })).subscriptions;
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
