/**
 * Clients of a cluster that is being hurt: they read and write through all nodes at once, and enter in the ledger what they did and saw.
 *
 * Most write what they have read (the token says what they saw), at whichever node; some write blindly. Keys are few, so that writes meet.
 */
import { Agent, request } from "node:http";
import { Prng } from "../../lib/sim/prng.ts";
import type { Ledger, Outcome, Write } from "./ledger.ts";

export interface ClientsOptions {
  readonly urls: readonly string[];
  readonly ledger: Ledger;
  readonly seed: string;
  /** Every key and every value begins with it. */
  readonly prefix: string;
  readonly clients?: number;
  /** Of writes, the share that deletes. */
  readonly deletes?: number;
}

export interface Clients {
  /** Resolves when the last answer is there, or given up. */
  stop(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly token: string | undefined;
  readonly text: string;
}

export interface Shown {
  readonly values: readonly string[];
  readonly token: string | undefined;
}

const CLIENTS = 6;
/** Enough that some are quiet and few enough that writes meet. */
const KEYS = 16;
/** A node that is halted or cut off does not answer. */
const PATIENCE_MS = 1_500;
/** The nodes are to have time for each other: they share the machine with the clients. */
const THINK_MS = 6;
const DELETES = 0.2;

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

export function startClients(options: ClientsOptions): Clients {
  const state = { stopped: false };
  const { seed, clients = CLIENTS } = options;
  const all = Array.from({ length: clients }, (_, i) => work({ ...options, prng: new Prng(`${seed}/client ${i}`), name: `c${i}` }, state));
  return {
    async stop() {
      state.stopped = true;
      await Promise.all(all);
    },
  };
}

interface Client extends ClientsOptions {
  readonly prng: Prng;
  readonly name: string;
}

async function work(client: Client, state: { readonly stopped: boolean }): Promise<void> {
  const { prng, prefix, urls } = client;
  for (let turn = 0; !state.stopped; turn++) {
    const node = prng.below(urls.length);
    const value = `${prefix}${client.name}-${turn}`;
    const key = `${prefix}key${prng.below(KEYS)}`;
    const kind = prng.below(10);
    if (kind < 6) await readAndWrite(client, node, key, value);
    else if (kind < 8) await writeBlindly(client, node, key, value);
    else await writeNew(client, node, `${prefix}${client.name}/new${turn}`, value);
    await new Promise((resolve) => setTimeout(resolve, prng.below(2 * THINK_MS)));
  }
}

/** The write goes to another node than the read at times, which may not have heard yet of what was read. */
async function readAndWrite({ ledger, urls, prng, deletes = DELETES }: Client, node: number, key: string, value: string): Promise<void> {
  const begun = ledger.now();
  const shown = await readKey(urls[node]!, key);
  if (shown === undefined) return;
  ledger.read(node, key, shown.values, begun);
  const at = prng.chance(0.3) ? prng.below(urls.length) : node;
  const token = shown.token;
  const isDeletion = token !== undefined && prng.chance(deletes);
  const write = ledger.begin(at, key, isDeletion ? undefined : value, shown.values);
  const condition: Record<string, string> = token === undefined ? { "if-none-match": "*" } : { "concord-token": token };
  await send(ledger, write, urls[at]!, condition);
}

async function writeBlindly({ ledger, urls, prng, deletes = DELETES }: Client, node: number, key: string, value: string): Promise<void> {
  // Keys of their own: what a blind write may have seen excuses much.
  const write = ledger.begin(node, `${key} blind`, prng.chance(deletes) ? undefined : value, "what is there");
  await send(ledger, write, urls[node]!, {});
  const begun = ledger.now();
  const shown = await readKey(urls[node]!, write.key);
  if (shown !== undefined) ledger.read(node, write.key, shown.values, begun);
}

async function writeNew({ ledger, urls }: Client, node: number, key: string, value: string): Promise<void> {
  await send(ledger, ledger.begin(node, key, value, []), urls[node]!, { "if-none-match": "*" });
}

async function send(ledger: Ledger, write: Write, url: string, headers: Record<string, string>): Promise<void> {
  const { key, value } = write;
  const method = value === undefined ? "DELETE" : "PUT";
  const body = value === undefined ? undefined : JSON.stringify(value);
  const answer = await ask(`${url}/v1/kv/${encodeURIComponent(key)}`, method, headers, body);
  ledger.end(write, outcomeOf(answer));
}

/** A 503 and a deletion that found nothing leave open what has happened. */
function outcomeOf(answer: Answer | undefined): Exclude<Outcome, "under way"> {
  if (answer?.status === 200) return "acknowledged";
  if (answer === undefined || answer.status >= 500 || answer.status === 404) return "unknown";
  return "refused";
}

/** All values that the node shows; undefined when it does not answer. */
export async function readKey(url: string, key: string): Promise<Shown | undefined> {
  const answer = await ask(`${url}/v1/kv/${encodeURIComponent(key)}?siblings`, "GET", {});
  if (answer?.status === 404) return { values: [], token: undefined };
  if (answer?.status === 200) return { values: [JSON.parse(answer.text) as string], token: answer.token };
  if (answer?.status !== 300) return undefined;
  const { siblings } = JSON.parse(answer.text) as { readonly siblings: readonly { readonly value: string }[] };
  return { values: siblings.map(({ value }) => value), token: answer.token };
}

/** Undefined when there is no answer, or half of one. */
export function ask(
  url: string,
  method: string,
  headers: Readonly<Record<string, string>>,
  body?: string,
  patienceMs = PATIENCE_MS,
): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    const typed: Record<string, string> = body === undefined ? {} : { "content-type": "application/json" };
    const sent = request(url, { method, agent, headers: { ...headers, ...typed } });
    const timer = setTimeout(() => sent.destroy(), patienceMs);
    const end = (answer: Answer | undefined): void => {
      clearTimeout(timer);
      resolve(answer);
    };
    sent.on("error", () => end(undefined));
    sent.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("error", () => end(undefined));
      response.on("close", () => end(undefined));
      response.on("end", () => {
        const token = response.headers["concord-token"];
        end(
          response.complete ? { status: response.statusCode ?? 0, token: typeof token === "string" ? token : undefined, text } : undefined,
        );
      });
    });
    sent.end(body);
  });
}
