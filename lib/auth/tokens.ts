/**
 * Clients' tokens: what a program shows to read, or to read and write. They are not the cluster key: whoever has that is a peer and may
 * say what any node has written; whoever has a token may do what the token says and no more.
 *
 * The file holds a token a line, after ro or rw. Only hashes of them are kept, and all are compared, each in constant time: how
 * long a refusal takes says nothing about how near a guess was.
 */
import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { invalid, linesOf, readTextFile } from "./secret-file.ts";

export type Role = "ro" | "rw";

export interface Tokens {
  /** Undefined for one that is not in the file. */
  roleOf(token: string): Role | undefined;
}

/** Some 20 µs of comparing with each request. */
const TOKENS_MAX = 64;

/** What is random in a new one. */
const TOKEN_BYTES = 24;

/** Guessed at over the network only, and still nothing that people choose by heart. */
const TOKEN_CHARS_MIN = 16;
const TOKEN_CHARS_MAX = 512;

/** The characters that RFC 6750 allows. */
const TOKEN = /^[\w.~+/=-]+$/;

const WHAT = "the token file";

/** Throws `invalid`. */
export function readTokens(path: string): Tokens {
  const lines = linesOf(readTextFile(path, WHAT, "owner"));
  if (lines.length === 0) throw invalid(`${WHAT} ${path} holds no token: concord keygen --tokens FILE makes one to read and one to write`);
  if (lines.length > TOKENS_MAX) throw invalid(`${WHAT} ${path} holds ${lines.length} tokens; ${TOKENS_MAX} are the most`);
  const known: { readonly role: Role; readonly digest: Buffer }[] = [];
  for (const { number, text } of lines) {
    const [role = "", token, ...more] = text.split(/\s+/);
    if ((role !== "ro" && role !== "rw") || token === undefined || more.length > 0) {
      throw invalid(`${WHAT} ${path}, line ${number}: a line is "ro TOKEN" or "rw TOKEN"`);
    }
    checkToken(token, `${WHAT} ${path}, line ${number}`);
    const digest = digestOf(token);
    if (known.some((other) => other.digest.equals(digest))) throw invalid(`${WHAT} ${path}, line ${number}: the token is there already`);
    known.push({ role, digest });
  }
  return {
    roleOf(token) {
      const digest = digestOf(token);
      let found: Role | undefined;
      for (const other of known) if (timingSafeEqual(other.digest, digest)) found = other.role;
      return found;
    },
  };
}

/** The token that a client shows: the first of its file, which may also be the node's own. Throws `invalid`. */
export function readClientToken(path: string): string {
  const [line] = linesOf(readTextFile(path, WHAT, "owner"));
  if (line === undefined) throw invalid(`${WHAT} ${path} holds no token`);
  const token = line.text.replace(/^r[ow]\s+/, "");
  checkToken(token, `${WHAT} ${path}, line ${line.number}`);
  return token;
}

export function createToken(): string {
  return randomBytes(TOKEN_BYTES).toString("base64url");
}

function checkToken(token: string, where: string): void {
  if (token.length < TOKEN_CHARS_MIN || token.length > TOKEN_CHARS_MAX) {
    throw invalid(`${where}: a token has ${TOKEN_CHARS_MIN} to ${TOKEN_CHARS_MAX} characters`);
  }
  if (!TOKEN.test(token)) throw invalid(`${where}: a token is made of letters, digits and - . _ ~ + / =`);
}

function digestOf(token: string): Buffer {
  return hash("sha256", token, "buffer");
}
