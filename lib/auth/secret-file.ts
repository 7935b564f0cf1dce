/**
 * Files that hold secrets: the cluster key, tokens, the private key of a certificate. A secret comes by file and by nothing else, because
 * arguments and environments are shown to other programs of the machine.
 *
 * A file that others can read is refused, as ssh refuses one: a secret that has been public for a year is noticed by nobody. An
 * administrator's file may be readable by its group, since that is how container platforms and packages hand secrets to a program.
 * No message ever quotes what is in a file.
 */
import { closeSync, fstatSync, openSync, readFileSync, type Stats } from "node:fs";
import { ConcordError } from "../core/errors.ts";

/** Hundreds of tokens, or a long chain of certificates. */
const FILE_BYTES_MAX = 256 * 1024;

/** For whom the file's text may be readable. */
export type Readers = "owner" | "anybody";

/** `what` names the file in messages: "the cluster key file". Throws `invalid`. */
export function readTextFile(path: string, what: string, readers: Readers): string {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (error) {
    throw invalid(`${what} ${path} cannot be read: ${reasonOf(error)}`);
  }
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw invalid(`${what} ${path} is not a file`);
    if (stats.size > FILE_BYTES_MAX) throw invalid(`${what} ${path} has ${stats.size} bytes; ${FILE_BYTES_MAX} are the most`);
    if (readers === "owner" && isOpenToOthers(stats)) {
      throw invalid(`${what} ${path} can be read or changed by other users: type chmod 600 ${path}`);
    }
    return readFileSync(file, "utf8");
  } finally {
    closeSync(file);
  }
}

/** The lines that say something: without comments, which begin with #, and without empty ones. */
export function linesOf(text: string): { readonly number: number; readonly text: string }[] {
  const lines = text.replace(/^\ufeff/, "").split(/\r?\n/);
  return lines.map((line, i) => ({ number: i + 1, text: line.replace(/(^|\s)#.*$/, "").trim() })).filter((line) => line.text !== "");
}

function isOpenToOthers({ mode, uid }: Stats): boolean {
  // Windows has no such bits, and says that everybody may do everything.
  if (process.platform === "win32") return false;
  const isAdministrators = uid === 0 && process.getuid?.() !== 0;
  return (mode & (isAdministrators ? 0o037 : 0o077)) !== 0;
}

export function invalid(message: string): ConcordError {
  return new ConcordError("invalid", message);
}

function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES") return "this user may not read it";
  return String(code ?? error);
}
