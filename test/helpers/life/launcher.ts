/**
 * A process that has sandboxes, as virt-sandbox has one, up to their machines: it claims the name, has libvirt start the
 * domain, and ends it. What it is told and what it answers are messages of Node.js.
 */
import { connectEmbedded } from '../../../src/libvirt/embedded.js';
import { DomainRun } from '../../../src/sandbox/start/domain-run.js';
import { SandboxError } from '../../../src/util/errors.js';

export type Order = { readonly name: string } & (
  | { readonly order: 'start'; readonly settings: string; readonly cacheDirectory: string }
  /** `force`: the guest has synced, and sent its status. */
  | { readonly order: 'end'; readonly force: boolean }
);

export interface Answer {
  /** Empty for `ready`, which comes first. */
  readonly name: string;
  readonly done: Order['order'] | 'stopped' | 'ready';
  /** The code of the error, or what it says where it is none of ours. */
  readonly failure: string | undefined;
}

/** How long the machine may take to start, in milliseconds. */
const TIMEOUT_MS = 30_000;

const runs = new Map<string, DomainRun>();

const failureOf = (error: unknown) => (error instanceof SandboxError ? error.code : String(error));

function answer(name: string, done: Answer['done'], failure?: string): void {
  process.send?.({ name, done, failure } satisfies Answer);
}

async function start({ name, settings, cacheDirectory }: Extract<Order, { order: 'start' }>): Promise<void> {
  const connection = connectEmbedded({ cacheDirectory });
  const run = new DomainRun({ connection, name, timeout: TIMEOUT_MS, signal: undefined, onConsole: undefined });
  try {
    run.claim();
    await run.open({ monitored: false });
    run.start(settings);
    const { stopped } = await run.within(run.domain, 'the start');
    void stopped.then(({ error }) => answer(name, 'stopped', error && failureOf(error)));
    runs.set(name, run);
    answer(name, 'start');
  } catch (error) {
    await run.end({ force: false });
    run.release();
    answer(name, 'start', failureOf(error));
  }
}

async function end(name: string, force: boolean): Promise<void> {
  const run = runs.get(name);
  let failure: string | undefined;
  try {
    await run?.end({ force });
  } catch (error) {
    failure = failureOf(error);
  }
  run?.release();
  runs.delete(name);
  answer(name, 'end', failure);
}

process.on('message', (order: Order) => {
  void (order.order === 'start' ? start(order) : end(order.name, order.force));
});
answer('', 'ready');
