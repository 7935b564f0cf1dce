/** What `concord serve` says at its start of who may talk to it: what was asked for, in words, and what is still open. */
import { isLoopback } from "../lib/auth/loopback.ts";
import type { ServeOptions } from "../lib/serve.ts";

type Given = Pick<ServeOptions, "hostname" | "clusterKeyFile" | "tokenFile" | "tls" | "insecure">;

/** None for a node that only this machine reaches and that asks for nothing. */
export function linesOfAccess({ hostname = "127.0.0.1", clusterKeyFile, tokenFile, tls, insecure = false }: Given): string[] {
  const isReached = !isLoopback(hostname);
  if (clusterKeyFile === undefined && tls === undefined && !isReached) return [];
  const shown = [clusterKeyFile !== undefined && "sign with the cluster key", tls !== undefined && "show a certificate"].filter(Boolean);
  const peers = shown.length === 0 ? "anybody can be a peer" : `peers ${shown.join(" and ")}`;
  const clients =
    tokenFile !== undefined ? "clients show a token" : insecure ? "anybody can be a client" : "clients are on this machine only";
  const lines = [`${peers}, ${clients}`];
  if (isReached && tls === undefined) {
    lines.push("what goes over the network can be read there, tokens and values alike: concord certs, and --tls-cert, encrypt it");
  }
  return lines;
}
