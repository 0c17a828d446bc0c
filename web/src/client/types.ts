/** The words of the wire, as `protocol/src/{rest,ws,offer,listing,detections}.rs` have them. */

/** Bytes as 0x-hex. */
export type Hex = `0x${string}`;
/** A device's or wallet's Ethereum address, lower case. */
export type Address = Hex;
/** Identifies a feed: 32 bytes. */
export type FeedId = Hex;

/** Where an event stands in its stream. */
export interface Position {
  readonly boot: number;
  readonly seq: number;
}

/** The EIP-712 domain: one ledger on one chain. */
export interface Domain {
  readonly chainId: number;
  readonly ledger: Address;
}

/** Answer to `GET /v1/chain`. */
export interface Chain extends Domain {
  readonly name: string;
  readonly deploymentBlock: number;
  /** JSON-RPC address for browsers, where the operator offers one. */
  readonly rpcUrl: string | null;
  readonly head: { readonly number: number; readonly timestamp: number } | null;
  /** Private keys with play money; on chain 31337 alone. */
  readonly demoKeys: readonly Hex[];
}

export const feedStates = ['open', 'paused', 'retired'] as const;
export type FeedState = (typeof feedStates)[number];

/** A feed as the gateway shows it. */
export interface Feed {
  readonly id: FeedId;
  readonly device: Address;
  readonly name: string;
  readonly owner: Address;
  /** Wei per second. */
  readonly price: bigint;
  /** Hash of the listing on the ledger. */
  readonly listing: Hex;
  readonly title: string;
  readonly description: string;
  /** Empty where the gateway shows no listing; then the feed is not sold there. */
  readonly streams: readonly string[];
  readonly state: FeedState;
  /** Unix seconds at which the running pause began; `null` while there is none. */
  readonly pausedAt: number | null;
  /** Who began the running pause; `null` while there is none. */
  readonly pausedBy: Address | null;
  readonly online: boolean;
}

/** The owner's document that says what a feed holds. */
export interface Listing {
  readonly description: string;
  readonly device: Address;
  readonly name: string;
  /** Seconds of silence after which nobody is charged, where the owner promises it. */
  readonly outageSeconds: number | null;
  readonly privacy: string;
  readonly streams: readonly { readonly eventsPerMinute: number; readonly name: string }[];
  readonly title: string;
}

/** A wallet's right to one feed by one payer. Times are feed time but for `expiresAt` (Unix seconds). */
export interface Subscription {
  readonly feed: FeedId;
  readonly payer: Address;
  readonly beneficiary: Address;
  readonly price: bigint;
  readonly start: number;
  readonly expiry: number;
  /** `null` while the feed's clock stands still. */
  readonly expiresAt: number | null;
  readonly live: boolean;
  /** Whether the chain will not take the last payment or cancel back any more. */
  readonly final: boolean;
}

/** Answer to `POST /v1/auth/session`. */
export interface Session {
  readonly token: string;
  readonly wallet: Address;
  readonly expiresAt: number;
}

/** All that is needed in order to pay for a feed, which is open. */
export interface Offer extends Domain {
  readonly feed: FeedId;
  readonly price: bigint;
  readonly listing: Hex;
  /** Shortest subscription in seconds. */
  readonly minimum: number;
}

/** One object in a picture; the box is `[x, y, width, height]` in fractions of it. */
export interface DetectedObject {
  readonly track?: number | undefined;
  readonly label: string;
  readonly class: number;
  readonly score: number;
  readonly box: readonly [number, number, number, number];
}

/** The payload of a `detections` event. */
export interface Detections {
  readonly model: { readonly name: string; readonly sha256: Hex };
  /** `seq` numbers the `frames` event of the same boot that shows the picture. */
  readonly picture: { readonly width: number; readonly height: number; readonly seq?: number | undefined };
  readonly objects: readonly DetectedObject[];
}

export const gapReasons = ['slow', 'lost', 'gone'] as const;
export type GapReason = (typeof gapReasons)[number];
export const noticeStates = ['expiring', 'paused', 'resumed', 'offline', 'online'] as const;
export type NoticeState = (typeof noticeStates)[number];
export const endReasons = ['expired', 'cancelled', 'retired', 'reorg', 'revoked'] as const;
export type EndReason = (typeof endReasons)[number];
export const errorCodes = [
  'malformed', 'unauthorized', 'unknown-feed', 'listing-missing', 'unknown-stream', 'too-many-watches', 'chain-unavailable',
] as const;
export type ErrorCode = (typeof errorCodes)[number];

/** What this client says on the websocket. */
export type ClientMessage =
  | { readonly type: 'auth'; readonly token: string }
  | {
      readonly type: 'watch';
      readonly feed: FeedId;
      readonly streams?: readonly string[];
      readonly since?: Readonly<Record<string, Position>>;
    }
  | { readonly type: 'unwatch'; readonly feed: FeedId }
  | { readonly type: 'ping' };

export interface Watching {
  readonly type: 'watching';
  readonly feed: FeedId;
  readonly device: Address;
  readonly streams: readonly string[];
  /** Unix seconds; `null` while paused, and for the owner. */
  readonly expiresAt: number | null;
}

export interface Gap {
  readonly type: 'gap';
  readonly device: Address;
  readonly stream: string;
  readonly boot: number;
  readonly from: number;
  readonly to: number;
  readonly reason: GapReason;
}

export interface Notice {
  readonly type: 'notice';
  readonly feed: FeedId;
  readonly state: NoticeState;
  readonly expiresAt: number | null;
}

/** What the gateway says in text; events come as binary envelopes. */
export type ServerMessage =
  | { readonly type: 'welcome'; readonly wallet: Address }
  | Watching
  | Gap
  | Notice
  | { readonly type: 'ended'; readonly feed: FeedId; readonly reason: EndReason }
  | ({ readonly type: 'payment-required' } & Offer)
  | { readonly type: 'error'; readonly code: ErrorCode; readonly message: string }
  | { readonly type: 'pong' };
