/**
 * What peers sign, and how it looks on the wire.
 *
 *   authorization: Concord BASE.TIME.SESSION.COUNT.DIGEST.MAC        with a request
 *   authentication-info: MAC                                         with its answer
 *
 * The request's MAC is an HMAC-SHA-256 over all these fields, the method, the path and the From header; DIGEST is the body's SHA-256, so
 * that a stranger is refused before a byte of the body is read. The answer's covers the request's MAC, the status and the body: it answers this request
 * and no other, and nobody between the two can make one up.
 *
 * TIME is in milliseconds on the RECEIVER's own clock since its start, and BASE names that start: wall clocks play no part (verifier.ts).
 * SESSION and COUNT are the nonce: a name that the sender draws, and a number that it never uses twice.
 */
import { createHmac, hash, timingSafeEqual, type KeyObject } from "node:crypto";

/** What came, or goes, without a key's help. */
export interface Claim {
  /** Empty when the sender does not know the receiver yet. */
  readonly base: string;
  readonly timeMs: number;
  readonly session: string;
  readonly count: number;
  /** Of the body. */
  readonly digest: string;
}

export interface RequestLine {
  readonly method: string;
  /** With its query, as it stands on the wire. */
  readonly path: string;
  /** The sender's address, if it says one. */
  readonly from: string;
}

/** Bytes of a name that is drawn at random: of a base, of a session. */
export const NAME_BYTES = 12;

const SCHEME = "Concord ";

/** Names of twelve bytes and digests of thirty-two, in base64url; numbers that JavaScript can hold. */
const FIELDS = /^([\w-]{16})?\.(\d{1,15})\.([\w-]{16})\.(\d{1,15})\.([\w-]{43})\.([\w-]{43})$/;

export function digestOf(body: string | Uint8Array): string {
  return hash("sha256", body, "base64url");
}

export function requestMac(key: KeyObject, { base, timeMs, session, count, digest }: Claim, { method, path, from }: RequestLine): string {
  const text = `concord request 1\n${base}\n${timeMs}\n${session}\n${count}\n${method}\n${path}\n${from}\n${digest}`;
  return createHmac("sha256", key).update(text).digest("base64url");
}

export function answerMac(key: KeyObject, mac: string, status: number, body: string | Uint8Array): string {
  return createHmac("sha256", key)
    .update(`concord answer 1\n${mac}\n${status}\n${digestOf(body)}`)
    .digest("base64url");
}

export function writeAuthorization({ base, timeMs, session, count, digest }: Claim, mac: string): string {
  return `${SCHEME}${base}.${timeMs}.${session}.${count}.${digest}.${mac}`;
}

export function isSigned(authorization: string): boolean {
  return authorization.startsWith(SCHEME);
}

/** Undefined for anything that is not of the form. */
export function readAuthorization(authorization: string): { readonly claim: Claim; readonly mac: string } | undefined {
  const [matched, base = "", timeMs, session = "", count, digest = "", mac = ""] = FIELDS.exec(authorization.slice(SCHEME.length)) ?? [];
  if (matched === undefined || !isSigned(authorization)) return undefined;
  return { claim: { base, timeMs: Number(timeMs), session, count: Number(count), digest }, mac };
}

/** In a time that does not depend on where they differ. */
export function sameMac(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
