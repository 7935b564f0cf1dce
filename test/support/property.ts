/**
 * Properties as tests. Inside a property use node:assert, not ava's `t`: ava takes the first failure of `t` as the test's own, so that
 * neither the shrunk counterexample nor the seed is ever seen. Here both are printed.
 */
import type { ExecutionContext } from "ava";
import fc from "fast-check";

export function holds<T>(t: ExecutionContext, property: fc.IProperty<T>, parameters: fc.Parameters<T> = {}): void {
  const details = fc.check(property, { ...parameters, includeErrorInReport: true });
  t.false(details.failed, fc.defaultReportMessage(details));
}

export async function holdsAsync<T>(t: ExecutionContext, property: fc.IAsyncProperty<T>, parameters: fc.Parameters<T> = {}): Promise<void> {
  const details = await fc.check(property, { ...parameters, includeErrorInReport: true });
  t.false(details.failed, await fc.asyncDefaultReportMessage(details));
}
