/**
 * Clocks of nodes that are set while they run: libfaketime reads how far each is off from a file. The machine's own clock is left alone, and so is the
 * monotonic one of the nodes, as on a machine whose clock is set.
 */
import { readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { needTool } from "./tools.ts";

export interface SetClock {
  /** Goes before the node's command line. */
  readonly wrap: readonly string[];
  /** From now on the wall's clock is off by so many seconds. */
  set(offsetSeconds: number): Promise<void>;
}

export async function createSetClock(file: string, timeZone: string): Promise<SetClock> {
  needTool("faketime");
  const clock: SetClock = {
    wrap: [
      "env",
      ...[`LD_PRELOAD=${libraryPath()}`, `FAKETIME_TIMESTAMP_FILE=${file}`, "FAKETIME_NO_CACHE=1"],
      ...["FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1", "FAKETIME_DONT_RESET=1", `TZ=${timeZone}`],
    ],
    set: (offsetSeconds) => writeFile(file, `${offsetSeconds < 0 ? "" : "+"}${offsetSeconds}\n`),
  };
  await clock.set(0);
  return clock;
}

/** Debian has a folder for each kind of machine. */
function libraryPath(): string {
  for (const folder of readdirSync("/usr/lib").map((name) => join("/usr/lib", name, "faketime"))) {
    try {
      if (readdirSync(folder).includes("libfaketimeMT.so.1")) return join(folder, "libfaketimeMT.so.1");
    } catch {
      continue;
    }
  }
  throw new Error(
    "libfaketimeMT.so.1 is not below /usr/lib: install the Debian package faketime (apt-get install faketime), then run this again",
  );
}
