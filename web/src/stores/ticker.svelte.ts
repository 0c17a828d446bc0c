const TICK_MS = 500;

/** The time, for countdowns. */
export class Ticker {
  /** Unix seconds. */
  now = $state(Date.now() / 1000);

  /** Starts ticking; returns how to stop. */
  start(): () => void {
    const timer = setInterval(() => (this.now = Date.now() / 1000), TICK_MS);
    return () => clearInterval(timer);
  }
}
