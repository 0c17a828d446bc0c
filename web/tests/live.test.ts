import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket as NodeWebSocket, WebSocketServer } from 'ws';
import { LiveFeed, type Phase } from '../src/stores/live.svelte';
import { envelopes } from './vectors';

// Node has no window, and Node 20 no WebSocket of its own.
Object.assign(globalThis, { WebSocket: globalThis.WebSocket ?? NodeWebSocket, window: new EventTarget() });

const FEED = `0x${'01'.repeat(32)}` as const;
const { ledger } = envelopes.domain;
const watching = { type: 'watching', feed: FEED, device: ledger, streams: ['detections'], expiresAt: 2_000_000_000 };
const unpaid = { type: 'payment-required', feed: FEED, price: '5', listing: FEED, chainId: 31_337, ledger, minimum: 60 };
const notice = (state: string) => ({ type: 'notice', feed: FEED, state, expiresAt: state === 'paused' ? null : 2_000_000_000 });
const ended = { type: 'ended', feed: FEED, reason: 'expired' };

describe('phase', () => {
  let server: WebSocketServer;
  let live: LiveFeed;
  /** The phase behind each message that was told. */
  const phases: Phase[] = [];
  /** What is answered to each `watch` in turn, the last of them again and again. */
  let answers: readonly (readonly object[])[];
  let asked: number;

  beforeEach(async () => {
    phases.length = asked = 0;
    server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    server.on('connection', (socket) =>
      socket.on('message', (data: Buffer) => {
        const { type } = JSON.parse(data.toString()) as { readonly type: string };
        if (type === 'auth') socket.send(JSON.stringify({ type: 'welcome', wallet: ledger }));
        if (type !== 'watch') return;
        for (const message of answers[asked] ?? answers.at(-1) ?? []) socket.send(JSON.stringify(message));
        asked += 1;
      }),
    );
  });

  afterEach(() => {
    live.close();
    for (const client of server.clients) client.terminate();
    server.close();
  });

  function watch(patienceMs: number): void {
    const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/v1/ws`;
    const session = { token: 'secret', wallet: ledger, expiresAt: 2_000_000_000 };
    live = new LiveFeed(url, session, envelopes.domain, FEED, patienceMs, () => phases.push(live.phase));
    expect(live.phase).toBe('connecting');
  }

  it.each<[string, object[], Phase[]]>([
    ['is not paid', [unpaid], ['unpaid']],
    ['is paused and not paid', [notice('paused')], ['unpaid']],
    ['is paused and not paid, then resumed', [notice('paused'), unpaid], ['unpaid', 'unpaid']],
    ['is paid, then paused for a time', [watching, notice('paused'), notice('resumed')], ['live', 'paused', 'live']],
    ['is paid, its device away for a time', [watching, notice('offline'), notice('online')], ['live', 'offline', 'live']],
    ['was paid', [watching, ended], ['live', 'ended']],
  ])('of a feed that %s', async (_, said, expected) => {
    answers = [said];
    watch(0);
    await expect.poll(() => phases, { timeout: 4_000 }).toEqual(expected);
  });

  it('is not unpaid while the gateway has read neither the payment nor the resume before it', async () => {
    answers = [[notice('paused')], [unpaid], [watching]];
    watch(5_000);
    await expect.poll(() => live.phase, { timeout: 4_000 }).toBe('live');
    expect(phases).toEqual(['live']);
  });

  it('is unpaid when the payment does not come in time', async () => {
    answers = [[notice('paused')]];
    watch(1_000);
    await expect.poll(() => phases, { timeout: 4_000 }).toEqual(['unpaid']);
    expect(asked).toBeGreaterThan(1);
  });

  it('is live again after a loss while it was paused', async () => {
    answers = [[watching, notice('paused')], [watching]];
    watch(0);
    await expect.poll(() => live.phase, { timeout: 4_000 }).toBe('paused');
    for (const client of server.clients) client.terminate();
    await expect.poll(() => live.phase, { timeout: 4_000, interval: 5 }).toBe('reconnecting');
    await expect.poll(() => phases, { timeout: 4_000 }).toEqual(['live', 'paused', 'live']);
  });
});
