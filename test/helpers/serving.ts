/** virt-sandbox-service with services of names that nobody else has, which are removed after the test. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type ServiceRoots, serviceRoots } from '../../src/service/paths.js';
import { entriesIn, uniqueName } from './leftovers.js';
import { type Running, type RunOptions, type RunResult, SERVICE_PROGRAM, startSandbox } from './run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from './scratch.js';

export interface ServiceProgram {
  /** A name for a service. */
  readonly name: string;
  readonly roots: ServiceRoots;
  /** For states: `--path`. */
  readonly states: string;
  run(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  begin(args: readonly string[], options?: RunOptions): Running;
  /** Its output, of a run that succeeds. */
  out(...args: string[]): Promise<string>;
  json(...args: string[]): Promise<unknown>;
  /** Runs it to fail with status 125 and that on stderr. */
  fails(args: readonly string[], pattern: RegExp): Promise<void>;
  /** Makes the service, with its state in the scratch directory. */
  create(...args: string[]): Promise<string>;
  /** What is there of names that begin with the name: below the services, and of the states. */
  leftovers(): string[];
}

/**
 * @param context when it ends, whatever has the name is removed
 * @param given for every run
 */
export function serviceProgram(context: Pick<TestContext, 'after'>, given: RunOptions = {}): ServiceProgram {
  const name = uniqueName();
  const roots = serviceRoots();
  const states = scratchDirectory(context, WITH_ATTRIBUTES);
  const begin = (args: readonly string[], options: RunOptions = {}) =>
    startSandbox(args, { program: SERVICE_PROGRAM, ...given, ...options });
  const run = (args: readonly string[], options?: RunOptions) => begin(args, options).result;
  const out = async (...args: string[]) => {
    const { code, out, stderr } = await run(args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}`);
    return out;
  };
  const leftovers = () => [
    ...entriesIn(roots.services).filter((entry) => entry.replace(/^\./, '').startsWith(name)),
    ...entriesIn(states),
  ];
  context.after(async () => {
    for (const entry of entriesIn(roots.services).filter((one) => one.startsWith(name))) await run(['delete', entry]);
    for (const entry of leftovers()) rmSync(join(roots.services, entry), { recursive: true, force: true });
  });
  return {
    name,
    roots,
    states,
    run,
    begin,
    out,
    json: async (...args) => JSON.parse(await out(...args, '--json')) as unknown,
    fails: async (args, pattern) => {
      const { code, out, stderr } = await run(args);
      assert.deepEqual([code, out], [125, ''], stderr);
      assert.match(stderr, pattern);
    },
    create: (...args) => out('create', '--path', states, ...args),
    leftovers,
  };
}
