/**
 * What every command that asks a node has in common: which node, what to show it, whom to believe, and what to say when it does not answer.
 */
import { readClientToken } from "../lib/auth/tokens.ts";
import { readTlsCa } from "../lib/auth/tls-files.ts";
import { createClient, type Client } from "../lib/client.ts";
import { clientFailure, Failure, usageFailure } from "./exit.ts";
import { readNodeUrl } from "./settings.ts";

export const CLIENT_FLAGS = {
  node: {
    type: "string",
    valueHint: "http://127.0.0.1:8001",
    default: "http://127.0.0.1:8001",
    description: "The node to ask.",
  },
  "token-file": { type: "string", valueHint: "FILE", description: "Holds the token to show; its first one counts." },
  "tls-ca": {
    type: "string",
    valueHint: "ca.crt",
    description: "The CA's certificate, for a node at https. Default: the CAs that Node.js knows.",
  },
} as const;

export interface ClientValues {
  readonly node: string;
  readonly "token-file": string | undefined;
  readonly "tls-ca": string | undefined;
}

export async function withClient<T>(values: ClientValues, use: (client: Client) => Promise<T>): Promise<T> {
  const node = readNodeUrl("node", values.node);
  const client = createClient({ node, ...readFiles(values) });
  try {
    return await use(client);
  } catch (error) {
    throw withAdvice(clientFailure(error), values);
  } finally {
    client.close();
  }
}

function readFiles({ "token-file": tokenFile, "tls-ca": tlsCa }: ClientValues): { readonly token?: string; readonly ca?: string } {
  try {
    return { ...(tokenFile !== undefined && { token: readClientToken(tokenFile) }), ...(tlsCa !== undefined && { ca: readTlsCa(tlsCa) }) };
  } catch (error) {
    throw usageFailure(error instanceof Error ? error.message : String(error));
  }
}

function withAdvice(error: unknown, values: ClientValues): unknown {
  if (!(error instanceof Failure)) return error;
  const advice = adviceOn(error.message, values);
  return advice === undefined ? error : new Failure(error.exitCode, `${error.message}; ${advice}`, { cause: error.cause });
}

function adviceOn(problem: string, { node, "token-file": tokenFile, "tls-ca": tlsCa }: ClientValues): string | undefined {
  const { protocol, port } = new URL(node);
  if (problem.includes("a token is needed") && tokenFile === undefined) return "name the file that holds one with --token-file";
  if (!problem.startsWith("no node answers")) return undefined;
  if (protocol === "https:") return problem.includes("certificate") && tlsCa === undefined ? "name the CA's file with --tls-ca" : undefined;
  return `start one with: concord serve --port=${port === "" ? "80" : port} --peers=, or name another with --node`;
}
