/**
 * Reads the values of flags: each is checked for what it must be, and refused with what to write instead.
 */
import { isIP } from "node:net";
import { isLoopback } from "../lib/auth/loopback.ts";
import { parsePolicyRule, type PolicyRule } from "../lib/core/policy/names.ts";
import { EXIT, Failure, usageFailure } from "./exit.ts";

const PORT_MAX = 65_535;
/** A day: whoever writes more has probably meant milliseconds. */
const SECONDS_MAX = 86_400;
/** Fits the name of a folder and of a node (255 bytes), also when each character takes four. */
const ID_LENGTH_MAX = 60;

export function readPort(flag: string, text: string, portMin: number): number {
  const port = readWhole(text);
  if (port !== undefined && port >= portMin && port <= PORT_MAX) return port;
  throw usageFailure(`--${flag} is a whole number from ${portMin} to ${PORT_MAX}, such as 8001, not ${quoted(text)}`);
}

export function readCount(flag: string, text: string, min: number, max: number): number {
  const count = readWhole(text);
  if (count !== undefined && count >= min && count <= max) return count;
  throw usageFailure(`--${flag} is a whole number from ${min} to ${max}, not ${quoted(text)}`);
}

/** Whole seconds, as milliseconds. */
export function readSeconds(flag: string, text: string): number {
  const seconds = readWhole(text);
  if (seconds !== undefined && seconds >= 1 && seconds <= SECONDS_MAX) return seconds * 1_000;
  const bare = /^([1-9][0-9]*)(?:s|sec|seconds)$/.exec(text)?.[1];
  const advice = bare === undefined ? "such as 10" : `so ${bare}`;
  throw usageFailure(`--${flag} is a whole number of seconds from 1 to ${SECONDS_MAX}, ${advice}, not ${quoted(text)}`);
}

/** A size: 4096, 64KiB, 2MiB; at least a byte. Thousands (kB, MB) are refused rather than guessed. */
export function readBytes(flag: string, text: string, bytesMax: number): number {
  const [, digits = "", unit = ""] = /^([0-9]{1,9})(B|KiB|MiB)?$/i.exec(text) ?? [];
  const bytes = Number(digits) * (unit === "" ? 1 : BYTE_UNITS[unit.toLowerCase() as keyof typeof BYTE_UNITS]);
  if (digits !== "" && bytes >= 1 && bytes <= bytesMax) return bytes;
  throw usageFailure(`--${flag} is a size from 1 to ${bytesMax / BYTE_UNITS.mib}MiB, such as 65536, 64KiB or 1MiB, not ${quoted(text)}`);
}

const BYTE_UNITS = { b: 1, kib: 1024, mib: 1024 * 1024 } as const satisfies Record<string, number>;

/** The base URL of a node, without a slash at its end: peers are told apart by it. */
export function readNodeUrl(flag: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const hasMore = url !== undefined && (url.pathname !== "/" || url.search !== "" || url.hash !== "" || url.username !== "");
  if (/^https?:$/.test(url?.protocol ?? "") && !hasMore && url !== undefined && url.hostname !== "") return url.origin;
  const near = nearUrl(text);
  const advice = near === undefined ? "such as http://localhost:8002" : `did you mean ${near}?`;
  // What stands before an @ is somebody's password.
  throw usageFailure(`--${flag}: ${quoted(text.replace(/\/\/.*@/s, "//…@"))} is not the URL of a node; ${advice}`);
}

/** Several, with commas between them; none when the text is empty. */
export function readNodeUrls(flag: string, text: string): string[] {
  const parts = text.split(",").map((part) => part.trim());
  return [...new Set(parts.filter((part) => part !== "").map((part) => readNodeUrl(flag, part)))];
}

/** Merge policies, with commas between them: PREFIX=POLICY. */
export function readMerge(flag: string, text: string): PolicyRule[] {
  const parts = text.split(",").map((part) => part.trim());
  return parts
    .filter((part) => part !== "")
    .map((part) => {
      const rule = parsePolicyRule(part);
      if (typeof rule === "string") throw usageFailure(`--${flag}: ${rule}`);
      return rule;
    });
}

/** A name that can also be the name of a folder. */
export function readId(flag: string, text: string): string {
  if (/^[\p{L}\p{N}][\p{L}\p{N}._-]*$/u.test(text) && [...text].length <= ID_LENGTH_MAX) return text;
  throw usageFailure(
    `--${flag} is a name of ${ID_LENGTH_MAX} letters, digits, dots, dashes and underscores at most, such as node1, not ${quoted(text)}`,
  );
}

/** An interface to listen on. On others than this machine's own a node asks its peers for a key, or is told to let in whoever comes. */
export function readHost(flag: string, text: string, isGuarded: boolean): string {
  const host = text.replace(/^\[(.*)\]$/, "$1");
  if (host === "" || /[\s/]/.test(host) || (host.includes(":") && isIP(host) !== 6)) {
    throw usageFailure(`--${flag} is the address of an interface, such as 127.0.0.1, not ${quoted(text)}`);
  }
  if (isLoopback(host) || isGuarded) return host;
  throw new Failure(
    EXIT.usage,
    `--${flag}=${text} would let anybody on that network read and change the data: add --cluster-key-file=FILE (concord keygen FILE makes one), or --insecure if that is meant`,
  );
}

/** Every interface there is: no address under which others could find it. */
export function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || (isIP(host) === 6 && /^[0:]+$/.test(host));
}

function readWhole(text: string): number | undefined {
  return /^[0-9]{1,9}$/.test(text) ? Number(text) : undefined;
}

/** What was probably meant: the scheme is missing, or there is a path too much. */
function nearUrl(text: string): string | undefined {
  const candidate = /^[0-9]{1,5}$/.test(text)
    ? `http://localhost:${text}`
    : `http://${text.replace(/^\w*:?\/\//, "").replace(/^:/, "localhost:")}`;
  if (!URL.canParse(candidate)) return undefined;
  const { origin, hostname } = new URL(candidate);
  return /^(localhost|[\w-]+(\.[\w-]+)*|\[[0-9a-f:]+\])$/.test(hostname) && /:[0-9]+$/.test(origin) ? origin : undefined;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
