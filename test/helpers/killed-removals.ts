/** Services that run and are removed, while who removes them, or what holds them, is killed. */
import assert from 'node:assert/strict';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Way } from './connections.js';
import { DEAF, type Holder, holdersOf, recordOfLife, STAYS, STUBBORN_KEYS } from './killed-holders.js';
import { traceRunning } from './killed-programs.js';
import { hasKilled } from './killing/kill-at.js';
import { assertKilledAt, isKilled, killedAt, type Step, someSteps, tracedFor } from './killing.js';
import { assertNothingLeft, entriesIn, exceptLogs, leftAtLast, ROOT_STATE } from './leftovers.js';
import { holdsDuring } from './meanwhile.js';
import type { RunResult } from './run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from './scratch.js';
import { createdService, LIVES, SERVICES, type TestService } from './services.js';

/** Calls of a process at which it is killed. */
export interface KilledCalls {
  readonly who: 'program' | Holder;
  readonly calls: readonly string[];
  /** What it does if a process of the sandbox is still there. */
  readonly atTimes?: readonly string[];
}

interface Removed {
  readonly service: TestService;
  readonly pids: ReadonlyMap<string, number>;
}

/** Places that have something of one service at each step. */
export class Removal {
  readonly #t: TestContext;
  readonly #way: Way;
  readonly #options: readonly string[];
  readonly #states: string;
  readonly #log: string;

  /** @param options of `create` */
  constructor(t: TestContext, way: Way, options: readonly string[] = []) {
    this.#t = t;
    this.#way = way;
    this.#options = options;
    this.#states = scratchDirectory(t, WITH_ATTRIBUTES);
    this.#log = join(scratchDirectory(t), 'calls');
  }

  /** At some calls of each kind: {@link someSteps}. */
  async assertKilledAt(killing: KilledCalls): Promise<void> {
    const { calls, atTimes = [] } = killing;
    const killed = new Set<string>();
    for (const step of await this.#steps(killing)) if (await this.#killedAt(killing, step)) killed.add(step.call);
    for (const call of atTimes) killed.delete(call);
    assertKilledAt(killed, calls);
  }

  /** When the service has been told to end, which it does not. @param who one of {@link holdersOf} */
  async assertKilledAtStop(who: string): Promise<void> {
    const removed = await this.#running(['sh', '-c', `${DEAF}; echo deaf; ${STAYS}`], STUBBORN_KEYS);
    const { service, pids } = removed;
    // What is started may not have come so far.
    await service.untilLog('deaf\n');
    const removing = service.begin(['delete']);
    await holdsDuring(removing.result, () => recordOfLife(service.name).phase === 'stopping');
    process.kill(pids.get(who) ?? 0, 'SIGKILL');
    const ended = await removing.result;
    await this.#assertRemovable(removed, `${who}, while it stops: ${ended.code} ${ended.stderr}`);
  }

  /** @returns some of the steps of a removal in which nothing is killed */
  async #steps(killing: KilledCalls): Promise<Step[]> {
    const removed = await this.#running();
    const { code, stderr } = await this.#remove(removed, killing);
    assert.equal(code, 0, stderr);
    await this.#assertGone(removed, 'nothing is killed');
    const { calls, atTimes = [] } = killing;
    return [...atTimes.map((call) => ({ call, when: 1 })), ...someSteps(calls, this.#log)];
  }

  /** Removes one, and then what is left. @returns whether something was killed */
  async #killedAt(killing: KilledCalls, step: Step): Promise<boolean> {
    const removed = await this.#running();
    const ended = await this.#remove(removed, killing, step);
    const text = `${killing.who} at ${step.call} ${step.when}: ${ended.signal ?? ended.code} ${ended.stderr}`;
    isKilled(ended);
    await this.#assertRemovable(removed, text);
    return hasKilled(this.#log);
  }

  /** It is there as a whole, or not at all, and the next call removes what is left. */
  async #assertRemovable(removed: Removed, text: string): Promise<void> {
    const { service } = removed;
    if (existsSync(join(SERVICES, service.name))) {
      assert.match(await service.ok(['show']), /^argv\.0=s(?:leep|h)$/m, text);
      const state = this.#options.includes('-i') ? `${service.name}.qcow2` : join(service.name, 'overlay.json');
      assert.ok(existsSync(join(this.#states, state)), text);
    }
    const { code, stderr } = await service.run(['delete']);
    assert.ok(code === 0 || /there is no service/.test(stderr), `${text}; then ${stderr}`);
    await this.#assertGone(removed, text);
  }

  async #running(command = ['sleep', '1000'], keys: Readonly<Record<string, number>> = {}): Promise<Removed> {
    const options = ['-p', this.#states, ...this.#options];
    const service = await createdService(this.#t, this.#way, options, ['--', ...command]);
    service.set(keys);
    await service.ok(['start'], [], { env: { ...this.#way.options.env, UV_THREADPOOL_SIZE: '1' } });
    const pids = await holdersOf(service);
    this.#t.after(() => {
      // What it has moved aside when it is killed has no name any more: a sandbox that ends a minute later removes it.
      for (const entry of entriesIn(ROOT_STATE).filter((one) => one.startsWith(`.stale-${pids.get('supervisor')}-`)))
        rmSync(join(ROOT_STATE, entry), { recursive: true, force: true });
    });
    return { service, pids };
  }

  async #remove({ service, pids }: Removed, killing: KilledCalls, step?: Step): Promise<RunResult> {
    const { who, atTimes = [] } = killing;
    const [calls, log] = [[...killing.calls, ...atTimes], this.#log];
    if (who !== 'program') {
      const pid = pids.get(who) ?? 0;
      await traceRunning(this.#t, pid, { calls, log, step });
      const removed = await service.run(['delete']);
      // It may be killed behind what the program waits for.
      assert.deepEqual(await leftAtLast(() => (existsSync(`/proc/${pid}`) ? [`${who} ${pid}`] : [])), []);
      return removed;
    }
    const tracing = { isAlone: true, log };
    const words = step === undefined ? tracedFor(calls, tracing) : killedAt(step, tracing);
    return service.run(['delete'], [], { through: [...(this.#way.options.through ?? []), ...words] });
  }

  /** Neither a sandbox, nor a process, a claim, a log or a directory. */
  async #assertGone({ service: { name }, pids }: Removed, text: string): Promise<void> {
    await assertNothingLeft(name, exceptLogs(this.#way.where));
    const holder = pids.get('holder');
    const left = () => [
      ...entriesIn(SERVICES).filter((entry) => entry.includes(name)),
      ...entriesIn(LIVES).filter((entry) => entry.includes(name)),
      ...entriesIn(`${ROOT_STATE}-services`).filter((one) => one === name || one.startsWith(`.claim-${holder}-`)),
      ...entriesIn(ROOT_STATE).filter((entry) => entry === name),
      ...entriesIn(this.#states),
    ];
    assert.deepEqual(await leftAtLast(left), [], text);
  }
}
