import { describe, expect, it } from 'vitest';
import { formatEth, perHour, totalOf } from '../src/lib/money';
import { formatCountdown, formatDuration } from '../src/lib/time';

describe('money', () => {
  it.each([
    [0n, '0 ETH'],
    [1n, '0.000000000000000001 ETH'],
    [277_777_777_777n, '0.0000002778 ETH'],
    [999_999_999_999_997_200n, '1 ETH'],
    [3_600_000_000_000_000n, '0.0036 ETH'],
    [1_500_000_000_000_000_000n, '1.5 ETH'],
    [1_234_567_890_000_000_000_000n, '1\u202f234.5679 ETH'],
    [10n ** 30n, '1\u202f000\u202f000\u202f000\u202f000 ETH'],
  ])('%d wei reads as %s', (wei, text) => {
    expect(formatEth(wei)).toBe(text);
  });

  it('keeps every wei where it must', () => {
    expect(formatEth(1_234_567_890_123_456_789n, 'exact')).toBe('1.234567890123456789 ETH');
  });

  it('multiplies without rounding', () => {
    expect(perHour(277_777_777_777n)).toBe(999_999_999_997_200n);
    expect(totalOf((1n << 96n) - 1n, 366 * 86_400)).toBe(((1n << 96n) - 1n) * 31_622_400n);
  });
});

describe('time', () => {
  it.each([
    [0, '0 seconds', '0:00'],
    [60, '1 minute', '1:00'],
    [61, '1 minute 1 second', '1:01'],
    [3_600, '1 hour', '1:00:00'],
    [5_405, '1 hour 30 minutes', '1:30:05'],
    [86_400, '1 day', '1 d 00:00:00'],
    [-5, '0 seconds', '0:00'],
  ])('%d seconds', (seconds, words, countdown) => {
    expect(formatDuration(seconds)).toBe(words);
    expect(formatCountdown(seconds)).toBe(countdown);
  });
});
