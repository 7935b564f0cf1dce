/** Types, by assignment: what does not hold keeps this file from compiling, which the types step of `npm test` looks at. */
import test from "ava";
import { ClientError, connect, type Change, type ClientErrorCode, type Entry, type Found, type Session } from "../../lib/connect.ts";

/** The same type, both ways. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
/** Of a value: its type is just T. */
const is =
  <T>() =>
  <V>(_value: V, holds: Same<V, T>): boolean =>
    holds;

interface User {
  readonly name: string;
}

interface Schema {
  readonly config: { readonly dark: boolean };
  readonly [user: `user/${string}`]: User;
}

/** Never called: it is there to be compiled. */
export async function compiled(): Promise<void> {
  const store = connect("http://localhost:8001");
  const unknown = await store.get("k");
  is<unknown>()(unknown, true);
  const user = await store.get<User>("k");
  is<User | undefined>()(user, true);
  const found = await store.read<User>("k");
  is<Found<User> | undefined>()(found, true);
  await store.put("k", { anything: [1] });

  const typed = connect<Schema>({ nodes: ["http://localhost:8001"] });
  const config = await typed.get("config");
  is<Schema["config"] | undefined>()(config, true);
  const ada = await typed.get("user/ada");
  is<User | undefined>()(ada, true);
  const other = await typed.get<number>("config");
  is<number | undefined>()(other, true);
  await typed.put("user/ada", { name: "Ada" });
  // @ts-expect-error -- not what the schema says of the key
  await typed.put("user/ada", { dark: true });
  // @ts-expect-error -- no key of the schema
  await typed.get("nothing");
  await typed.batch([
    { op: "put", key: "config", value: { dark: true } },
    { op: "delete", key: "user/ada" },
  ]);
  // @ts-expect-error -- a value of the other key
  await typed.batch([{ op: "put", key: "config", value: { name: "Ada" } }]);
  const session: Session<Schema> = typed.session();
  is<boolean>()(await session.touch("config", 1), true);
  for await (const entry of typed.list()) is<Entry<User | Schema["config"]>>()(entry, true);
  for await (const entry of store.list<User>()) is<Entry<User>>()(entry, true);
  for await (const change of store.watch<User>()) {
    is<Change<User>>()(change, true);
    if (change.kind === "put") is<User | undefined>()(change.value, true);
    // @ts-expect-error -- a deletion has no value
    if (change.kind === "delete") is<never>()(change.value, true);
  }
  // @ts-expect-error -- no option of that name
  await store.get("k", { ttl: 1 });
}

test("an error's code is of a closed list", (t) => {
  const code: ClientErrorCode = new ClientError("behind", "text").code;
  const status: number | undefined = new ClientError("behind", "text", { status: 503 }).status;
  // @ts-expect-error -- no code of the list
  const wrong = new ClientError("nonsense", "text");
  t.deepEqual([code, status, wrong.mayBeStored], ["behind", 503, false]);
});
