import { expect, test } from 'vitest';
import { isDrawn } from '../src/lib/drawn';

test.each([
  ['detections', ['detections', 'people'], null, true],
  ['people', ['detections', 'people'], null, false],
  ['people', ['people', 'frames'], null, true],
  ['people', ['people', 'cars'], 'people', true],
  ['cars', ['people', 'cars'], 'people', false],
])('%s of a feed of %j, with %j drawn already: %s', (stream, streams, derived, drawn) => {
  expect(isDrawn(stream, streams, derived)).toBe(drawn);
});
