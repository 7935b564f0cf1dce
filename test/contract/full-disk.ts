/** Filling a small disk, wherever that disk is: here, or in a child process that is started on one. */
import type { ConcordError } from "../../lib/core/errors.ts";
import type { Storage, StorageChange } from "../../lib/core/ports.ts";

export interface FullDiskReport {
  /** Batches that were acknowledged before one was refused. */
  readonly acknowledged: number;
  readonly code: string;
  readonly message: string;
  /** The code of the next write after that. */
  readonly codeAfter: string;
  /** Acknowledged batches that cannot be read back whole. */
  readonly lost: number;
  /** Rows of the refused batch that can be read. */
  readonly stray: number;
}

/** Writes batches of one large and one small row until one is refused. */
export async function fill(storage: Storage): Promise<FullDiskReport> {
  const held = (number: number): number => fillBatch(number).filter(({ key }) => storage.get(key) !== undefined).length;
  let acknowledged = 0;
  let refusal = await refusalOf(storage, fillBatch(0));
  while (refusal === undefined) {
    acknowledged++;
    refusal = await refusalOf(storage, fillBatch(acknowledged));
  }
  const after = await refusalOf(storage, [{ key: "after", value: Buffer.alloc(1) }]);
  const lost = Array.from({ length: acknowledged }, (_, number) => held(number)).filter((count) => count !== 2).length;
  const { code, message } = refusal;
  return { acknowledged, code, message, codeAfter: after?.code ?? "accepted", lost, stray: held(acknowledged) };
}

function fillBatch(number: number): StorageChange[] {
  return [
    { key: `large ${number}`, value: Buffer.alloc(20_000, number) },
    { key: `small ${number}`, value: Buffer.alloc(10, number) },
  ];
}

async function refusalOf(storage: Storage, batch: readonly StorageChange[]): Promise<ConcordError | undefined> {
  try {
    await storage.write(batch);
  } catch (error) {
    return error as ConcordError;
  }
  return undefined;
}
