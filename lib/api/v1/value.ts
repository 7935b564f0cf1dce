/**
 * Values on their way in and out: bytes with a media type over HTTP, in the store JSON text or bytes with a media type.
 *
 * What was sent as application/json is stored as JSON, byte for byte, and is what the base protocol calls a value. Anything else keeps
 * its type; the base protocol shows it as base64 beside its type (answer.ts).
 */
import { isUtf8 } from "node:buffer";
import { NAME_BYTES_MAX } from "../../core/codec.ts";
import type { KvValue } from "../../core/kv.ts";
import { Problem } from "./problem.ts";

const JSON_TYPE = "application/json";
const BYTES_TYPE = "application/octet-stream";

/** type/subtype and parameters, as RFC 9110 has them, in the characters that a header may hold. */
const MEDIA_TYPE = /^[!#$%&'*+.^_`|~\w-]+\/[!#$%&'*+.^_`|~\w-]+(?:\s*;[\x20-\x7e]*)?$/;

/** "" for JSON. Throws Problem. */
export function contentTypeOf(header: string | undefined, field = "content-type"): string {
  const type = (header ?? BYTES_TYPE).trim();
  if (!MEDIA_TYPE.test(type) || type.length > NAME_BYTES_MAX) {
    const hint = `Such as ${JSON_TYPE} or text/plain; charset=utf-8, with ${NAME_BYTES_MAX} characters at most.`;
    throw new Problem("invalid", `${JSON.stringify(type.slice(0, 60))} is not a media type`, { field, hint });
  }
  const [essence = "", ...parameters] = type.toLowerCase().split(";");
  if (essence.trim() !== JSON_TYPE) return type;
  const charset = parameters.find((parameter) => parameter.trim().startsWith("charset="))?.replace(/["\s]|.*=/g, "");
  if (charset === undefined || charset === "utf-8" || charset === "utf8") return "";
  throw new Problem("invalid", `JSON in ${charset}`, { field, hint: "JSON is sent in UTF-8." });
}

/** Throws Problem. What else there is to say of JSON, the store says. */
export function checkUtf8(contentType: string, bytes: Uint8Array): void {
  if (contentType !== "" || isUtf8(bytes)) return;
  throw new Problem("invalid", "the body is not valid UTF-8, which JSON has to be", {
    field: "body",
    hint: "Send another Content-Type for bytes.",
  });
}

export function mediaTypeOf({ contentType }: KvValue): string {
  return contentType === "" ? JSON_TYPE : contentType;
}

/** Seconds until the value is gone, as a header and an answer say it; undefined when it stays. */
export function expiresIn({ expiresAtMs }: KvValue, nowMs: number): number | undefined {
  return expiresAtMs === 0 ? undefined : Math.max(0, expiresAtMs - nowMs) / 1000;
}
