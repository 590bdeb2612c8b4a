/** An image for a service is made by programs that are killed, each alone, or whose caller is. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { valueOr } from '../../src/util/errors.js';
import { imageFile, unlessProgram } from '../helpers/images.js';
import { type TracedProgram, tracedProgram } from '../helpers/killed-programs.js';
import { assertMadeAfter, killedAt, someSteps, tracedFor, unlessTraced } from '../helpers/killing.js';
import { leftAtLast } from '../helpers/leftovers.js';
import { holdsDuring } from '../helpers/meanwhile.js';
import { scratchDirectory, unlessRoot } from '../helpers/scratch.js';
import { type ServiceProgram, serviceProgram } from '../helpers/serving.js';

/** What each of them does. */
const PROGRAMS = {
  mke2fs: ['openat', 'pwrite64', 'fallocate', 'fsync'],
  'qemu-img': ['openat', 'ftruncate', 'fallocate', 'pwrite64', 'fdatasync'],
} as const;

interface Making {
  readonly service: ServiceProgram;
  readonly create: readonly string[];
  /** The calls of the program. */
  readonly log: string;
  readonly traced: TracedProgram;
}

/** Calls that change what is on the disk, of the program and of those that it starts. */
const CALLS = [
  ...['mkdir', 'rename', 'fsync', 'link', 'unlink', 'rmdir', 'chmod', 'fchmod', 'chown', 'utimensat'],
  ...['copy_file_range', 'ftruncate'],
];

/** A service is about to be made, with a copy in its image. */
function making(t: TestContext, program: string): Making {
  const service = serviceProgram(t);
  const root = scratchDirectory(t);
  mkdirSync(join(root, 'etc'));
  writeFileSync(join(root, 'etc/key'), 'key', { mode: 0o600 });
  const options = ['--path', service.states, '-r', root, '--imagesize', '150', '--copy-path', '/etc/key'];
  return {
    service,
    create: ['create', ...options, service.name, '--', 'true'],
    log: join(scratchDirectory(t), 'calls'),
    traced: tracedProgram(t, program),
  };
}

async function assertMade({ service, create }: Making, text: string): Promise<void> {
  await service.out(...create);
  await service.out('delete', service.name);
  assert.deepEqual(service.leftovers(), [], text);
}

const skip = unlessRoot('copies files') || unlessTraced() || unlessProgram('mke2fs', 'qemu-img', 'e2fsck', 'debugfs');

describe('an image of a service', { skip }, () => {
  it('is made by the next call, with its copies, when any of the programs is killed', async (t) => {
    const { service, create, log } = making(t, 'mke2fs');
    const { name, states, out } = service;
    const raw = join(scratchDirectory(t), 'raw');
    const made = {
      run: (through: readonly string[]) => service.run(create, { through }),
      isThere: async (step: string) => {
        if (!(await out('list', '--quiet')).split('\n').includes(name)) return false;
        execFileSync('qemu-img', ['convert', '-O', 'raw', join(states, `${name}.qcow2`), raw]);
        execFileSync('e2fsck', ['-fn', raw], { stdio: 'pipe' });
        assert.equal(imageFile(raw, '/upper/etc/key'), 'key', step);
        return true;
      },
      remove: () => out('delete', name),
      left: service.leftovers,
    };
    await assertMadeAfter(made, 'nothing', await made.run(tracedFor(CALLS, { log })));
    for (const step of someSteps(CALLS, log)) {
      const text = `${step.call} ${step.when}`;
      assert.ok(await assertMadeAfter(made, text, await made.run(killedAt(step))), `nothing is killed at ${text}`);
    }
  });

  for (const [program, calls] of Object.entries(PROGRAMS)) {
    it(`is not there, nor anything of it, when ${program} is killed`, async (t) => {
      const made = making(t, program);
      const { service, create, log, traced } = made;
      const whole = await service.run(create, { env: traced(tracedFor(calls, { log })) });
      assert.equal(whole.code, 0, whole.stderr);
      await service.out('delete', service.name);
      const killed = new Set<string>();
      for (const step of someSteps(calls, log)) {
        const { code, stderr } = await service.run(create, { env: traced(killedAt(step, { log })) });
        const text = `${step.call} ${step.when}: ${stderr}`;
        if (code === 0) {
          // Threads of qemu-img share their work in another way each time.
          await service.out('delete', service.name);
          continue;
        }
        killed.add(step.call);
        assert.equal(code, 125, text);
        assert.match(
          stderr,
          new RegExp(`^virt-sandbox-service: config: ${program}, which .* was ended by SIGKILL; try again; .*\\n$`),
        );
        assert.deepEqual(service.leftovers(), [], text);
      }
      assert.deepEqual([...killed], [...calls], 'calls at which it was killed');
      await assertMade(made, program);
    });

    it(`is made by the next call while ${program} goes on, whose caller was killed`, async (t) => {
      const made = making(t, program);
      const { service, create, log, traced } = made;
      const stopped = ['-e', 'inject=pwrite64:signal=STOP:when=2'];
      const first = service.begin(create, { env: traced(tracedFor(['pwrite64'], { log }, stopped)) });
      const stops = /^(\d+) +--- stopped by SIGSTOP ---$/m;
      const calls = () => valueOr(() => readFileSync(log, 'latin1'), '');
      await holdsDuring(first.result, () => stops.test(calls()));
      const pid = Number(stops.exec(calls())?.[1]);
      t.after(() => valueOr(() => process.kill(pid, 'SIGKILL'), false));
      first.child.kill('SIGKILL');
      assert.equal((await first.result).signal, 'SIGKILL');
      await service.out(...create);
      // Each of its threads stops at its second call.
      const goesOn = () => (valueOr(() => process.kill(pid, 'SIGCONT'), false) ? [program] : []);
      assert.deepEqual(await leftAtLast(goesOn), []);
      await service.out('delete', service.name);
      assert.deepEqual(service.leftovers(), []);
    });
  }
});
