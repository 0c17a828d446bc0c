// Puts the ONNX Runtime library of this machine into target/onnxruntime, once its sha256 is what the agent expects.
//
// The table is device-agent/onnxruntime.sha256, which the agent holds its library against before it loads it: a truncated
// library kills the process that loads it.

import { createHash } from "node:crypto";
import { constants, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const TABLE = join(ROOT, "device-agent", "onnxruntime.sha256");
const PACKAGE = join(ROOT, "node_modules", "onnxruntime-node");

const pinned = pinnedFor(`${process.platform}/${process.arch}`);
const target = join(ROOT, "target", "onnxruntime", pinned.file);

if (existsSync(target) && sha256(target) === pinned.sha256) {
  console.log(`ok ONNX Runtime ${pinned.version}`);
} else {
  const source = join(PACKAGE, "bin", "napi-v6", process.platform, process.arch, pinned.file);
  if (!existsSync(source)) fail(`the npm package onnxruntime-node has no ${pinned.file}`);
  place(source, target, pinned.sha256);
  console.log(`installed ONNX Runtime ${pinned.version} (${relative(ROOT, target)})`);
}

/** The pinned row of a platform, in Node's words for platform and architecture. */
function pinnedFor(platform) {
  const rows = readFileSync(TABLE, "utf8").trim().split("\n").map((row) => row.split(/\s+/));
  const row = rows.find((columns) => columns[2] === platform);
  if (!row) fail(`no ONNX Runtime library is pinned for ${platform}`);
  const [sum, version, , file] = row;
  return { sha256: sum, version, file };
}

function sha256(path) {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}

/** Copies, checks the copy, then renames it into place: nobody ever sees half a library or a wrong one. */
function place(source, destination, expected) {
  mkdirSync(dirname(destination), { recursive: true });
  const partial = `${destination}.${process.pid}`;
  copyFileSync(source, partial, constants.COPYFILE_FICLONE);
  const found = sha256(partial);
  if (found !== expected) {
    rmSync(partial);
    fail(`${relative(ROOT, source)} has sha256 ${found}, expected ${expected}`);
  }
  renameSync(partial, destination);
}

function fail(message) {
  console.log(message);
  process.exit(1);
}
