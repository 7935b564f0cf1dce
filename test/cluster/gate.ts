/**
 * A gate before a node: a forwarder of connections that can pass everything, refuse, fall silent, or fall silent after so many bytes. It
 * stands for the network between two machines, which can fail in each of these ways while both machines are well.
 */
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import type { ExecutionContext } from "ava";

export interface Gate {
  readonly url: string;
  pass(): void;
  /** Ends every connection, and each new one at once. */
  refuse(): void;
  /** Takes connections and everything they send, and answers nothing. */
  hang(): void;
  /** Passes so many bytes of the node's answers, then hangs. */
  hangAfter(answerBytes: number): void;
  /** Whether `hangAfter` has come to its end. */
  readonly isHanging: boolean;
}

export async function openGate(t: ExecutionContext, port: number): Promise<Gate> {
  const sockets = new Set<Socket>();
  let mode: "pass" | "refuse" | "hang" = "pass";
  let bytesLeft = Infinity;

  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => sockets.delete(socket));
  };
  const server = createServer((caller) => {
    keep(caller);
    if (mode === "refuse") return void caller.resetAndDestroy();
    const node = connect({ port, host: "127.0.0.1" });
    keep(node);
    caller.on("data", (chunk) => mode === "pass" && node.write(chunk));
    node.on("data", (chunk: Buffer) => {
      bytesLeft -= chunk.length;
      if (bytesLeft <= 0) mode = "hang";
      if (mode === "pass") caller.write(chunk);
    });
    caller.once("close", () => node.destroy());
    node.once("close", () => {
      if (mode !== "hang") caller.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });

  const enter = (next: typeof mode, answerBytes = Infinity): void => {
    mode = next;
    bytesLeft = answerBytes;
    // Nobody may go on with a connection that has lost bytes.
    if (next === "refuse" || answerBytes === Infinity) for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    pass: () => enter("pass"),
    refuse: () => enter("refuse"),
    hang: () => enter("hang"),
    hangAfter: (answerBytes) => enter("pass", answerBytes),
    get isHanging() {
      return mode === "hang";
    },
  };
}
