import { describe, expect, it } from 'vitest';
import { hashOf, parseRoute } from '../src/lib/route';
import { countSeen, describeSeen } from '../src/lib/seen';
import { feedTime, secondsLeft, standsStill } from '../src/client/feedClock';

const object = (label: string, score: number) => ({ label, score, class: 0, box: [0, 0, 1, 1] as const });

describe('what is seen', () => {
  it('is counted by class, with the best score first', () => {
    const seen = countSeen([object('person', 0.3), object('car', 0.5), object('person', 0.9)]);
    expect(seen).toEqual([{ label: 'car', scores: [0.5] }, { label: 'person', scores: [0.9, 0.3] }]);
    expect(describeSeen(seen)).toBe('1 × car, 2 × person');
    expect(describeSeen([])).toBe('Nothing');
  });
});

describe('routes', () => {
  const feed = `0x${'ab'.repeat(32)}` as const;
  it.each([
    ['', { page: 'feeds' }],
    ['#/nowhere', { page: 'feeds' }],
    ['#/feeds/0x12', { page: 'feeds' }],
    ['#/subscriptions', { page: 'subscriptions' }],
    [`#/feeds/${feed}`, { page: 'feed', feed }],
  ] as const)('%s', (hash, route) => expect(parseRoute(hash)).toEqual(route));
  it('go there and back', () => expect(parseRoute(hashOf({ page: 'feed', feed }))).toEqual({ page: 'feed', feed }));
});

describe('feed clock', () => {
  const running = { base: 1_000, pausedAt: 0, pausedTotal: 50, retiresAt: 0 };
  it.each([
    ['runs', running, 2_000, 950, false],
    ['stands still while paused', { ...running, pausedAt: 1_500 }, 2_000, 450, true],
    ['runs up to its retirement', { ...running, retiresAt: 960 }, 2_000, 950, false],
    ['stops for good at its retirement', { ...running, retiresAt: 900 }, 2_000, 900, true],
  ] as const)('%s', (_, clock, now, time, still) => {
    expect(feedTime(clock, now)).toBe(time);
    expect(standsStill(clock, now)).toBe(still);
    expect(secondsLeft(clock, time + 10, now)).toBe(10);
    expect(secondsLeft(clock, time - 1, now)).toBe(0);
  });
});
