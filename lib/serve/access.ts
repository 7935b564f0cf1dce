/**
 * Who may talk to this node, put together from its options: the cluster key, the tokens and the certificate, read at the start, and again
 * whenever their files have changed. A start with a bad file is refused; a change to a bad one is said once, and the old stays in use.
 */
import { createAccess, type Access } from "../api/access.ts";
import type { HttpServer } from "../api/http.ts";
import { readClusterKeys, type ClusterKeys } from "../auth/cluster-key.ts";
import { readTlsFiles, type TlsIdentity, type TlsPaths } from "../auth/tls-files.ts";
import { readTokens, type Tokens } from "../auth/tokens.ts";
import { Verifier } from "../auth/verifier.ts";
import type { Log } from "../core/ports.ts";
import type { HttpTransportOptions } from "../transport/http.ts";
import { Current } from "./current.ts";
import { createRefusals } from "./refusals.ts";

export interface NodeAccessOptions {
  readonly clusterKeyFile?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly tls?: TlsPaths | undefined;
  readonly insecure?: boolean | undefined;
}

export interface NodeAccess {
  /** For the server's start. */
  readonly tls: TlsIdentity | undefined;
  /** For what goes to peers. */
  readonly outgoing: Pick<HttpTransportOptions, "keys" | "tls">;
  /** For what comes in; undefined lets everybody in. */
  incoming(log: Log): Access | undefined;
  /** What GET /status says of it. */
  about(): Readonly<Record<string, unknown>>;
  /** From now on changes are taken over. */
  follow(log: Log, server: Pick<HttpServer, "renew">): void;
  stop(): void;
}

/** Throws `invalid` when a file is missing, or not what it should be. */
export function openAccess({ clusterKeyFile, tokenFile, tls: tlsPaths, insecure = false }: NodeAccessOptions): NodeAccess {
  const keys = clusterKeyFile === undefined ? undefined : currentKeys(clusterKeyFile);
  const tokens = tokenFile === undefined ? undefined : currentTokens(tokenFile);
  const tls = tlsPaths === undefined ? undefined : currentTls(tlsPaths);
  const clients = tokens !== undefined ? "token" : insecure ? "anybody" : "this machine";
  const refusals = createRefusals();
  return {
    tls: tls?.value,
    outgoing: { keys: keys && (() => keys.value), tls: tls && (() => tls.value) },
    incoming(log) {
      if (keys === undefined && tls === undefined) return undefined;
      const verifier = keys && new Verifier(() => keys.value);
      const onRefused = (from: string, problem: string): void => refusals.add(log, from, problem);
      return createAccess({ verifier, tokens: () => tokens?.value, clients, certificates: tls !== undefined, onRefused });
    },
    about() {
      if (keys === undefined && tls === undefined) return {};
      const certificate = tls === undefined ? {} : { certificateUntil: new Date(tls.value.untilMs).toISOString() };
      return { access: { clusterKeys: keys?.value.length ?? 0, clients, ...certificate, refused: refusals.count } };
    },
    follow(log, server) {
      warnOfEnd(log, tls?.value);
      keys?.follow(log);
      tokens?.follow(log);
      tls?.follow(log, (renewed) => {
        server.renew(renewed);
        warnOfEnd(log, renewed);
      });
    },
    stop() {
      for (const current of [keys, tokens, tls]) current?.stop();
    },
  };
}

function currentKeys(path: string): Current<ClusterKeys> {
  return new Current({ what: "the cluster key", paths: [path], read: () => readClusterKeys(path) });
}

function currentTokens(path: string): Current<Tokens> {
  return new Current({ what: "the token file", paths: [path], read: () => readTokens(path) });
}

function currentTls(paths: TlsPaths): Current<TlsIdentity> {
  return new Current({ what: "the certificate", paths: [paths.cert, paths.key, paths.ca], read: () => readTlsFiles(paths) });
}

const DAY_MS = 86_400_000;

/** Time enough for whoever reads logs once a week. */
const WARN_DAYS = 30;

function warnOfEnd(log: Log, tls: TlsIdentity | undefined): void {
  const days = tls === undefined ? Infinity : (tls.untilMs - Date.now()) / DAY_MS;
  if (days < 0) log.write("warn", "this node's certificate has expired: peers and clients refuse it; make new ones with concord certs");
  else if (days < WARN_DAYS)
    log.write("warn", `this node's certificate expires in ${Math.floor(days)} days; make new ones with concord certs`);
}
