import type { DetectedObject } from '../client/types';

/** How many of one class are in a picture. */
export interface Seen {
  readonly label: string;
  /** Their scores, the best first. */
  readonly scores: readonly number[];
}

/** What is in a picture by class, in alphabetical order, so that lines keep their places. */
export function countSeen(objects: readonly DetectedObject[]): readonly Seen[] {
  const scores = new Map<string, number[]>();
  for (const { label, score } of objects) scores.set(label, [...(scores.get(label) ?? []), score]);
  return [...scores]
    .map(([label, all]) => ({ label, scores: all.sort((a, b) => b - a) }))
    .sort((a, b) => a.label.localeCompare(b.label));
}

/** What is in a picture, in words: `2 × car, 1 × person`. */
export function describeSeen(seen: readonly Seen[]): string {
  return seen.length === 0 ? 'Nothing' : seen.map(({ label, scores }) => `${scores.length} × ${label}`).join(', ');
}
