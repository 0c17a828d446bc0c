// Says whether node_modules holds what package-lock.json asks for: exit code 0 when it does, 1 when `npm ci` is due.
//
// Times of files cannot tell: a checkout touches them and an interrupted install does not.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const INSTALLED = join(ROOT, "node_modules", ".package-lock.json");

if (!existsSync(INSTALLED)) process.exit(1);
const wanted = packagesOf(join(ROOT, "package-lock.json"));
const installed = packagesOf(INSTALLED);

const outdated = Object.entries(wanted).filter(([path, entry]) => {
  // The root and the workspaces are links to folders of the project, and carry no contents of their own.
  if (!path.includes("node_modules/") || entry.link) return false;
  const present = installed[path];
  // Packages for other platforms are optional and stay out; extraneous ones are leftovers of an edit.
  return present ? present.integrity !== entry.integrity : !entry.optional && !entry.extraneous;
});
const missing = Object.keys(installed).filter((path) => !existsSync(join(ROOT, path)));
process.exit(outdated.length + missing.length > 0 ? 1 : 0);

function packagesOf(lockfile) {
  return JSON.parse(readFileSync(lockfile, "utf8")).packages;
}
