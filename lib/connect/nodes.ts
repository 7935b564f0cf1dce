/**
 * Several nodes as one: a request goes to the node that answered last, and to the next one when that fails.
 *
 * A read is tried on each node. A write is tried on another one only when it surely was not taken: no connection came about, or the node
 * said so before it began. Everything else might be done twice, and with the value of the second time over what somebody else wrote in
 * between. A deletion by token is the exception: done twice it deletes the same again.
 */
import { ClientError, type ClientErrorDetails } from "./error.ts";
import { exchange, openStream, type Ask, type Reply, type Stream, type Wire } from "./exchange.ts";

export interface Attempt {
  readonly ask: Ask;
  /** A repeatable write does the same when it is done twice. */
  readonly kind: "read" | "write" | "repeatable write";
  /** A write that waits for copies may be stored although the node says that it is overloaded, or stopping. */
  readonly waitsForCopies?: boolean;
  /** To be done at the same node first. */
  readonly before?: Ask | undefined;
  /** Judges an answer: the failure that it amounts to, if it does. */
  readonly judge?: (reply: Reply) => ClientError | undefined;
}

export interface Nodes {
  readonly addresses: readonly string[];
  ask(attempt: Attempt): Promise<Reply>;
  open(ask: Ask, silenceMsMax: number): Promise<Stream>;
}

/** Failures that another node may not have. */
const OF_ONE_NODE: ReadonlySet<string> = new Set([
  ...["unreachable", "timeout", "not-a-node", "internal", "damaged", "peer-failed"],
  ...["overloaded", "stopping", "storage-failed", "too-few-copies", "behind", "disk-full", "refused"],
]);

/** Refusals before anything was written. */
const BEFORE_ANYTHING: ReadonlySet<string> = new Set(["overloaded", "stopping"]);

export function createNodes(addresses: readonly string[], wire: Wire): Nodes {
  let preferred = 0;

  /** Tries the nodes, beginning with the preferred one, until one succeeds or a failure is final. */
  const inTurn = async <T>(work: (node: string) => Promise<T>, mayGoOn: (error: ClientError) => boolean): Promise<T> => {
    const first = preferred;
    const failures: ClientError[] = [];
    for (let i = 0; i < addresses.length; i++) {
      const at = (first + i) % addresses.length;
      try {
        const result = await work(addresses[at]!);
        preferred = at;
        return result;
      } catch (error) {
        if (!(error instanceof ClientError)) throw error;
        // Whatever becomes of this request, the next one begins elsewhere.
        if (OF_ONE_NODE.has(error.code)) preferred = (at + 1) % addresses.length;
        if (!mayGoOn(error)) throw error;
        failures.push(error);
      }
    }
    throw failures.length === 1 ? failures[0]! : together(failures);
  };

  return {
    addresses,
    ask(attempt) {
      const { ask, before, judge } = attempt;
      const once = async (node: string): Promise<Reply> => {
        // What fails before the request proper has not stored anything.
        if (before !== undefined) await exchange(wire, node, before).catch(rethrowAs(asUntaken));
        const reply = await exchange(wire, node, ask);
        const problem = judge?.(reply);
        if (problem !== undefined) throw problem;
        return reply;
      };
      const onceMore = async (node: string): Promise<Reply> => {
        try {
          return await once(node);
        } catch (error) {
          // A kept connection that the node has closed: with one node there is nobody else to ask.
          const broke = error instanceof ClientError && error.code === "unreachable" && error.mayBeStored;
          if (!broke || attempt.kind === "write" || addresses.length > 1) throw error;
          return once(node);
        }
      };
      const mayGoOn = (error: ClientError): boolean =>
        OF_ONE_NODE.has(error.code) && (attempt.kind !== "write" || isUntaken(error, attempt));
      return inTurn(onceMore, mayGoOn).catch(rethrowAs((error) => judged(error, attempt)));
    },
    open: (ask, silenceMsMax) =>
      inTurn(
        (node) => openStream(wire, node, ask, silenceMsMax),
        (error) => OF_ONE_NODE.has(error.code),
      ),
  };
}

class Untaken extends ClientError {}

/** What is no ClientError is the reason of the caller's signal, and stays as it is. */
function rethrowAs(change: (error: ClientError) => ClientError): (error: unknown) => never {
  return (error) => {
    throw error instanceof ClientError ? change(error) : error;
  };
}

function asUntaken(error: ClientError): ClientError {
  return new Untaken(error.code, error.message, { ...detailsOf(error), mayBeStored: false });
}

/** Says of the last failure whether what was to be written may be stored. */
function judged(error: ClientError, attempt: Attempt): ClientError {
  const mayBeStored = attempt.kind !== "read" && OF_ONE_NODE.has(error.code) && !isUntaken(error, attempt);
  return new ClientError(error.code, error.message, { ...detailsOf(error), mayBeStored });
}

function detailsOf({ status, hint, field, node, cause }: ClientError): ClientErrorDetails {
  return { status, hint, field, node, cause };
}

function isUntaken(error: ClientError, { waitsForCopies = false }: Attempt): boolean {
  if (error instanceof Untaken) return true;
  if (error.code === "unreachable") return !error.mayBeStored;
  return BEFORE_ANYTHING.has(error.code) && !waitsForCopies;
}

/** The last failure, with all of them as its cause. */
function together(failures: readonly ClientError[]): ClientError {
  const last = failures[failures.length - 1]!;
  const message = `none of ${failures.length} nodes could answer; the last one: ${last.message}`;
  const mayBeStored = failures.some((failure) => failure.mayBeStored);
  return new ClientError(last.code, message, { ...detailsOf(last), mayBeStored, cause: new AggregateError(failures) });
}
