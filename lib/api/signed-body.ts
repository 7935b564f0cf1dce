/**
 * The digests of bodies that were signed, from the moment when the signature was checked to the one when the body has come. Bodies are
 * read by whoever needs them, in one place (body.ts), which asks here whether this is the body that was meant.
 */
import type { IncomingMessage } from "node:http";
import { digestOf } from "../auth/signature.ts";

const expected = new WeakMap<IncomingMessage, string>();

export function expectBody(incoming: IncomingMessage, digest: string): void {
  expected.set(incoming, digest);
}

export function isExpectedBody(incoming: IncomingMessage, body: Uint8Array): boolean {
  const digest = expected.get(incoming);
  return digest === undefined || digest === digestOf(body);
}
