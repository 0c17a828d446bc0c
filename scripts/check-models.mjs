// Tests that models/ is what its manifest says: the bytes, the labels, the reference boxes and the pictures behind them.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, parse } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const MODELS = join(dirname(fileURLToPath(import.meta.url)), "..", "models");
const { models } = JSON.parse(readFileSync(join(MODELS, "manifest.json"), "utf8"));

test("every model file is in the manifest", () => {
  const files = readdirSync(MODELS).filter((file) => file.endsWith(".onnx"));
  assert.deepEqual(files.sort(), models.map((model) => model.file).sort());
});

for (const model of models) {
  test(`${model.name}: the file has the manifest's sha256`, () => {
    assert.equal(createHash("sha256").update(contents(model.file)).digest("hex"), model.sha256);
  });

  test(`${model.name}: the metadata names the manifest's labels`, () => {
    const names = model.labels.map((label, index) => `${index}: '${label}'`).join(", ");
    assert.ok(contents(model.file).includes(`{${names}}`));
  });

  test(`${model.name}: the output has the shape of its layout`, () => {
    const cells = [8, 16, 32].reduce((sum, stride) => sum + (model.input.width / stride) * (model.input.height / stride), 0);
    const shapes = { yolov8: [1, 4 + model.labels.length, cells], "end-to-end": [1, 300, 6] };
    assert.deepEqual(model.output.shape, shapes[model.layout]);
  });

  for (const reference of model.references) {
    test(`${model.name}: ${reference.file} has boxes for ${reference.pictures}`, () => {
      const boxes = JSON.parse(contents(reference.file).toString());
      const pictures = readdirSync(join(MODELS, reference.pictures)).map((file) => parse(file).name);
      assert.deepEqual(Object.keys(boxes).sort(), pictures.sort());
      const rows = Object.values(boxes).flat();
      assert.ok(rows.length > pictures.length);
      for (const [left, top, right, bottom, score, label] of rows) {
        assert.ok(left >= 0 && top >= 0 && left < right && top < bottom);
        assert.ok(right <= model.input.width && bottom <= model.input.height);
        assert.ok(score > reference.confidence && score <= 1 && label in model.labels);
      }
    });
  }
}

function contents(file) {
  return readFileSync(join(MODELS, file));
}
