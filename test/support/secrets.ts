/** Keys, tokens and certificates for tests, in folders that are gone afterwards. */
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { fillCertificateFolder } from "../../lib/auth/certificate-folder.ts";
import { createClusterKey } from "../../lib/auth/cluster-key.ts";
import type { TlsPaths } from "../../lib/auth/tls-files.ts";

export const READ_TOKEN = "a-token-that-may-read";
export const WRITE_TOKEN = "a-token-that-may-write";
export const TOKEN_LINES = `ro ${READ_TOKEN}\nrw ${WRITE_TOKEN}\n`;

export async function secretFolder(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "concord-secrets-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Returns the file's path. */
export async function secretFile(t: ExecutionContext, text: string, mode = 0o600): Promise<string> {
  const path = join(await secretFolder(t), "secret");
  await writeFile(path, text, { mode });
  return path;
}

export const clusterKeyFile = (t: ExecutionContext): Promise<string> => secretFile(t, `${createClusterKey()}\n`);

export const tokenFile = (t: ExecutionContext): Promise<string> => secretFile(t, TOKEN_LINES);

export interface Certificates {
  readonly folder: string;
  /** Of the host, as a node takes them. */
  paths(host: string): TlsPaths;
}

export interface CertificateOptions {
  readonly days?: number;
  /** When they are made. */
  readonly nowMs?: number;
  /** The CA that signs them; a new one by default. */
  readonly ca?: Certificates;
}

export async function certificatesFor(
  t: ExecutionContext,
  hosts: readonly string[],
  { days = 90, nowMs = Date.now(), ca }: CertificateOptions = {},
): Promise<Certificates> {
  const folder = await secretFolder(t);
  if (ca !== undefined) for (const file of ["ca.crt", "ca.key"]) await copyFile(join(ca.folder, file), join(folder, file));
  await fillCertificateFolder(folder, hosts, days, nowMs);
  return {
    folder,
    paths: (host) => ({ cert: join(folder, `${host}.crt`), key: join(folder, `${host}.key`), ca: join(folder, "ca.crt") }),
  };
}
