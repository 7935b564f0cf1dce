/**
 * A node's certificate, its private key and the certificates of its cluster's CA, as texts, from files that were looked at together.
 *
 * The three are needed together: with the first two a node shows who it is, with the third it tells whom it believes. TLS 1.3 and nothing
 * older, since all that speak it here were written after it.
 */
import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { invalid, readTextFile } from "./secret-file.ts";

export interface TlsPaths {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** PEM. */
export interface TlsTexts {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export interface TlsIdentity extends TlsTexts {
  /** The certificate's last second. */
  readonly untilMs: number;
}

export const TLS_VERSION_MIN = "TLSv1.3";

/** Throws `invalid`. */
export function readTlsFiles(paths: TlsPaths): TlsIdentity {
  const cert = readTextFile(paths.cert, "the certificate", "anybody");
  const key = readTextFile(paths.key, "the certificate's key", "owner");
  const ca = readTlsCa(paths.ca);
  try {
    createSecureContext({ cert, key, ca, minVersion: TLS_VERSION_MIN });
    return { cert, key, ca, untilMs: Date.parse(new X509Certificate(cert).validTo) };
  } catch (error) {
    throw invalid(`${paths.cert} and ${paths.key} are no certificate and its key in PEM: ${reasonOf(error)}`);
  }
}

/** Throws `invalid`. */
export function readTlsCa(path: string): string {
  const ca = readTextFile(path, "the CA's certificate", "anybody");
  try {
    new X509Certificate(ca);
    return ca;
  } catch (error) {
    throw invalid(`${path} is no certificate in PEM: ${reasonOf(error)}`);
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "ERR_OSSL_X509_KEY_VALUES_MISMATCH") return "the key is that of another certificate";
  return message;
}
