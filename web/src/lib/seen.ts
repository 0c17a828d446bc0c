import type { DetectedObject } from '../client/types';

/** How many of one class are in a picture. */
export interface Seen {
  readonly label: string;
  readonly count: number;
  /** The best score among them. */
  readonly score: number;
}

/** What is in a picture by class, the most frequent first. */
export function countSeen(objects: readonly DetectedObject[]): readonly Seen[] {
  const seen = new Map<string, Seen>();
  for (const { label, score } of objects) {
    const before = seen.get(label);
    seen.set(label, { label, count: (before?.count ?? 0) + 1, score: Math.max(score, before?.score ?? 0) });
  }
  return [...seen.values()].sort((a, b) => b.count - a.count || a.label.localeCompare(b.label));
}

/** What is in a picture, in words: `2 × car, 1 × person`. */
export function describeSeen(seen: readonly Seen[]): string {
  return seen.length === 0 ? 'Nothing' : seen.map(({ label, count }) => `${count} × ${label}`).join(', ');
}
