/** The clock of a feed, as the ledger's `clockOf` gives it. Feed time counts the seconds in which the feed was not paused. */
export interface FeedClock {
  /** Unix second at which the feed was opened. */
  readonly base: number;
  /** Unix second at which the running pause began; 0 while there is none. */
  readonly pausedAt: number;
  /** Seconds of all finished pauses. */
  readonly pausedTotal: number;
  /** Feed time at which the clock stops for good; 0 while the feed is not retired. */
  readonly retiresAt: number;
}

/** Feed time at a Unix second. */
export function feedTime(clock: FeedClock, now: number): number {
  const time = (clock.pausedAt || now) - clock.base - clock.pausedTotal;
  return clock.retiresAt !== 0 ? Math.min(time, clock.retiresAt) : time;
}

/** Whether the clock stands still at a Unix second. */
export function standsStill(clock: FeedClock, now: number): boolean {
  return clock.pausedAt !== 0 || (clock.retiresAt !== 0 && feedTime(clock, now) >= clock.retiresAt);
}

/** Seconds of access that are left until an expiry in feed time. */
export function secondsLeft(clock: FeedClock, expiry: number, now: number): number {
  return Math.max(0, expiry - feedTime(clock, now));
}
