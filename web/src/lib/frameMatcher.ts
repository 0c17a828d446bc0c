import type { Detections } from '../client/types';

/** How long a picture waits for its boxes, in milliseconds. */
const PATIENCE_MS = 700;
/** Most pictures and most detections that are kept; pictures are big. */
const CAPACITY = 16;

/** A picture of the `frames` stream. */
export interface Frame {
  readonly boot: number;
  readonly seq: number;
  readonly timeUs: number;
  readonly jpeg: Uint8Array;
}

/** What was seen in the picture with this boot and `detections.picture.seq`. */
export interface Sighting {
  readonly boot: number;
  readonly timeUs: number;
  readonly detections: Detections;
}

/** What to draw: a picture with its own boxes, a picture alone, or boxes alone. */
export interface Scene {
  readonly frame: Frame | null;
  readonly sighting: Sighting | null;
}

/**
 * Brings each picture together with what was seen in it, whichever comes first, so that boxes sit on the right
 * picture. Scenes come out in the order of the pictures; one that waits in vain is shown without boxes.
 */
export class FrameMatcher {
  private frames: { readonly frame: Frame; readonly due: number }[] = [];
  private sightings: Sighting[] = [];

  addFrame(frame: Frame, nowMs: number): Scene | null {
    this.frames = [...this.frames, { frame, due: nowMs + PATIENCE_MS }].slice(-CAPACITY);
    return this.take(nowMs);
  }

  addSighting(sighting: Sighting, nowMs: number): Scene | null {
    // No picture was sent with it, so none will come.
    if (sighting.detections.picture.seq === undefined) return { frame: null, sighting };
    this.sightings = [...this.sightings, sighting].slice(-CAPACITY);
    return this.take(nowMs);
  }

  /** The newest scene that is ready, if one is; older ones are passed over. */
  take(nowMs: number): Scene | null {
    for (let index = this.frames.length - 1; index >= 0; index -= 1) {
      const held = this.frames[index];
      if (!held) continue;
      const sighting = this.sightings.find((one) => shows(held.frame, one)) ?? null;
      if (!sighting && held.due > nowMs) continue;
      this.frames = this.frames.slice(index + 1);
      if (sighting) this.sightings = this.sightings.slice(this.sightings.indexOf(sighting) + 1);
      return { frame: held.frame, sighting };
    }
    return null;
  }
}

function shows(frame: Frame, { boot, detections }: Sighting): boolean {
  return frame.boot === boot && frame.seq === detections.picture.seq;
}
