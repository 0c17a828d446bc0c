import { describe, expect, it } from 'vitest';
import { ShapeError } from '../src/client/errors';
import { chainShape, detectionsShape, feedShape, parseServerMessage } from '../src/client/messages';
import { parseJson } from '../src/client/shape';
import { refusalOf } from '../src/client/wallets';

const FEED = `0x${'ab'.repeat(32)}`;
const DEVICE = `0x${'CD'.repeat(20)}`;

describe('messages of the gateway', () => {
  it('are read as documented', () => {
    expect(parseServerMessage(`{"type":"watching","feed":"${FEED}","device":"${DEVICE}","streams":["frames"],"expiresAt":null}`)).toEqual({
      type: 'watching', feed: FEED, device: DEVICE.toLowerCase().replace('0X', '0x'), streams: ['frames'], expiresAt: null,
    });
    expect(parseServerMessage(`{"type":"ended","feed":"${FEED}","reason":"reorg","new":1}`)).toEqual({ type: 'ended', feed: FEED, reason: 'reorg' });
    expect(parseServerMessage('{"type":"pong"}')).toEqual({ type: 'pong' });
  });

  it.each([
    ['not JSON', '{'],
    ['a list', '[]'],
    ['no type', '{}'],
    ['an unknown type', '{"type":"refund"}'],
    ['an inherited type', '{"type":"constructor"}'],
    ['an unknown reason', `{"type":"ended","feed":"${FEED}","reason":"bored"}`],
    ['a short id', '{"type":"ended","feed":"0x01","reason":"expired"}'],
    ['a negative time', `{"type":"notice","feed":"${FEED}","state":"paused","expiresAt":-1}`],
  ])('are refused: %s', (_, source) => expect(() => parseServerMessage(source)).toThrow(ShapeError));

  it('have no demo keys unless the gateway offers some', () => {
    const chain = { chainId: 1, name: 'Ethereum', ledger: DEVICE, deploymentBlock: 1, rpcUrl: null, head: null };
    expect(parseJson(JSON.stringify(chain), chainShape, 'chain').demoKeys).toEqual([]);
  });

  it('say who paused a feed and since when', () => {
    const feed = {
      id: FEED, device: DEVICE, name: 'gate', owner: DEVICE, price: '5', listing: FEED, title: 'Gate', description: '', streams: [],
      state: 'paused', online: false,
    };
    const read = (pause: object) => {
      const { pausedAt, pausedBy } = parseJson(JSON.stringify({ ...feed, ...pause }), feedShape, 'feed');
      return [pausedAt, pausedBy];
    };
    expect(read({ pausedAt: 1_790_000_000, pausedBy: DEVICE })).toEqual([1_790_000_000, DEVICE.toLowerCase()]);
    expect(read({ pausedAt: null, pausedBy: null })).toEqual([null, null]);
    // A gateway of before does not say it.
    expect(read({})).toEqual([null, null]);
  });
});

describe('detections', () => {
  const read = (box: unknown) =>
    parseJson(
      JSON.stringify({ model: { name: 'm', sha256: FEED }, picture: { width: 4, height: 3 }, objects: [{ label: 'car', class: 2, score: 0.5, box }] }),
      detectionsShape,
      'detections',
    ).objects[0]?.box;

  it('keep boxes inside the picture', () => expect(read([-0.1, 0, 0.5, 1.2])).toEqual([0, 0, 0.5, 1]));
  it.each([[[0, 0, 1]], [[0, 0, 1, 1, 1]], [['0', 0, 1, 1]], [null]])('refuse a box that is none: %j', (box) =>
    expect(() => read(box)).toThrow(ShapeError));
});

describe('wallet refusals', () => {
  it.each([
    [{ code: 4001 }, 'rejected'],
    [{ code: 4902 }, 'unknown-chain'],
    [{ code: -32002 }, 'busy'],
    [{ code: -32603, data: { originalError: { code: 4902 } } }, 'unknown-chain'],
    [{ code: -32603 }, 'failed'],
    [new Error('User rejected the request', { cause: { code: 4001 } }), 'rejected'],
    [new Error('User rejected the request'), 'failed'],
    [null, 'failed'],
  ] as const)('%j is %s', (error, refusal) => expect(refusalOf(error)).toBe(refusal));
});
