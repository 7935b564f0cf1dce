/**
 * Values on their way: JSON as JavaScript has it, and bytes with their media type. What a node holds as JSON comes back parsed, anything
 * else as bytes. Without Node's Buffer, so that it runs in browsers.
 */
import { ClientError } from "./error.ts";

export type Bytes = Uint8Array | ArrayBuffer;

const JSON_TYPE = "application/json";
const BYTES_TYPE = "application/octet-stream";

export interface Encoded {
  readonly contentType: string;
  readonly body: string | Uint8Array<ArrayBuffer>;
}

/** Throws `invalid`. With another content type than JSON a text is sent as it stands. */
export function encodeValue(value: unknown, contentType?: string): Encoded {
  if (value instanceof Uint8Array || value instanceof ArrayBuffer) {
    const bytes = value instanceof ArrayBuffer ? new Uint8Array(value) : (value as Uint8Array<ArrayBuffer>);
    return { contentType: contentType ?? BYTES_TYPE, body: bytes };
  }
  if (contentType === undefined || isJson(contentType)) return { contentType: JSON_TYPE, body: jsonOf(value) };
  if (typeof value === "string") return { contentType, body: value };
  throw new ClientError("invalid", `a value of type ${contentType} is given as a text or as bytes`);
}

export function decodeValue(bytes: Uint8Array<ArrayBuffer>, contentType: string): unknown {
  return isJson(contentType) ? JSON.parse(new TextDecoder().decode(bytes)) : bytes;
}

/** Throws `invalid` for what JSON cannot say. */
export function jsonOf(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new ClientError("invalid", `the value cannot be written as JSON: ${String(error)}`, { cause: error });
  }
  if (text !== undefined) return text;
  throw new ClientError("invalid", `the value is ${typeof value}, which JSON cannot say; delete the key, or write null`);
}

/** The members of a JSON answer that hold a value. */
export interface Carried {
  readonly value?: unknown;
  readonly contentType?: string;
  readonly encoding?: string;
}

export function valueOf({ value, encoding }: Carried): unknown {
  return encoding === "base64" ? bytesOf(String(value)) : value;
}

export function typeOf({ contentType }: Carried): string {
  return contentType ?? JSON_TYPE;
}

/** As a batch takes it. */
export function carry(value: unknown, contentType?: string): Carried {
  const encoded = encodeValue(value, contentType);
  if (encoded.contentType === JSON_TYPE && typeof encoded.body === "string") return { value };
  const bytes = typeof encoded.body === "string" ? new TextEncoder().encode(encoded.body) : encoded.body;
  return { value: base64Of(bytes), contentType: encoded.contentType, encoding: "base64" };
}

function isJson(contentType: string): boolean {
  return contentType.split(";", 1)[0]?.trim().toLowerCase() === JSON_TYPE;
}

/** Arguments of one call. */
const PART = 8 * 1024;

function base64Of(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += PART) text += String.fromCharCode(...bytes.subarray(at, at + PART));
  return btoa(text);
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
}

/** As a segment of a path. Throws `invalid`. */
export function encodeKey(key: string): string {
  // Every URL class takes these for steps, escaped or not.
  if (key === "." || key === "..")
    throw new ClientError("invalid", `the key ${JSON.stringify(key)} cannot stand in a URL; choose another one`);
  if (key === "") throw new ClientError("invalid", "the key is empty; a key has 1 to 1024 bytes");
  return encodeText(key);
}

/** Throws `invalid`. */
export function encodeText(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    throw new ClientError("invalid", "the text holds half of a surrogate pair");
  }
}
