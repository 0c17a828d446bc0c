import { ShapeError } from './errors';
import { count, hex, list, nullable, number, object, oneOf, optional, parseJson, text, truth, wei, withDefault, type Shape } from './shape';
import {
  endReasons, errorCodes, feedStates, gapReasons, noticeStates,
  type Chain, type Detections, type Feed, type Listing, type Offer, type ServerMessage, type Session, type Subscription,
} from './types';

const address = hex(20);
const hash = hex(32);
const offerFields = { feed: hash, price: wei, listing: hash, chainId: count, ledger: address, minimum: count };

export const offerShape: Shape<Offer> = object(offerFields);

export const chainShape: Shape<Chain> = object({
  chainId: count,
  name: text,
  ledger: address,
  deploymentBlock: count,
  rpcUrl: nullable(text),
  head: nullable(object({ number: count, timestamp: count })),
  demoKeys: withDefault(list(hash), []),
});

export const feedShape: Shape<Feed> = object({
  id: hash,
  device: address,
  name: text,
  owner: address,
  price: wei,
  listing: hash,
  title: text,
  description: text,
  streams: list(text),
  state: oneOf(feedStates),
  pausedAt: nullable(count),
  pausedBy: nullable(address),
  online: truth,
});

export const listingShape: Shape<Listing> = object({
  description: text,
  device: address,
  name: text,
  outageSeconds: withDefault(nullable(count), null),
  privacy: text,
  streams: list(object({ eventsPerMinute: count, name: text })),
  title: text,
});

export const subscriptionShape: Shape<Subscription> = object({
  feed: hash,
  payer: address,
  beneficiary: address,
  price: wei,
  start: count,
  expiry: count,
  expiresAt: nullable(count),
  live: truth,
  final: truth,
});

export const sessionShape: Shape<Session> = object({ token: text, wallet: address, expiresAt: count });

const fraction: Shape<number> = (value, path) => Math.min(1, Math.max(0, number(value, path)));

const boxShape: Shape<readonly [number, number, number, number]> = (value, path) => {
  const [x, y, width, height, ...more] = list(fraction)(value, path);
  if (x === undefined || y === undefined || width === undefined || height === undefined || more.length > 0) {
    throw new ShapeError(`${path}: expected four numbers`);
  }
  return [x, y, width, height];
};

export const detectionsShape: Shape<Detections> = object({
  model: object({ name: text, sha256: hash }),
  picture: object({ width: count, height: count, seq: optional(count) }),
  objects: list(object({ track: optional(count), label: text, class: count, score: number, box: boxShape })),
});

const serverShapes: { readonly [T in ServerMessage['type']]: Shape<Omit<Extract<ServerMessage, { type: T }>, 'type'>> } = {
  welcome: object({ wallet: address }),
  watching: object({ feed: hash, device: address, streams: list(text), expiresAt: nullable(count) }),
  gap: object({ device: address, stream: text, boot: count, from: count, to: count, reason: oneOf(gapReasons) }),
  notice: object({ feed: hash, state: oneOf(noticeStates), expiresAt: nullable(count) }),
  ended: object({ feed: hash, reason: oneOf(endReasons) }),
  'payment-required': object(offerFields),
  error: object({ code: oneOf(errorCodes), message: text }),
  pong: object({}),
};
const serverTypes = Object.keys(serverShapes) as readonly ServerMessage['type'][];
const typed = object({ type: oneOf(serverTypes) });

/** Reads a text message of the gateway. */
export function parseServerMessage(source: string): ServerMessage {
  return parseJson(
    source,
    (value, path) => {
      const { type } = typed(value, path);
      return { type, ...serverShapes[type](value, path) } as ServerMessage;
    },
    'message',
  );
}
