import type { Hex } from '../client/types';

/** An address or id, short enough for a line: `0x1234…cdef`. */
export function shortId(id: Hex): string {
  return `${id.slice(0, 6)}…${id.slice(-4)}`;
}
