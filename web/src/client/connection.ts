import { decodeEnvelope } from './envelope';
import { EnvelopeError, ShapeError, SignatureError } from './errors';
import { parseServerMessage } from './messages';
import { afterClose, retryDelay } from './retry';
import { openSocket, send, SocketClosed } from './socket';
import { verifyEvent, type VerifiedEvent } from './typedData';
import type { Address, Domain, FeedId, Position, ServerMessage } from './types';

/** A ping this often tells the gateway that we are here, in milliseconds. */
const PING_MS = 15_000;
/** A gateway silent for this long is taken for gone, in milliseconds. */
const SILENCE_MS = 40_000;
/** A payment is on the chain before the gateway has read its block: ask again this often, in milliseconds. */
const PAYMENT_RETRY_MS = 400;
/** Most messages that may wait for verification; pictures beyond that are dropped and counted. */
const MAX_WAITING = 64;

/** Where a connection stands. */
export type ConnectionState = 'connecting' | 'ready' | 'waiting' | 'signed-out' | 'stopped';

/** What a connection tells. */
export type Update =
  | { readonly type: 'state'; readonly state: ConnectionState }
  | { readonly type: 'message'; readonly message: ServerMessage }
  | { readonly type: 'event'; readonly event: VerifiedEvent }
  /** An event that was dropped since its signature is not its device's, or since it is no envelope at all. */
  | { readonly type: 'refused'; readonly error: EnvelopeError | SignatureError }
  /** An event that was dropped unseen since this machine is too slow. */
  | { readonly type: 'dropped' };

export interface ConnectionOptions {
  readonly url: string;
  readonly token: string;
  readonly domain: Domain;
  readonly tell: (update: Update) => void;
}

interface Watch {
  readonly streams: readonly string[] | null;
  /** Until when the feed is asked for again rather than told to be unpaid, in Unix milliseconds. */
  patience: number;
  device: Address | null;
  readonly since: Record<string, Position>;
}

/**
 * A websocket that stays: it signs in, watches, verifies each event in order, and comes back with `since` after a loss.
 *
 * `connecting → ready → (closed) → waiting → connecting …`, or for good `signed-out` and `stopped`.
 */
export class Connection {
  private readonly watches = new Map<FeedId, Watch>();
  private readonly ended = new AbortController();
  private socket: WebSocket | null = null;
  private attempt = 0;
  private waiting = 0;
  private heard = 0;
  private order: Promise<void> = Promise.resolve();
  private wake: (() => void) | null = null;

  constructor(private readonly options: ConnectionOptions) {
    void this.run();
  }

  /** Watches a feed, now and after each reconnection. `patienceMs` bridges the time until the gateway has seen a payment. */
  watch(feed: FeedId, streams: readonly string[] | null = null, patienceMs = 0): void {
    const since = this.watches.get(feed)?.since ?? {};
    this.watches.set(feed, { streams, patience: Date.now() + patienceMs, device: null, since });
    this.ask(feed);
  }

  /** No longer watches a feed. */
  unwatch(feed: FeedId): void {
    if (this.watches.delete(feed) && this.socket) send(this.socket, { type: 'unwatch', feed });
  }

  /** Tries again at once, when the browser says that the network is back. */
  retryNow(): void {
    this.wake?.();
  }

  /** Closes for good. */
  close(): void {
    this.ended.abort();
    this.socket?.close(1000);
    this.wake?.();
  }

  private async run(): Promise<void> {
    while (!this.ended.signal.aborted) {
      this.tellState('connecting');
      const next = afterClose(await this.once());
      if (this.ended.signal.aborted) return;
      if (next !== 'retry') return this.tellState(next === 'sign-in' ? 'signed-out' : 'stopped');
      this.tellState('waiting');
      await this.pause(retryDelay(this.attempt, Math.random()));
      this.attempt += 1;
    }
  }

  /** One socket from opening to closing; the code with which it closed. */
  private async once(): Promise<number> {
    let socket: WebSocket;
    try {
      ({ socket } = await openSocket(this.options.url, this.options.token));
    } catch (error) {
      return error instanceof SocketClosed ? error.code : 1006;
    }
    if (this.ended.signal.aborted) socket.close(1000);
    return new Promise((resolve) => {
      this.socket = socket;
      this.heard = Date.now();
      const ping = setInterval(() => this.ping(socket), PING_MS);
      socket.addEventListener('message', ({ data }: MessageEvent<unknown>) => this.receive(data));
      socket.addEventListener('close', ({ code }) => {
        clearInterval(ping);
        this.socket = null;
        resolve(code);
      });
      this.tellState('ready');
      for (const feed of this.watches.keys()) this.ask(feed);
    });
  }

  private ping(socket: WebSocket): void {
    if (Date.now() - this.heard > SILENCE_MS) socket.close(4003);
    else send(socket, { type: 'ping' });
  }

  private ask(feed: FeedId): void {
    const watch = this.watches.get(feed);
    if (!watch || !this.socket) return;
    send(this.socket, {
      type: 'watch',
      feed,
      ...(watch.streams && { streams: watch.streams }),
      ...(Object.keys(watch.since).length > 0 && { since: watch.since }),
    });
  }

  private receive(data: unknown): void {
    this.heard = Date.now();
    this.attempt = 0;
    if (data instanceof ArrayBuffer && this.waiting >= MAX_WAITING) return this.options.tell({ type: 'dropped' });
    this.waiting += 1;
    // Verification is asynchronous; the chain keeps events and messages in the order in which they came.
    this.order = this.order.then(async () => {
      if (typeof data === 'string') this.hear(data);
      else if (data instanceof ArrayBuffer) await this.see(new Uint8Array(data));
      this.waiting -= 1;
    });
  }

  private async see(bytes: Uint8Array): Promise<void> {
    try {
      const event = await verifyEvent(decodeEnvelope(bytes), this.options.domain);
      if (this.ended.signal.aborted) return;
      const watched = [...this.watches.values()].flatMap(({ device }) => device ?? []);
      // Well signed, but by a device that nobody asked for.
      if (watched[0] && !watched.includes(event.device)) throw new SignatureError(watched[0], event.device);
      if (this.isNew(event)) this.options.tell({ type: 'event', event });
    } catch (error) {
      if (!(error instanceof EnvelopeError || error instanceof SignatureError)) throw error;
      this.options.tell({ type: 'refused', error });
    }
  }

  /** Whether an event is of a watched device and later than all before it; notes where its stream stands. */
  private isNew(event: VerifiedEvent): boolean {
    let fresh = false;
    for (const watch of this.watches.values()) {
      if (watch.device !== event.device) continue;
      const last = watch.since[event.stream];
      if (last && (event.boot < last.boot || (event.boot === last.boot && event.seq <= last.seq))) continue;
      watch.since[event.stream] = { boot: event.boot, seq: event.seq };
      fresh = true;
    }
    return fresh;
  }

  private hear(data: string): void {
    let message: ServerMessage;
    try {
      message = parseServerMessage(data);
    } catch (error) {
      // A newer gateway may say things that this client does not know.
      if (error instanceof ShapeError) return;
      throw error;
    }
    if (message.type === 'watching') {
      const watch = this.watches.get(message.feed);
      if (watch) Object.assign(watch, { device: message.device, patience: 0 });
    } else if (message.type === 'payment-required' || (message.type === 'notice' && message.state === 'paused')) {
      // Who has paid hears `watching` first. What was paid right behind a pause may not be read yet, nor the resume before it.
      const { feed } = message;
      if (Date.now() < (this.watches.get(feed)?.patience ?? 0)) {
        setTimeout(() => this.ask(feed), PAYMENT_RETRY_MS);
        return;
      }
      if (message.type === 'payment-required') this.watches.delete(feed);
    } else if (message.type === 'ended') {
      this.watches.delete(message.feed);
    }
    this.options.tell({ type: 'message', message });
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private tellState(state: ConnectionState): void {
    this.options.tell({ type: 'state', state });
  }
}
