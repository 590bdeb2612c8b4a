/** The environment of this process, for tests of what goes into other programs. */
import type { TestContext } from 'node:test';

/** Sets variables until the test ends; each once. */
export function withEnvironment(context: TestContext, values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values)) {
    const before = process.env[name];
    process.env[name] = value;
    context.after(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
}
