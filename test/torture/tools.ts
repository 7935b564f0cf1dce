/**
 * Programs that a suite needs beside Node, from Debian packages: installed when they are missing and this is root on a Debian. Where that cannot be,
 * the suite fails with a line that names the package; it is not skipped.
 */
import { spawnSync } from "node:child_process";

/** A program to look for, and the package that brings it. Both have the same name. */
export type Tool = "strace" | "faketime";

/** Throws when the tool is not here and cannot be installed. */
export function needTool(tool: Tool): void {
  if (isHere(tool)) return;
  const advice = `this suite needs ${tool}: install the Debian package ${tool} (apt-get install ${tool}), then run it again`;
  if (process.getuid?.() !== 0) throw new Error(`${advice}; it is installed by itself only for root`);
  if (!isHere("apt-get")) throw new Error(`${advice}; there is no apt-get here`);
  const install = (): { readonly fine: boolean; readonly said: string } => apt(["install", "-y", "--no-install-recommends", tool]);
  let outcome = install();
  // The lists of packages are missing in most images, or old.
  if (!outcome.fine && apt(["update"]).fine) outcome = install();
  if (!outcome.fine || !isHere(tool)) throw new Error(`${advice}; apt-get failed: ${outcome.said.trim().split("\n").at(-1)}`);
}

function isHere(program: string): boolean {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
}

/** Suites run side by side: whoever comes second waits for the lock. */
function apt(words: readonly string[]): { readonly fine: boolean; readonly said: string } {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const { status, stdout, stderr } = spawnSync("apt-get", ["-o", "DPkg::Lock::Timeout=120", "-q", ...words], { env, encoding: "utf8" });
  return { fine: status === 0, said: `${stdout}\n${stderr}` };
}
