const FIRST_MS = 500;
const CAP_MS = 20_000;

/** How long to wait before attempt number `attempt` (from 0): doubling, capped, and jittered so that a crowd spreads out. */
export function retryDelay(attempt: number, random: number): number {
  const ceiling = Math.min(CAP_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(ceiling * (0.5 + random / 2));
}

/** What to do after a socket was closed with `code`; the numbers are `CloseCode` of `protocol/src/ws.rs`. */
export function afterClose(code: number): 'retry' | 'sign-in' | 'stop' {
  switch (code) {
    case 4000:
      return 'stop';
    case 4001:
      return 'sign-in';
    default:
      return 'retry';
  }
}
