/** A service that runs and is cloned, while who clones it, or what holds it, is killed. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { messageOf } from '../../src/util/errors.js';
import type { Way } from './connections.js';
import { DEAF, type Holder, holdersOf, recordOfLife, STAYS, STUBBORN_KEYS } from './killed-holders.js';
import { stoppedProgram, type TracedProgram, tracedProgram, traceRunning } from './killed-programs.js';
import { type Ended, eachAt, isKilled, killedAt, type Step, someSteps, tracedFor } from './killing.js';
import { assertNothingLeft, exceptLogs } from './leftovers.js';
import { removeServices, service } from './making-services.js';
import { holdsDuring } from './meanwhile.js';
import { type Running, type RunOptions, SERVICE_PROGRAM, startSandbox } from './run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from './scratch.js';
import { LIVES, SERVICES, serviceOf, type TestService } from './services.js';

const TOLD = /\n {2}stopped {3}to be cloned as \S+, by a process that was killed: start it with virt-sandbox-service /;
/** What a service is told of whose holder, or machine, was killed. */
const ENDED = /: failed since [\s\S]*\n {2}last end [^\n]+/;

export interface WantedClone {
  /** How the source is held meanwhile. */
  readonly flag: '--live' | '--stop';
  /** Of its `create`. */
  readonly options?: readonly string[];
  /** What it does before it is ready. */
  readonly before?: string;
  /** What it does when it is. */
  readonly script?: string;
  readonly keys?: Readonly<Record<string, string | number>>;
}

/** One that takes its time to stop. */
export const STUBBORN_SOURCE = { before: DEAF, script: STAYS, keys: STUBBORN_KEYS };

export class KilledClone {
  readonly log: string;
  readonly #t: TestContext;
  readonly #name: string;
  readonly #states: string;
  readonly #flag: string;
  readonly #cp: TracedProgram;

  private constructor(
    t: TestContext,
    readonly source: TestService,
    states: string,
    flag: string,
  ) {
    this.#t = t;
    this.#name = `${source.name}-2`;
    this.#states = states;
    this.#flag = flag;
    this.#cp = tracedProgram(t, 'cp');
    this.log = join(scratchDirectory(t), 'calls');
  }

  static async make(
    t: TestContext,
    way: Way,
    { flag, options = [], before = ':', script = 'exec sleep infinity', keys }: WantedClone,
  ): Promise<KilledClone> {
    const states = scratchDirectory(t, WITH_ATTRIBUTES);
    const given = ['-p', states, '--health', 'test -e /srv/ready', ...options];
    const wanted = {
      script: `${before}; echo of web >/srv/data; sync; touch /srv/ready; ${script}`,
      options: given,
      isKept: true,
    };
    const source = await serviceOf(t, way, { ...wanted, ...(keys && { keys }) });
    t.after(() => removeServices([`${source.name}-2`], way.options));
    await source.ok(['start']);
    return new KilledClone(t, source, states, flag);
  }

  begin(through: readonly string[] = [], env: RunOptions['env'] = {}): Running {
    const { options } = this.source.way;
    const args = ['clone', this.#flag, this.source.name, this.#name];
    return startSandbox(args, {
      ...options,
      env: { ...options.env, ...env },
      program: SERVICE_PROGRAM,
      through: [...(options.through ?? []), ...through],
    });
  }

  /** The program is killed at some steps of each call. */
  async assertProgramKilled(calls: readonly string[]): Promise<void> {
    const tracing = { isAlone: true, log: this.log };
    await this.assertFinished(await this.begin(tracedFor(calls, tracing)).result, 'nothing is killed');
    for (const step of someSteps(calls, this.log))
      await this.assertFinished(await this.begin(killedAt(step, tracing)).result, `${step.call} ${step.when}`);
  }

  /** cp(1) is killed at some steps of each call. */
  async assertCopyKilled(calls: readonly string[]): Promise<void> {
    for (const step of await this.#copySteps(calls)) {
      const ended = await this.begin([], this.#cp(killedAt(step, { log: this.log }))).result;
      assert.equal(ended.code, 125, ended.stderr);
      assert.equal((await this.source.status()).state, 'running');
      await this.assertFinished(ended, `cp at ${step.call} ${step.when}`);
    }
  }

  /** Each process that holds the source is killed while cp(1) stands still at one of some calls: {@link eachAt}. */
  async assertHoldersKilled(call: string): Promise<void> {
    const steps = await this.#copySteps([call]);
    const whos = [...(await holdersOf(this.source)).keys()];
    for (const { who: what, step } of eachAt(whos, steps)) {
      const pid = (await holdersOf(this.source)).get(what) ?? 0;
      const { caller, end } = await stoppedProgram(this.#t, this.#cp, step, (env) => this.begin([], env));
      process.kill(pid, 'SIGKILL');
      await end();
      const ended = await caller.result;
      // It is shown as running for a moment more.
      if (what !== 'supervisor') await this.source.until(({ state }) => state !== 'running');
      await this.#assertFinishedWithout(what, ended, `while cp stands at ${call} ${step.when}`);
    }
  }

  /** Its holder, and then its supervisor, is killed when the source has been told to end, which it does not. */
  async assertHoldersKilledAtStop(): Promise<void> {
    for (const what of ['holder', 'supervisor']) {
      const pid = (await holdersOf(this.source)).get(what) ?? 0;
      const cloning = this.begin();
      await holdsDuring(cloning.result, () => recordOfLife(this.source.name).phase === 'stopping');
      process.kill(pid, 'SIGKILL');
      await this.#assertFinishedWithout(what, await cloning.result, 'while the source stops');
    }
  }

  /** One that holds the source is killed at each of its calls while the source is stopped. Where the tests are thorough. */
  async assertHolderKilledAtCalls(who: Holder): Promise<void> {
    const cloned = async (step?: Step) => {
      const pid = (await holdersOf(this.source)).get(who) ?? 0;
      await traceRunning(this.#t, pid, { calls: [], log: this.log, step });
      return this.begin().result;
    };
    await this.assertFinished(await cloned(), 'nothing is killed');
    for (const step of someSteps([], this.log))
      await this.#assertFinishedWithout(who, await cloned(step), `at ${step.call} ${step.when}`);
  }

  async #assertFinishedWithout(holder: string, ended: Ended, when: string): Promise<void> {
    await this.assertFinished(ended, `${holder}, ${when}`);
    // A container goes on without it.
    if (holder === 'supervisor') await this.source.ok(['restart']);
  }

  async #copySteps(calls: readonly string[]): Promise<Step[]> {
    const whole = await this.begin([], this.#cp(tracedFor(calls, { log: this.log }))).result;
    await this.assertFinished(whole, 'nothing is killed');
    return someSteps(calls, this.log);
  }

  /** The source runs, or `status` says why not; the next call makes the clone, and then both are whole. */
  async assertFinished(ended: Ended, what: string): Promise<void> {
    const text = `${what}: ${ended.signal ?? ended.code} ${ended.stderr}`;
    const wasKilled = isKilled(ended);
    // Whoever was asked to stop it is about to.
    const { state } = await this.source.until((status) => ['running', 'stopped', 'failed'].includes(status.state));
    const { out } = await this.source.run(['status']);
    if (state === 'running') {
      const said = await this.source
        .inside('echo again >/srv/again && sync && cat /srv/again')
        .catch(async (error: unknown) =>
          assert.fail(`${text}; then ${messageOf(error)}\n${(await this.source.run(['status'])).out}`),
        );
      assert.equal(said, 'again\n', text);
    } else {
      assert.ok(TOLD.test(out) || ENDED.test(out), `${text}\n${out}`);
      await assertNothingLeft(this.source.name, {
        ...exceptLogs(this.source.way.where),
        state: '/run/libvirt-sandbox',
      });
    }
    if (!existsSync(join(SERVICES, this.#name))) {
      assert.ok(wasKilled, text);
      const next = await this.begin().result;
      assert.equal(next.code, 0, `${text}; then ${next.stderr}`);
    }
    await this.#assertWhole(text);
    const { code: deleted, stderr } = await service(['delete', this.#name], this.source.way.options);
    assert.equal(deleted, 0, stderr);
    const left = [SERVICES, LIVES, this.#states].flatMap((path) => readdirSync(path));
    const of = (entry: string) => entry.includes(this.#name) || /^\.[0-9a-f]{32}/.test(entry);
    assert.deepEqual(left.filter(of), [], text);
    if ((await this.source.status()).state !== 'running') await this.source.ok(['start']);
    assert.doesNotMatch((await this.source.run(['status'])).out, /by a process that was killed/, text);
  }

  async #assertWhole(text: string): Promise<void> {
    const upper = join(this.#states, this.#name, 'layers');
    const below = this.source.way.uri === 'lxc:///' ? 'mounts/%2F/upper' : 'upper';
    if (existsSync(upper)) {
      assert.equal(readFileSync(join(upper, below, 'srv/data'), 'utf8'), 'of web\n', text);
      return;
    }
    assert.ok(existsSync(join(this.#states, `${this.#name}.qcow2`)), text);
  }
}
