/** What a disk may do to a node, as strace carries it out: which calls, on which files of the folder, end how. */
import { join } from "node:path";
import { Prng } from "../../lib/sim/prng.ts";
import { JOURNAL_FILE } from "../../lib/storage/journal-file.ts";

export interface DiskFault {
  readonly what: string;
  /** Goes before the node's own command line. */
  readonly wrap: (folder: string, trace: string) => readonly string[];
  /** Whether the node is told to make its folder while the disk is bad, or has one already. */
  readonly isFresh: boolean;
  /** The disk is slow and otherwise well. */
  readonly isSlow: boolean;
}

interface Site {
  readonly calls: string;
  /** The file of the folder; "" for the folder itself. */
  readonly file: string;
  readonly errors: readonly string[];
  readonly isFresh?: boolean;
  /** A call that comes once or twice in a life. */
  readonly isRare?: boolean;
}

/** In this order, so that few cases still come by each kind of call. */
const SITES: readonly Site[] = [
  { calls: "pwrite64", file: JOURNAL_FILE, errors: ["EIO", "ENOSPC", "EDQUOT", "EFBIG"] },
  { calls: "openat", file: JOURNAL_FILE, errors: ["EIO", "EMFILE", "ENOSPC", "EACCES"], isRare: true },
  { calls: "fdatasync", file: "data.mdb", errors: ["EIO", "ENOSPC", "EDQUOT"] },
  { calls: "writev,pwritev", file: "data.mdb", errors: ["ENOSPC", "EIO", "EDQUOT", "EFBIG"] },
  { calls: "pwrite64", file: "data.mdb", errors: ["EIO", "ENOSPC"] },
  { calls: "openat", file: "data.mdb", errors: ["EIO", "EMFILE", "ENOSPC", "EACCES"], isRare: true },
  { calls: "fsync", file: "", errors: ["EIO", "ENOSPC"], isFresh: true, isRare: true },
  { calls: "rename", file: ".concord-format.json", errors: ["EIO", "ENOSPC"], isFresh: true, isRare: true },
  { calls: "write,pwrite64", file: ".concord-format.json", errors: ["ENOSPC", "EIO"], isFresh: true, isRare: true },
];

/** Long beside a turn of the node, so that whoever waits for the disk is seen. */
const SLOW_MICROSECONDS = 400_000;
const NTH_MAX = 8;

/** Slow disks come after each row of failing ones. */
export function diskFault(seed: number): DiskFault {
  const prng = new Prng(`disk ${seed}`);
  const site = SITES[(seed - 1) % (SITES.length + 1)];
  if (site === undefined) {
    return {
      what: `each write to the journal takes ${SLOW_MICROSECONDS / 1000} ms longer`,
      wrap: (folder, trace) => strace(trace, join(folder, JOURNAL_FILE), "pwrite64", `delay_enter=${SLOW_MICROSECONDS}`),
      isFresh: false,
      isSlow: true,
    };
  }
  const { calls, file, errors, isFresh = false, isRare = false } = site;
  const error = prng.pick(errors);
  const nth = isRare ? 1 : prng.between(1, NTH_MAX);
  const when = prng.chance(0.5) ? `${nth}` : `${nth}+`;
  return {
    what: `${calls} of ${file === "" ? "the folder" : file} fails with ${error}, when=${when}`,
    wrap: (folder, trace) => strace(trace, join(folder, file), calls, `error=${error}:when=${when}`),
    isFresh: isFresh || (isRare && prng.chance(0.5)),
    isSlow: false,
  };
}

/** -D: the node is our child, not strace's. */
function strace(trace: string, path: string, calls: string, inject: string): string[] {
  const options = ["-D", "-f", "-qq", "--seccomp-bpf", "-s", "0", "-e", "signal=none", "-P", path.replace(/\/$/, "")];
  return ["strace", ...options, "-e", `trace=${calls}`, "-e", `inject=${calls}:${inject}`, "-o", trace];
}
