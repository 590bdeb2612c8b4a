/** A clone stops its source, a service that runs, and is killed at each step. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { tracedProgram } from '../helpers/killed-programs.js';
import { isKilled, killedAt, someSteps, tracedFor, unlessTraced } from '../helpers/killing.js';
import { removeServices, service } from '../helpers/making-services.js';
import { holdsDuring } from '../helpers/meanwhile.js';
import { type RunOptions, type RunResult, SERVICE_PROGRAM, startSandbox } from '../helpers/run.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { LIVES, SERVICES, serviceOf, type TestService } from '../helpers/services.js';

/** What the program does. What it starts is not traced: the source's new holder goes on. */
const CALLS = ['flock', 'connect', 'mkdir', 'rename', 'fsync', 'unlink'];
const COPYING = ['openat', 'copy_file_range'];

const TOLD = /\n {2}stopped {3}to be cloned as \S+, by a process that was killed: start it with virt-sandbox-service /;

class StoppingClone {
  readonly log: string;
  readonly #name: string;
  readonly #states: string;

  private constructor(
    readonly source: TestService,
    states: string,
    log: string,
  ) {
    this.#name = `${source.name}-2`;
    this.#states = states;
    this.log = log;
  }

  static async make(t: TestContext): Promise<StoppingClone> {
    const states = scratchDirectory(t, WITH_ATTRIBUTES);
    const options = ['-p', states, '--health', 'test -e /srv/ready'];
    // It is ready as long as the file is there.
    const script = 'test -e /srv/data || { echo of web >/srv/data; touch /srv/ready; }; exec sleep infinity';
    const source = await serviceOf(t, lxc, { script, options, isKept: true });
    t.after(() => removeServices([`${source.name}-2`], lxc.options));
    await source.ok(['start']);
    return new StoppingClone(source, states, join(scratchDirectory(t), 'calls'));
  }

  begin(through: readonly string[] = [], options: RunOptions = {}) {
    const words = [...(lxc.options.through ?? []), ...through];
    const args = ['clone', '--stop', this.source.name, this.#name];
    return startSandbox(args, { ...options, program: SERVICE_PROGRAM, through: words });
  }

  /** The source runs again, or `status` says why not; the next call makes the clone, and then both are whole. */
  async assertFinished(ended: RunResult, what: string): Promise<void> {
    const text = `${what}: ${ended.signal ?? ended.code} ${ended.stderr}`;
    const wasKilled = isKilled(ended);
    // Whoever was asked to stop it is about to.
    await this.source.until(({ state }) => ['running', 'stopped'].includes(state));
    const { code, out } = await this.source.run(['status']);
    assert.ok(code === 0 || TOLD.test(out), `${text}\n${out}`);
    if (!existsSync(join(SERVICES, this.#name))) {
      assert.ok(wasKilled, text);
      const next = await this.begin().result;
      assert.equal(next.code, 0, `${text}; then ${next.stderr}`);
    }
    const upper = join(this.#states, this.#name, 'layers/mounts/%2F/upper');
    assert.equal(readFileSync(join(upper, 'srv/data'), 'utf8'), 'of web\n', text);
    const { code: deleted, stderr } = await service(['delete', this.#name], lxc.options);
    assert.equal(deleted, 0, stderr);
    const left = [SERVICES, LIVES, this.#states].flatMap((path) => readdirSync(path));
    assert.deepEqual(
      left.filter((entry) => entry.includes(this.#name)),
      [],
      text,
    );
    if ((await this.source.status()).state !== 'running') await this.source.ok(['start']);
    assert.doesNotMatch((await this.source.run(['status'])).out, /by a process that was killed/, text);
  }
}

describe('a container that is stopped to be cloned', { skip: lxc.skip || unlessTraced() }, () => {
  it('runs again, or is said to be stopped, when the clone is killed', async (t) => {
    const clone = await StoppingClone.make(t);
    const tracing = { isAlone: true, log: clone.log };
    await clone.assertFinished(await clone.begin(tracedFor(CALLS, tracing)).result, 'nothing is killed');
    for (const step of someSteps(CALLS, clone.log))
      await clone.assertFinished(await clone.begin(killedAt(step, tracing)).result, `${step.call} ${step.when}`);
  });

  it('runs again when cp is killed, and no clone is there', async (t) => {
    const clone = await StoppingClone.make(t);
    const traced = tracedProgram(t, 'cp');
    const run = (words: readonly string[]) => clone.begin([], { env: traced(words) }).result;
    await clone.assertFinished(await run(tracedFor(COPYING, { log: clone.log })), 'nothing is killed');
    for (const step of someSteps(COPYING, clone.log)) {
      const ended = await run(killedAt(step, { log: clone.log }));
      assert.equal(ended.code, 125, ended.stderr);
      assert.equal((await clone.source.status()).state, 'running');
      await clone.assertFinished(ended, `cp at ${step.call} ${step.when}`);
    }
  });

  it('is said to be stopped when clones are killed while they start it, one after the other, and runs again at last', async (t) => {
    const clone = await StoppingClone.make(t);
    const { source } = clone;
    const owner = () => JSON.parse(readFileSync(join(LIVES, source.name, 'service.json'), 'utf8')).owner as string;
    const starting = async () => {
      const before = owner();
      const cloning = clone.begin();
      await holdsDuring(cloning.result, () => owner() !== before);
      return cloning;
    };
    // A clone waits for it, until the file is there again.
    await source.inside('rm /srv/ready');
    for (const what of ['the first', 'the second']) {
      const cloning = await starting();
      process.kill(cloning.pid, 'SIGKILL');
      await cloning.result;
      await source.until(({ state }) => state === 'stopped');
      assert.match((await source.run(['status'])).out, TOLD, what);
    }
    const third = await starting();
    await source.until(({ state, sandbox }) => state === 'starting' && sandbox !== undefined);
    await source.inside('touch /srv/ready');
    const ended = await third.result;
    assert.equal(ended.code, 0, ended.stderr);
    await clone.assertFinished(ended, 'the third');
  });
});
