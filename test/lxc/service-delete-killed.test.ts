/** A service that runs is removed, while who removes it, its holder or its supervisor is killed at each step. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { childrenOf } from '../helpers/killed-images.js';
import { traceRunning } from '../helpers/killed-programs.js';
import { isKilled, killedAt, type Step, someSteps, tracedFor, unlessTraced } from '../helpers/killing.js';
import { assertNothingLeft, entriesIn, exceptLogs, leftAtLast } from '../helpers/leftovers.js';
import type { RunResult } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { createdService, LIVES, SERVICES, type TestService } from '../helpers/services.js';

/** What each of them does. */
const CALLS = {
  program: ['flock', 'connect', 'rename', 'unlink', 'rmdir'],
  holder: ['kill', 'rename', 'unlink', 'rmdir', 'shutdown'],
  supervisor: ['rename', 'unlinkat', 'unlink', 'rmdir'],
} as const;
/** What it does if a process of the container is still there. */
const AT_TIMES = { program: [], holder: [], supervisor: ['pidfd_send_signal'] } as const;

type Who = keyof typeof CALLS;

const RUN = '/run/libvirt-sandbox';

/** Places that have something of one service at each step. */
class Removal {
  readonly #t: TestContext;
  readonly #states: string;
  readonly #log: string;

  constructor(t: TestContext) {
    this.#t = t;
    this.#states = scratchDirectory(t, WITH_ATTRIBUTES);
    this.#log = join(scratchDirectory(t), 'calls');
  }

  /** @returns some of the steps of a removal in which nothing is killed */
  async steps(who: Who): Promise<Step[]> {
    const { service, pids } = await this.#running();
    const { code, stderr } = await this.#remove(service, pids, who);
    assert.equal(code, 0, stderr);
    await this.#assertGone(service, pids, 'nothing is killed');
    return [...AT_TIMES[who].map((call) => ({ call, when: 1 })), ...someSteps(CALLS[who], this.#log)];
  }

  /** Removes one, and then what is left. @returns whether something was killed */
  async killedAt(who: Who, step: Step): Promise<boolean> {
    const { service, pids } = await this.#running();
    const ended = await this.#remove(service, pids, who, step);
    const text = `${who} at ${step.call} ${step.when}: ${ended.signal ?? ended.code} ${ended.stderr}`;
    isKilled(ended);
    if (existsSync(join(SERVICES, service.name))) {
      // It is there as a whole.
      assert.match(await service.ok(['show']), /^argv\.0=sleep$/m, text);
      assert.ok(existsSync(join(this.#states, service.name, 'overlay.json')), text);
    }
    const { code, stderr } = await service.run(['delete']);
    assert.ok(code === 0 || /there is no service/.test(stderr), `${text}; then ${stderr}`);
    await this.#assertGone(service, pids, text);
    return /^\d+ +\+\+\+ killed by SIGKILL/m.test(readFileSync(this.#log, 'latin1'));
  }

  async #running(): Promise<{ readonly service: TestService; readonly pids: Record<Who, number> }> {
    const service = await createdService(this.#t, lxc, ['-p', this.#states], ['--', 'sleep', '1000']);
    await service.ok(['start'], [], { env: { UV_THREADPOOL_SIZE: '1' } });
    const { pid: holder = 0 } = await service.status();
    const [supervisor = 0] = childrenOf(holder, 'supervisor');
    this.#t.after(() => {
      // What it has moved aside when it is killed has no name any more: a sandbox that ends a minute later removes it.
      for (const entry of entriesIn(RUN).filter((one) => one.startsWith(`.stale-${supervisor}-`)))
        rmSync(join(RUN, entry), { recursive: true, force: true });
    });
    return { service, pids: { program: 0, holder, supervisor } };
  }

  async #remove(service: TestService, pids: Record<Who, number>, who: Who, step?: Step): Promise<RunResult> {
    const [calls, log] = [[...CALLS[who], ...AT_TIMES[who]], this.#log];
    if (who !== 'program') {
      await traceRunning(this.#t, pids[who], { calls, log, step });
      return service.run(['delete']);
    }
    const tracing = { isAlone: true, log };
    const words = step === undefined ? tracedFor(calls, tracing) : killedAt(step, tracing);
    return service.run(['delete'], [], { through: [...(lxc.options.through ?? []), ...words] });
  }

  /** Neither a container, nor a process, a claim, a log or a directory. */
  async #assertGone({ name }: TestService, { holder }: Record<Who, number>, text: string): Promise<void> {
    await assertNothingLeft(name, { ...exceptLogs(lxc.where), state: RUN });
    const left = () => [
      ...entriesIn(SERVICES).filter((entry) => entry.includes(name)),
      ...entriesIn(LIVES).filter((entry) => entry.includes(name)),
      ...entriesIn(`${RUN}-services`).filter((entry) => entry === name || entry.startsWith(`.claim-${holder}-`)),
      ...entriesIn(RUN).filter((entry) => entry === name),
      ...entriesIn(this.#states),
    ];
    assert.deepEqual(await leftAtLast(left), [], text);
  }
}

describe('a container whose service is removed', { skip: lxc.skip || unlessTraced() }, () => {
  for (const who of ['program', 'holder', 'supervisor'] as const)
    it(`is gone after the next call, when the ${who} is killed`, async (t) => {
      const removal = new Removal(t);
      const killed = new Set<string>();
      for (const step of await removal.steps(who)) if (await removal.killedAt(who, step)) killed.add(step.call);
      for (const call of AT_TIMES[who]) killed.delete(call);
      assert.deepEqual([...killed], [...CALLS[who]], 'calls at which it was killed');
    });
});
