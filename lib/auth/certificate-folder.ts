/**
 * A folder with a CA and the certificates that it has signed: ca.crt, ca.key, and a pair of files for each host.
 *
 * What is there already of the CA is used, so the same call a year later renews the certificates, and with another host adds a node. Files are
 * replaced as a whole: a node that is looking meanwhile sees the old or the new.
 */
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createCa, createCertificate, validFor, type CertificateTexts } from "./certificates.ts";
import { invalid, readTextFile } from "./secret-file.ts";

export interface CertificateFiles {
  readonly host: string;
  readonly cert: string;
  readonly key: string;
}

export interface CertificateFolder {
  readonly ca: string;
  readonly caKey: string;
  /** Made just now. */
  readonly isNew: boolean;
  readonly certificates: readonly CertificateFiles[];
}

/** Longer than the hardware under it; when it ends, all nodes get new certificates. */
const CA_DAYS = 3_650;

/** Throws `invalid`, also when a file cannot be written. */
export async function fillCertificateFolder(
  folder: string,
  hosts: readonly string[],
  days: number,
  nowMs: number,
): Promise<CertificateFolder> {
  try {
    mkdirSync(folder, { recursive: true });
    const ca = join(folder, "ca.crt");
    const caKey = join(folder, "ca.key");
    const isNew = !existsSync(ca) && !existsSync(caKey);
    const texts = isNew ? await createCa(validFor(CA_DAYS, nowMs)) : readCa(ca, caKey);
    if (isNew) writePair(ca, caKey, texts);
    const certificates: CertificateFiles[] = [];
    for (const host of hosts) {
      const name = host.replaceAll(":", "_");
      const files = { host, cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
      writePair(files.cert, files.key, await createCertificate(texts, namesOf(host), validFor(days, nowMs)));
      certificates.push(files);
    }
    return { ca, caKey, isNew, certificates };
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (path === undefined) throw error;
    throw invalid(`${path} cannot be written: ${String(code)}`);
  }
}

function readCa(ca: string, caKey: string): CertificateTexts {
  for (const path of [ca, caKey]) {
    if (!existsSync(path)) throw invalid(`${path} is missing, and its other half is there: put it back, or begin in another folder`);
  }
  return { cert: readTextFile(ca, "the CA's certificate", "anybody"), key: readTextFile(caKey, "the CA's key", "owner") };
}

/** This machine has three names for itself. */
function namesOf(host: string): string[] {
  return host === "localhost" ? ["localhost", "127.0.0.1", "::1"] : [host];
}

function writePair(cert: string, key: string, texts: CertificateTexts): void {
  write(key, texts.key, 0o600);
  write(cert, texts.cert, 0o644);
}

function write(path: string, text: string, mode: number): void {
  const temporary = `${path}.new`;
  writeFileSync(temporary, text, { mode, flush: true });
  renameSync(temporary, path);
}
