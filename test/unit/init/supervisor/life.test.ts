/**
 * Random lives of sandboxes: whatever is killed or stopped, and whenever, nothing is left, the end has a bound, and it
 * does not fail, which would lose a status that is known. The supervisor, the state directory and the driver are the real ones; stand-ins.c
 * stands for virt-qemu-run, QEMU and virtiofsd.
 *
 * A failure prints the seed and the path that do it again: LIFE_SEED=… LIFE_PATH=… LIFE_RUNS is the number of batches.
 */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { claimState, releaseState, stateBase } from '../../../../src/sandbox/state/state-directory.js';
import { messageOf, valueOr } from '../../../../src/util/errors.js';
import { unlessProgram } from '../../../helpers/images.js';
import { aliasesOf, leftAtLast, processesWith, uniqueName } from '../../../helpers/leftovers.js';
import type { Answer, Order } from '../../../helpers/life/launcher.js';
import { REPOSITORY } from '../../../helpers/run.js';

const BATCHES = Number(process.env['LIFE_RUNS'] ?? 2);
/** Lives of a batch run side by side, since most of them wait. */
const BATCH = 100;

/** More than all limits of a launcher's end together, in milliseconds: src/libvirt/supervisor.ts. */
const END_MS = 40_000;

const LAUNCHER = fileURLToPath(new URL('../../../helpers/life/launcher.js', import.meta.url));

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGSTOP', 'SIGCONT'] as const;

type Victim = 'launcher' | 'supervisor' | 'driver' | 'machine' | 'server';

interface Event {
  /** Milliseconds after the one before. */
  readonly wait: number;
  readonly victim: Victim;
  readonly signal: (typeof SIGNALS)[number] | 'SIGKILL';
}

interface Life {
  /** How long libvirt takes to start the machine, in milliseconds. */
  readonly late: number;
  readonly fails: boolean;
  /** QEMU ignores SIGTERM. */
  readonly stubborn: boolean;
  readonly events: readonly Event[];
  /** libvirt has nothing to clean up, so it is killed. */
  readonly killed: boolean;
  /** The program has ended, and its status is known; else the sandbox is told to end. */
  readonly programEnds: boolean;
}

const EVENT = fc.record<Event>({
  wait: fc.integer({ min: 0, max: 40 }),
  victim: fc.oneof(
    { weight: 3, arbitrary: fc.constant<Victim>('supervisor') },
    { weight: 4, arbitrary: fc.constantFrom<Victim>('launcher', 'driver', 'machine', 'server') },
  ),
  signal: fc.oneof(
    { weight: 6, arbitrary: fc.constant('SIGKILL' as const) },
    { weight: 3, arbitrary: fc.constantFrom(...SIGNALS) },
  ),
});

const LIFE = fc.record<Life>({
  late: fc.constantFrom(0, 0, 10, 60),
  fails: fc.oneof({ weight: 7, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  stubborn: fc.oneof({ weight: 9, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  events: fc.array(EVENT, { maxLength: 4 }),
  killed: fc.boolean(),
  programEnds: fc.boolean(),
});

/** A launcher, and what it has answered. */
class Launcher {
  readonly process: ChildProcess;
  readonly #answers: Answer[] = [];
  readonly #events = new EventEmitter().setMaxListeners(0);

  constructor(path: string) {
    const env = { ...process.env, PATH: path };
    this.process = fork(LAUNCHER, { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    // It may be killed in the middle of a message.
    this.process.on('error', () => {});
    this.process.on('message', (answer: Answer) => {
      this.#answers.push(answer);
      this.#events.emit('change');
    });
    this.process.once('exit', () => this.#events.emit('change'));
  }

  get lives(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  tell(order: Order): void {
    if (this.lives) this.process.send(order, () => {});
  }

  answerTo(name: string, what: Answer['done']): Answer | undefined {
    return this.#answers.find((answer) => answer.name === name && answer.done === what);
  }

  /** Waits for the answer; undefined: it died without one. */
  async answered(name: string, what: Answer['done']): Promise<Answer | undefined> {
    const late = AbortSignal.timeout(END_MS);
    while (this.lives && this.answerTo(name, what) === undefined) {
      await once(this.#events, 'change', { signal: late }).catch(() => {
        throw new Error(`no answer to ${what} within ${END_MS} ms`);
      });
    }
    return this.answerTo(name, what);
  }
}

const childrenOf = (pid: number | undefined) =>
  valueOr(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8'), '')
    .split(' ')
    .map(Number)
    .filter((child) => child > 1);

const commandOf = (pid: number) => valueOr(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'), '');

/** The process that an event is about; undefined: there is none now. */
function pidOf(victim: Victim, { process: launcher }: Launcher, name: string): number | undefined {
  const state = join(stateBase(), name);
  const supervisor = () => childrenOf(launcher.pid).find((pid) => commandOf(pid).includes(`/supervisor\0${state}\0`));
  const fromFile = (file: string) =>
    valueOr(() => Number.parseInt(readFileSync(join(state, 'libvirt/run/qemu', file), 'utf8'), 10), Number.NaN);
  const found = {
    launcher: () => launcher.pid,
    supervisor,
    driver: () => childrenOf(supervisor()).find((pid) => commandOf(pid).includes(`/virt-qemu-run\0-r\0`)),
    machine: () => fromFile(`${name}.pid`),
    server: () => fromFile(`1-${name}-fs0-fs.pid`),
  }[victim]();
  return found === undefined || Number.isNaN(found) ? undefined : found;
}

function signal(pid: number | undefined, number: NodeJS.Signals): void {
  if (pid === undefined) return;
  valueOr(() => process.kill(pid, number), false);
}

describe('lives of sandboxes', { skip: unlessProgram('gcc') }, () => {
  let directory = '';
  const launchers = new Set<Launcher>();
  /** Has the sandboxes of all lives in which nothing happens to the launcher. */
  let shared: Launcher;

  const newLauncher = () => {
    const launcher = new Launcher([directory, process.env['PATH'] ?? ''].join(delimiter));
    launchers.add(launcher);
    return launcher;
  };

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'vs-life-'));
    const source = join(REPOSITORY, 'test/helpers/life/stand-ins.c');
    execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-o', join(directory, 'virt-qemu-run'), source]);
    shared = newLauncher();
  });
  after(() => {
    for (const { process: child } of launchers) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });

  /** @returns the name that is to be gone */
  async function live(life: Life): Promise<string> {
    const name = uniqueName();
    const isOwn = life.events.some(({ victim }) => victim === 'launcher');
    const launcher = isOwn ? newLauncher() : shared;
    await launcher.answered('', 'ready');
    const label = life.killed ? 'model="dac" relabel="no"' : '';
    const settings = `${name} ${life.late} ${Number(life.fails)} ${Number(life.stubborn)} ${label}\n`;
    launcher.tell({ order: 'start', name, settings, cacheDirectory: join(directory, 'cache') });
    for (const { wait, victim, signal: number } of life.events) {
      await sleep(wait);
      signal(pidOf(victim, launcher, name), number);
    }
    // A launcher that was stopped does nothing, and its sandbox stays as it is.
    if (isOwn) signal(launcher.process.pid, 'SIGCONT');
    const started = await launcher.answered(name, 'start');
    if (started !== undefined && started.failure === undefined) {
      launcher.tell({ order: 'end', name, force: life.programEnds });
      await launcher.answered(name, 'end');
      // Why a driver failed may be known a moment later.
      if (life.fails) await launcher.answered(name, 'stopped');
    }
    if (launcher.lives) assertRight(life, launcher, name);
    // Whoever wants the name removes what is left, also of a supervisor that was stopped.
    else releaseState(claimState(name, 'embedded'));
    if (isOwn) launcher.process.kill('SIGKILL');
    return name;
  }

  /** Says which of the lives went wrong. */
  const lived = (life: Life) =>
    live(life).catch((error: unknown) => {
      throw new Error(`${JSON.stringify(life)}: ${messageOf(error)}`, { cause: error });
    });

  /** What the launcher has answered must follow from what was done to it. */
  function assertRight({ fails, killed, events }: Life, launcher: Launcher, name: string): void {
    const [started, stopped, ended] = (['start', 'stopped', 'end'] as const).map((what) =>
      launcher.answerTo(name, what),
    );
    const hurt = new Set(events.filter((event) => event.signal !== 'SIGCONT').map(({ victim }) => victim));
    if (started?.failure === undefined) assert.ok(ended, 'there is an end');
    assert.equal(ended?.failure, undefined, 'the end');
    if (!hurt.has('supervisor')) assert.equal(started?.failure, undefined, 'the start');
    else assert.ok(['supervisor-failed', undefined].includes(started?.failure), started?.failure);
    if (!hurt.has('supervisor')) assert.notEqual(stopped?.failure, 'supervisor-lost');
    // One that is killed may not have come to say why it fails.
    const reasons = killed ? ['domain-refused', undefined] : ['domain-refused'];
    if (fails && hurt.size === 0) assert.ok(reasons.includes(stopped?.failure), stopped?.failure);
  }

  it('leave nothing, and end', async () => {
    const seed = process.env['LIFE_SEED'];
    const again = process.env['LIFE_PATH'];
    const batch = fc.array(LIFE, { minLength: BATCH, maxLength: BATCH, size: 'max' });
    await fc.assert(
      fc.asyncProperty(batch, async (lives) => {
        const results = await Promise.allSettled(lives.map((life) => lived(life)));
        // All have ended, so that the next batch begins with nothing.
        const names = results.map((result) => {
          if (result.status === 'rejected') throw result.reason;
          return result.value;
        });
        const look = () =>
          names.flatMap((name) => [
            ...processesWith(name),
            ...(existsSync(join(stateBase(), name)) ? [join(stateBase(), name)] : []),
            ...aliasesOf(name),
          ]);
        // The supervisor of a launcher that was killed may still be at it.
        assert.deepEqual(await leftAtLast(look), []);
      }),
      {
        numRuns: BATCHES,
        endOnFailure: true,
        ...(seed === undefined ? {} : { seed: Number(seed) }),
        ...(again === undefined ? {} : { path: again }),
      },
    );
  });
});
