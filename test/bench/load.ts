/**
 * Fifty connections' load and what it measured: by wrk where it is installed (Debian's package), else by autocannon.
 *
 * On two processors the generator's own work is taken from what it measures: autocannon spends as much on a request as the server does,
 * wrk a tenth of that. Both sides of a ratio always have the same generator, and the output says which it was.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import autocannon from "autocannon";

const CONNECTIONS = 50;
const SECONDS = 4;

/** The numbers of requests begin here, so that all have seven digits. */
export const FIRST = 1_000_000;

/** Requests that differ by a number: FIRST and `stride · i modulo of` together stand where the text says %d. */
export interface Calls {
  readonly method: "GET" | "POST";
  /** May hold %d. */
  readonly path: string;
  /** May hold %d. */
  readonly body?: string;
  readonly stride: number;
  readonly of: number;
}

export interface Figures {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
}

export type Load = (url: string, calls: Calls) => Promise<Figures>;

export interface Generator {
  readonly name: string;
  readonly load: Load;
}

export function chooseGenerator(folder: string): Generator {
  const version = /^wrk \S+/.exec(spawnSync("wrk", ["-v"], { encoding: "utf8" }).stdout ?? "")?.[0];
  if (version === undefined) return { name: "autocannon (wrk is not installed: apt-get install wrk)", load: byAutocannon };
  return { name: version, load: (url, calls) => byWrk(folder, url, calls) };
}

async function byAutocannon(url: string, { method, path, body, stride, of }: Calls): Promise<Figures> {
  let sent = 0;
  const headers = { "content-type": "application/json" };
  const setupRequest = (earlier: autocannon.Request): autocannon.Request => {
    const number = String(FIRST + ((sent++ * stride) % of));
    const made = { ...earlier, method, path: path.replace("%d", number), headers };
    return body === undefined ? made : { ...made, body: body.replace("%d", number) };
  };
  const result = await autocannon({ url, connections: CONNECTIONS, duration: SECONDS, requests: [{ setupRequest }] });
  if (result.non2xx > 0 || result.errors > 0) throw new Error(`${url}: ${result.non2xx} refused, ${result.errors} failed`);
  return { rate: result.requests.average, p50: result.latency.p50, p99: result.latency.p99 };
}

async function byWrk(folder: string, url: string, calls: Calls): Promise<Figures> {
  const script = join(folder, "calls.lua");
  await writeFile(script, luaOf(calls));
  const flags = ["-t1", `-c${CONNECTIONS}`, `-d${SECONDS}s`, "--latency", "-s", script, url];
  const child = spawn("wrk", flags, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  await once(child, "close");
  const trouble = /^\s*(Non-2xx.*|Socket errors.*)$/m.exec(said)?.[1];
  if (trouble !== undefined) throw new Error(`${url}: ${trouble}`);
  return { rate: Number(found(said, /Requests\/sec:\s+([\d.]+)/)), p50: percentile(said, 50), p99: percentile(said, 99) };
}

function luaOf({ method, path, body, stride, of }: Calls): string {
  const made = (text: string) => `string.format(${JSON.stringify(text)}, n)`;
  const parts = [JSON.stringify(method), path.includes("%d") ? made(path) : JSON.stringify(path), "headers"];
  if (body !== undefined) parts.push(made(body));
  return [
    "local i = 0",
    'local headers = { ["content-type"] = "application/json" }',
    "function request()",
    `  local n = ${FIRST} + (i * ${stride}) % ${of}`,
    "  i = i + 1",
    `  return wrk.format(${parts.join(", ")})`,
    "end",
  ].join("\n");
}

/** In milliseconds. */
function percentile(said: string, percent: number): number {
  const [, number, unit] = new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s)$`, "m").exec(said) ?? [];
  const scale = { us: 0.001, ms: 1, s: 1000 }[unit ?? ""];
  if (scale === undefined) throw new Error(`wrk said nothing of its ${percent}th percentile:\n${said}`);
  return Number(number) * scale;
}

function found(said: string, what: RegExp): string {
  const [, text] = what.exec(said) ?? [];
  if (text === undefined) throw new Error(`wrk said something else than expected:\n${said}`);
  return text;
}
