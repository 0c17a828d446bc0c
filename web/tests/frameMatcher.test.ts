import { describe, expect, it } from 'vitest';
import { FrameMatcher, type Frame, type Scene, type Sighting } from '../src/lib/frameMatcher';

const frame = (seq: number, boot = 7): Frame => ({ boot, seq, timeUs: seq, jpeg: new Uint8Array([seq & 0xff]) });
const sighting = (seq: number | undefined, boot = 7): Sighting => ({
  boot,
  timeUs: seq ?? 0,
  detections: { model: { name: 'm', sha256: '0x00' }, picture: { width: 4, height: 3, seq }, objects: [] },
});
const pair = (scene: Scene | null): readonly [number | undefined, number | undefined] | null =>
  scene && [scene.frame?.seq, scene.sighting?.detections.picture.seq];

describe('frame matcher', () => {
  it('pairs a picture with its boxes, whichever comes first', () => {
    const matcher = new FrameMatcher();
    expect(matcher.addFrame(frame(1), 0)).toBeNull();
    expect(pair(matcher.addSighting(sighting(1), 10))).toEqual([1, 1]);
    expect(matcher.addSighting(sighting(2), 20)).toBeNull();
    expect(pair(matcher.addFrame(frame(2), 30))).toEqual([2, 2]);
  });

  it('never puts boxes on another picture', () => {
    const matcher = new FrameMatcher();
    matcher.addFrame(frame(1), 0);
    expect(matcher.addSighting(sighting(2), 1)).toBeNull();
    expect(matcher.addSighting(sighting(1, 8), 2)).toBeNull();
    expect(pair(matcher.addFrame(frame(2), 3))).toEqual([2, 2]);
  });

  it('shows a picture alone once its boxes are late', () => {
    const matcher = new FrameMatcher();
    matcher.addFrame(frame(1), 0);
    expect(matcher.take(600)).toBeNull();
    expect(pair(matcher.take(700))).toEqual([1, undefined]);
    expect(matcher.take(800)).toBeNull();
  });

  it('passes over older pictures and never goes back', () => {
    const matcher = new FrameMatcher();
    matcher.addFrame(frame(1), 0);
    matcher.addFrame(frame(2), 10);
    expect(pair(matcher.addSighting(sighting(2), 20))).toEqual([2, 2]);
    expect(matcher.addSighting(sighting(1), 30)).toBeNull();
    expect(matcher.take(5_000)).toBeNull();
  });

  it('shows boxes alone when no picture was sent with them', () => {
    expect(pair(new FrameMatcher().addSighting(sighting(undefined), 0))).toEqual([undefined, undefined]);
  });

  it('holds no more pictures than it may', () => {
    const matcher = new FrameMatcher();
    for (let seq = 0; seq < 100; seq += 1) matcher.addFrame(frame(seq), 0);
    expect(matcher.addSighting(sighting(50), 1)).toBeNull();
    expect(pair(matcher.addSighting(sighting(90), 2))).toEqual([90, 90]);
  });
});
