/** The proxy by which bytes are counted, itself counted. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import test, { type ExecutionContext } from "ava";
import { startCountingProxy } from "./counting-proxy.ts";

/** Answers each byte with two. */
async function startDoubler(t: ExecutionContext): Promise<string> {
  const server = createServer((socket) =>
    socket.on("data", (chunk) => socket.write(Buffer.concat([chunk, chunk]))).on("error", () => socket.destroy()),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function ask(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  let answer = "";
  while (answer.length < 2 * text.length) answer += String((await once(socket, "data"))[0]);
  return answer;
}

test("every byte is passed on and counted, each way, over all connections", async (t) => {
  const proxy = await startCountingProxy(await startDoubler(t));
  const sockets = [connect(proxy.port), connect(proxy.port)] as const;
  t.is(await ask(sockets[0], "abc"), "abcabc");
  t.is(await ask(sockets[1], "x".repeat(100_000)), "x".repeat(200_000));
  t.deepEqual(proxy.bytes(), { up: 100_003, down: 200_006 });
  t.is(proxy.connections(), 2);
  proxy.reset();
  t.is(await ask(sockets[0], "z"), "zz");
  t.deepEqual(proxy.bytes(), { up: 1, down: 2 });
  t.is(proxy.connections(), 0);
  await proxy.close();
});

test("closed, it ends what runs through it, and can be started on the same port again", async (t) => {
  const target = await startDoubler(t);
  const proxy = await startCountingProxy(target);
  const socket = connect(proxy.port);
  await ask(socket, "a");
  const ended = once(socket, "close");
  await proxy.close();
  await ended;
  const again = await startCountingProxy(target, proxy.port);
  t.is(again.port, proxy.port);
  const other = connect(again.port);
  t.is(await ask(other, "b"), "bb");
  await again.close();
});
