/** An image for a service is made by programs that are killed, each alone, or whose caller is. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { imageFile, unlessProgram } from '../helpers/images.js';
import { stoppedProgram, type TracedProgram, tracedProgram } from '../helpers/killed-programs.js';
import {
  assertKilledAt,
  assertMadeAfter,
  killedAt,
  REMOVING,
  someSteps,
  tracedFor,
  unlessTraced,
} from '../helpers/killing.js';
import type { RunOptions } from '../helpers/run.js';
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
  ...['mkdir', 'rename', 'fsync', 'link', ...REMOVING, 'chmod', 'fchmod', 'chown', 'utimensat'],
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
    const killed = new Set<string>();
    for (const step of someSteps(CALLS, log)) {
      const ended = await made.run(killedAt(step));
      // Threads of qemu-img share their work in another way each time.
      if (await assertMadeAfter(made, `${step.call} ${step.when}`, ended)) killed.add(step.call);
    }
    assertKilledAt(killed, CALLS);
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
          new RegExp(`^virt-sandbox-service: config: ${program} for .* was ended by SIGKILL; try again; .*\\n$`),
        );
        assert.deepEqual(service.leftovers(), [], text);
      }
      assertKilledAt(killed, calls);
      await assertMade(made, program);
    });

    for (const step of [
      // It has no file yet but its own.
      { call: 'openat', when: 1 },
      { call: 'pwrite64', when: 2 },
    ])
      for (const next of ['create', 'delete'])
        it(`is left to the next ${next} while ${program} goes on from ${step.call}, whose caller was killed`, async (t) => {
          const made = making(t, program);
          const { service, create, traced } = made;
          const { caller, end } = await stoppedProgram(t, traced, step, (env) => service.begin(create, { env }));
          caller.child.kill('SIGKILL');
          assert.equal((await caller.result).signal, 'SIGKILL');
          await service.out(...(next === 'create' ? create : ['delete', service.name]));
          const left = service.leftovers();
          await end();
          // What it goes on with has a directory of its own, which is gone.
          assert.deepEqual(service.leftovers(), left);
          if (next === 'create') await service.out('delete', service.name);
          assert.deepEqual(service.leftovers(), []);
        });

    it(`is not there, nor anything of it, when Ctrl+C ends ${program} and its caller`, async (t) => {
      const made = making(t, program);
      const { service, create, traced } = made;
      const begin = (env: NonNullable<RunOptions['env']>) => service.begin(create, { through: ['setsid'], env });
      const { caller, end } = await stoppedProgram(t, traced, { call: 'pwrite64', when: 2 }, begin);
      process.kill(-caller.pid, 'SIGINT');
      await end();
      const { code, stderr } = await caller.result;
      assert.deepEqual([code, stderr], [130, '']);
      assert.deepEqual(service.leftovers(), []);
    });
  }
});
