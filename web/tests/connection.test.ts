import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { hexToBytes } from 'viem';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket as NodeWebSocket, WebSocketServer } from 'ws';
import { Connection, type Update } from '../src/client/connection';
import { afterClose, retryDelay } from '../src/client/retry';
import { envelopes } from './vectors';

// Node 20 has no WebSocket of its own.
Object.assign(globalThis, { WebSocket: globalThis.WebSocket ?? NodeWebSocket });

const FEED = `0x${'01'.repeat(32)}` as const;
const [golden, other] = envelopes.envelopes;
if (!golden || !other) throw new Error('no vectors');
const device = golden.event.device;
const good = hexToBytes(golden.envelope);
const watching = JSON.stringify({ type: 'watching', feed: FEED, device, streams: ['detections'], expiresAt: 2_000_000_000 });
const unpaid = JSON.stringify({
  type: 'payment-required', feed: FEED, price: '5', listing: FEED, chainId: 31_337, ledger: envelopes.domain.ledger, minimum: 60,
});

describe('retry', () => {
  it('doubles, stays capped, and spreads out', () => {
    expect([0, 1, 2, 3].map((attempt) => retryDelay(attempt, 1))).toEqual([500, 1000, 2000, 4000]);
    expect(retryDelay(0, 0)).toBe(250);
    expect(retryDelay(1_000, 1)).toBe(20_000);
  });

  it.each([
    [1000, 'retry'], [1001, 'retry'], [1006, 'retry'], [4000, 'stop'], [4001, 'sign-in'], [4002, 'retry'], [4003, 'retry'],
  ] as const)('after %d: %s', (code, next) => expect(afterClose(code)).toBe(next));
});

describe('connection', () => {
  let server: WebSocketServer;
  let connection: Connection | null = null;
  const heard: { readonly type: string; readonly since?: unknown; readonly token?: string }[] = [];
  const told: Update[] = [];
  let answer: (socket: NodeWebSocket, message: { readonly type: string }) => void;

  beforeEach(async () => {
    heard.length = 0;
    told.length = 0;
    answer = (socket, { type }) => {
      if (type === 'auth') socket.send(JSON.stringify({ type: 'welcome', wallet: device }));
      if (type === 'watch') socket.send(watching);
    };
    server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    server.on('connection', (socket) =>
      socket.on('message', (data: Buffer) => {
        const message = JSON.parse(data.toString()) as (typeof heard)[number];
        heard.push(message);
        answer(socket, message);
      }),
    );
  });

  afterEach(() => {
    connection?.close();
    for (const client of server.clients) client.terminate();
    server.close();
  });

  function connect(): Connection {
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1/ws`;
    connection = new Connection({ url, token: 'secret', domain: envelopes.domain, tell: (update) => told.push(update) });
    return connection;
  }

  const until = async (holds: () => boolean): Promise<void> => {
    const deadline = Date.now() + 4_000;
    while (!holds()) {
      if (Date.now() > deadline) throw new Error(`waited in vain; told ${JSON.stringify(told)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const events = () => told.filter((update) => update.type === 'event');
  const states = () => told.flatMap((update) => (update.type === 'state' ? [update.state] : []));

  it('signs in first, then watches, and tells a verified event once', async () => {
    connect().watch(FEED);
    await until(() => heard.length === 2);
    expect(heard.map(({ type }) => type)).toEqual(['auth', 'watch']);
    expect(heard[0]?.token).toBe('secret');
    for (const client of server.clients) for (const bytes of [good, good]) client.send(bytes);
    for (const client of server.clients) client.send(JSON.stringify({ type: 'ended', feed: FEED, reason: 'expired' }));
    await until(() => told.some((update) => update.type === 'message' && update.message.type === 'ended'));
    expect(events().length).toBe(1);
    expect(states()).toEqual(['connecting', 'ready']);
  });

  it('drops what is tampered with and says so', async () => {
    connect().watch(FEED);
    await until(() => heard.length === 2);
    const tampered = good.slice();
    tampered[tampered.length - 80] = (tampered[tampered.length - 80] ?? 0) ^ 1;
    for (const client of server.clients) for (const bytes of [tampered, new Uint8Array([1, 2])]) client.send(bytes);
    await until(() => told.filter((update) => update.type === 'refused').length === 2);
    expect(events().length).toBe(0);
  });

  it('comes back after a loss with what it has', async () => {
    connect().watch(FEED);
    await until(() => heard.length === 2);
    for (const client of server.clients) client.send(good);
    await until(() => events().length === 1);
    for (const client of server.clients) client.terminate();
    await until(() => heard.length === 4);
    expect(states()).toEqual(['connecting', 'ready', 'waiting', 'connecting', 'ready']);
    expect(heard[3]?.since).toEqual({ detections: { boot: golden.event.boot, seq: golden.event.seq } });
  });

  it('asks again while a payment is on its way, then tells that it is missing', async () => {
    let asked = 0;
    answer = (socket, { type }) => {
      if (type === 'auth') socket.send(JSON.stringify({ type: 'welcome', wallet: device }));
      if (type === 'watch') socket.send((asked += 1) < 3 ? unpaid : watching);
    };
    connect().watch(FEED, null, 5_000);
    await until(() => told.some((update) => update.type === 'message' && update.message.type === 'watching'));
    expect(told.some((update) => update.type === 'message' && update.message.type === 'payment-required')).toBe(false);
    asked = -100;
    connection?.watch(FEED);
    await until(() => told.some((update) => update.type === 'message' && update.message.type === 'payment-required'));
  });

  it('does not come back with a token that is no longer good', async () => {
    answer = (socket) => socket.close(4001);
    connect();
    await until(() => states().includes('signed-out'));
    expect(heard.length).toBe(1);
  });
});
