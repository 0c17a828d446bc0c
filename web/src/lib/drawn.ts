/** The stream of all that a device sees. */
export const DETECTIONS = 'detections';

/**
 * Whether the objects of a stream are drawn: all that the device sees, else those of one stream that is derived from it.
 *
 * `streams` are those of the feed, `derived` is the one that is drawn already in place of `detections`.
 */
export function isDrawn(stream: string, streams: readonly string[], derived: string | null): boolean {
  return stream === DETECTIONS || (!streams.includes(DETECTIONS) && (derived ?? stream) === stream);
}
