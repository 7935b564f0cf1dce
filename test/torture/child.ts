/** A helper process that answers each line with a line of JSON, and is made anew when it has been killed. */
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

export class LineChild<Task, Report> {
  readonly #file: string;
  #process: ChildProcess | undefined;
  #lines: AsyncIterator<string> | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  /** Undefined when the process did not live to answer. */
  async ask(task: Task): Promise<Report | undefined> {
    if (this.#process === undefined) this.#start();
    this.#process!.stdin!.write(`${JSON.stringify(task)}\n`);
    const { value, done } = await this.#lines!.next();
    if (done !== true) return JSON.parse(value) as Report;
    this.#process = undefined;
    return undefined;
  }

  end(): void {
    this.#process?.kill("SIGKILL");
  }

  #start(): void {
    const child = spawn(process.execPath, ["--import=tsx", this.#file], { stdio: ["pipe", "pipe", "inherit"] });
    child.stdin.on("error", () => undefined);
    this.#process = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }
}
