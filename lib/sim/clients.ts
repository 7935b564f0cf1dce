/**
 * The clients: carry out the planned operations through the same Kv that every face of a node calls, and check what an acknowledgement
 * promises at the moment at which it arrives.
 */
import { ConcordError } from "../core/errors.ts";
import type { KvOperation, KvReceipt } from "../core/kv.ts";
import { keyToBytes, markAt } from "../core/layout.ts";
import type { Machine } from "./machine.ts";
import { formatOperation, type PlannedOperation, type PlannedPart } from "./plan.ts";
import { readTwo } from "./read-two.ts";
import { read, type Reading } from "./reading.ts";
import type { WriteRecord } from "./ledger.ts";
import type { Submitted } from "./view.ts";
import type { Seen } from "./merging.ts";
import type { World } from "./world.ts";

export class Clients {
  readonly #world: World;
  readonly #machines: ReadonlyMap<string, Machine>;
  /** The last token that any client got for a key, by reading or by writing it. */
  readonly #tokens = new Map<string, Reading>();
  readonly #lastValues = new Map<string, string>();
  #lastMs = -1;
  #lastNode = "";

  constructor(world: World, machines: ReadonlyMap<string, Machine>) {
    this.#world = world;
    this.#machines = machines;
  }

  perform(operation: PlannedOperation): void {
    const machine = this.#machines.get(operation.node);
    machine?.whenAwake(() => this.#perform(operation, machine));
  }

  #perform(operation: PlannedOperation, machine: Machine): void {
    const { life } = machine;
    if (life === undefined || life.node.stopped !== undefined) return;
    this.#world.say(() => `client ${formatOperation(operation).replace(/^\S+ /, "")}`);
    const [first] = operation.parts;
    if (first?.kind === "read") return readTwo(this.#world, this.#machines, machine, first.key, operation.copies);
    const operations: KvOperation[] = [];
    const submitted: Submitted[] = [];
    operation.parts.forEach((part, i) => {
      const { key, ttlMs } = part;
      const set = part.kind === "add" ? this.#world.merging.addTo(part, operation.id, () => this.#elementsAt(key, machine)) : undefined;
      const reading = part.kind === "add" ? set?.reading : this.#tokenFor(part, machine);
      const value = part.kind === "put" ? this.#valueFor(part, `${operation.id}.${i}`) : set?.value;
      const increment = part.kind === "increment" ? this.#world.merging.attempt(key, operation.id) : undefined;
      const { condition, demand } = this.#demandOf(part, machine);
      const touch = part.kind === "touch";
      // Who has read nothing takes nothing out of a set either.
      const beside = set !== undefined && reading === undefined;
      operations.push({ key, value, token: reading?.token, ttlMs: ttlMs === 0 ? undefined : ttlMs, condition, touch, increment, beside });
      submitted.push({ key: keyToBytes(key), observed: reading?.dots, demand, isTouch: touch, records: [] });
    });
    life.view.submit(submitted);
    this.#world.isUnsettled = true;
    const startedMs = this.#world.events.nowMs;
    // A node that has not yet heard of any other refuses to promise two copies.
    const copies = Math.min(operation.copies, 1 + life.node.replica.membership.members().length);
    // A write of the same turn may take the mark away before this one is told.
    const wasMarked = submitted.some(({ key }) => machine.disk.get(markAt(key)) !== undefined);
    life.kv.write(operations, { copies }).then(
      (receipt) => this.#onReceipt({ ...operation, copies }, machine, submitted, receipt, startedMs),
      (error: unknown) => this.#onRefusal(operation, machine, submitted, wasMarked, error),
    );
    this.#count(operation);
  }

  #tokenFor({ token, tokenNode, key }: PlannedPart, here: Machine): Reading | undefined {
    if (token === "none") return undefined;
    if (token === "old") return this.#tokens.get(key);
    const reading = read(this.#world, token === "here" ? here : (this.#machines.get(tokenNode) ?? here), key);
    if (reading !== undefined) this.#tokens.set(key, reading);
    return reading;
  }

  /** What a client that wants to add to a set reads of it; nothing when it is refused, too. */
  #elementsAt(key: string, machine: Machine): Seen | undefined {
    const reading = read(this.#world, machine, key);
    const value = reading === undefined ? undefined : machine.life?.kv.get(key);
    if (reading === undefined || value === undefined) return undefined;
    return { elements: JSON.parse(Buffer.from(value.value).toString("utf8")) as number[], reading };
  }

  #demandOf({ demand, key }: PlannedPart, here: Machine): Pick<KvOperation, "condition"> & Pick<Submitted, "demand"> {
    if (demand === "none") return {};
    if (demand === "free") return { condition: { kind: "absent" }, demand };
    const shown = (demand === "old" ? this.#tokens.get(key) : read(this.#world, here, key))?.shown;
    return shown === undefined ? {} : { condition: { kind: "matching", tags: [shown.tag] }, demand: shown.dots };
  }

  #valueFor({ key, rewrite, valueBytes }: PlannedPart, id: string): Buffer {
    const text = (rewrite ? this.#lastValues.get(key) : undefined) ?? JSON.stringify(`${id}${"-".repeat(valueBytes)}`);
    this.#lastValues.set(key, text);
    return Buffer.from(text, "utf8");
  }

  #onReceipt(operation: PlannedOperation, machine: Machine, submitted: readonly Submitted[], receipt: KvReceipt, startedMs: number): void {
    const { ledger, disks } = this.#world;
    const records = submitted.flatMap((part) => part.records);
    this.#world.say(() => `client #${operation.id} is told: durable on ${receipt.copies}`);
    submitted.forEach(({ records: own, demand, isTouch }, i) => {
      const { key, kind } = operation.parts[i]!;
      if (own.length > 0 && operation.id % 3 === 0) this.#tokens.set(key, { token: receipt.tokens[i]!, dots: own.map(({ dot }) => dot) });
      if (receipt.changed[i] !== own.length > 0) this.#fail("wrong-receipt", operation, machine);
      if (kind === "delete" && own.length === 0) this.#world.coverage.count("delete-nothing");
      this.#world.merging.acknowledge(operation.parts[i]!, operation.id);
      if (isTouch === true) this.#world.coverage.count(own.length > 0 ? "touch" : "touch-nothing");
      if (demand !== undefined) this.#world.coverage.count("demand-met");
    });
    for (const record of records) {
      record.acknowledged = true;
      // A write that waits for copies may have been lost from this disk meanwhile; the other copy is there.
      if (machine.disk.damage.happened && this.#world.lastLossMs >= startedMs) continue;
      if (record.state !== "durable" || !machine.disk.knows(record.dot)) this.#fail("acknowledged-before-durable", operation, machine);
      else if (record.sibling !== undefined && !machine.disk.isLive(record.dot) && !ledger.isSuperseded(record.dot, undefined)) {
        this.#fail("acknowledged-not-stored", operation, machine);
      }
    }
    if (receipt.copies < operation.copies && records.length > 0) this.#fail("too-few-copies-acknowledged", operation, machine);
    // A disk that was lost since then held it at the time.
    if (receipt.copies <= 1 || this.#world.lastLossMs >= startedMs) return;
    const holders = [...disks.values()].filter((disk) => records.every((record) => this.#isHeld(record, disk)));
    if (holders.length < receipt.copies) this.#fail("copies-not-durable", operation, machine);
    this.#world.coverage.count("two-copies");
  }

  #isHeld(record: WriteRecord, disk: Machine["disk"]): boolean {
    if (!disk.knows(record.dot)) return this.#world.ledger.isSuperseded(record.dot, undefined);
    return record.sibling === undefined || disk.isLive(record.dot) || this.#world.ledger.isSuperseded(record.dot, undefined);
  }

  #onRefusal(operation: PlannedOperation, machine: Machine, submitted: readonly Submitted[], wasMarked: boolean, error: unknown): void {
    this.#world.say(() => `client #${operation.id} is refused: ${String(error)}`);
    const code = error instanceof ConcordError ? error.code : "unknown";
    if (code === "too-few-copies") return this.#world.coverage.count("too-few-copies");
    if (code === "storage-failed" || code === "disk-full" || code === "stopping") return this.#world.coverage.count("refused-storage");
    if (code === "condition-failed" && submitted.some(({ demand }) => demand !== undefined))
      return this.#world.coverage.count("demand-refused");
    if (code === "damaged" && (machine.disk.damage.happened || wasMarked)) return this.#world.coverage.count("refused-damaged");
    // A key that piles up values under old tokens is refused by its limit.
    if (code !== "too-large") this.#world.fail("needless-refusal", `${machine.name} refused #${operation.id}: ${String(error)}`);
  }

  #fail(check: string, { id }: PlannedOperation, { name }: Machine): void {
    this.#world.fail(check, `${name} told the client of #${id} so`);
  }

  #count(operation: PlannedOperation): void {
    const { coverage, events } = this.#world;
    if (this.#lastMs === events.nowMs && this.#lastNode !== operation.node) coverage.count("same-moment");
    this.#lastMs = events.nowMs;
    this.#lastNode = operation.node;
    if (operation.parts.length > 1) coverage.count("batch");
    for (const { kind, token, rewrite, ttlMs } of operation.parts) {
      if (kind === "delete") coverage.count(token === "none" ? "delete" : "delete-token");
      else if (kind === "increment" || kind === "add") coverage.count(token === "old" ? "add-token-old" : kind);
      else if (kind !== "put") continue;
      else if (token !== "none") coverage.count(`put-token-${token}`);
      else if (ttlMs > 0) coverage.count("put-expiring");
      else coverage.count(rewrite ? "rewrite" : "put");
    }
  }
}
