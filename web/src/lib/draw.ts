import type { DetectedObject } from '../client/types';
import type { Scene } from './frameMatcher';

/** Colours that are told apart on pictures, with a text colour that is readable on each. */
const COLOURS = [
  { box: '#ffd23f', text: '#201a00' },
  { box: '#4cc9f0', text: '#00202b' },
  { box: '#ff8fab', text: '#33000f' },
  { box: '#80ed99', text: '#00260b' },
  { box: '#ffa45b', text: '#2b1400' },
  { box: '#c3b1ff', text: '#140833' },
] as const;
const FONT_PX = 13;
const PADDING_PX = 5;
const LINE_PX = 2;

/** Draws a picture and the boxes seen in it, `width` by `height` CSS pixels large, sharp at the screen's pixel ratio. */
export function drawScene(
  canvas: HTMLCanvasElement,
  scene: Scene,
  picture: ImageBitmap | null,
  width: number,
  height: number,
  pixelRatio: number,
): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  const [deviceWidth, deviceHeight] = [Math.round(width * pixelRatio), Math.round(height * pixelRatio)];
  if (canvas.width !== deviceWidth || canvas.height !== deviceHeight) {
    canvas.width = deviceWidth;
    canvas.height = deviceHeight;
  }
  context.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
  context.clearRect(0, 0, width, height);
  if (picture) context.drawImage(picture, 0, 0, width, height);
  context.font = `600 ${FONT_PX}px system-ui, sans-serif`;
  context.textBaseline = 'middle';
  // The best score comes first and is drawn last, on top.
  for (const object of [...(scene.sighting?.detections.objects ?? [])].reverse()) drawObject(context, object, width, height);
}

function drawObject(context: CanvasRenderingContext2D, object: DetectedObject, width: number, height: number): void {
  const [x, y, boxWidth, boxHeight] = object.box;
  const [left, top] = [x * width, y * height];
  const colour = COLOURS[object.class % COLOURS.length] ?? COLOURS[0];
  context.lineJoin = 'round';
  context.lineWidth = LINE_PX + 2;
  context.strokeStyle = 'rgb(0 0 0 / 45%)';
  context.strokeRect(left, top, boxWidth * width, boxHeight * height);
  context.lineWidth = LINE_PX;
  context.strokeStyle = colour.box;
  context.strokeRect(left, top, boxWidth * width, boxHeight * height);

  // Devices that follow objects number them.
  const number = object.track === undefined ? '' : ` #${object.track}`;
  const text = `${object.label}${number} ${Math.round(object.score * 100)}%`;
  const labelWidth = context.measureText(text).width + 2 * PADDING_PX;
  const labelHeight = FONT_PX + PADDING_PX;
  const labelLeft = Math.max(0, Math.min(left - LINE_PX / 2, width - labelWidth));
  const labelTop = top >= labelHeight ? top - labelHeight : Math.min(top, height - labelHeight);
  context.fillStyle = colour.box;
  context.fillRect(labelLeft, labelTop, labelWidth, labelHeight);
  context.fillStyle = colour.text;
  context.fillText(text, labelLeft + PADDING_PX, labelTop + labelHeight / 2 + 0.5);
}
