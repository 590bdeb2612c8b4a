/** The baselines of machines whose root is served over virtiofs: what serves it runs beside the bare QEMU, and ends with it. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Result } from '../../src/bench/result/result.js';
import { loadProfile } from '../../src/profile/load.js';
import { valueOr } from '../../src/util/errors.js';
import { ACCEL } from '../helpers/acceleration.js';
import { bench, scratchOf } from '../helpers/bench.js';
import { embedded, system } from '../helpers/connections.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { scratchDirectory } from '../helpers/scratch.js';

type BenchOptions = Parameters<typeof bench>[1];

const RUN = ['run', '--warm-up', '0', '--no-timeline', '--history', 'none'];

/** The command lines of processes that know the scratch directories of a measurement, which are in them. */
function processesOf(pid: number | undefined): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => valueOr(() => readFileSync(`/proc/${name}/cmdline`, 'utf8'), ''))
    .filter((line) => line.includes(`/virt-sandbox-bench-${pid}-`));
}

function assertNothingLeft(pid: number | undefined): void {
  assert.deepEqual(processesOf(pid), []);
  assert.deepEqual(scratchOf(pid), []);
}

/** Measures a sandbox beside its baseline. */
async function assertBaseline(uri: string, boot: 'cold' | 'auto', options: BenchOptions): Promise<void> {
  const words = [...ACCEL, '--root-fs', 'virtiofs', '--boot', boot, '-c', uri].join(' ');
  const { code, out, stderr, pid } = await bench([...RUN, '-n', '1', '--json', '--options', words], options);
  assert.equal(code, 0, stderr);
  const { variants } = JSON.parse(out) as Result;
  const [, floor] = variants;
  assert.equal(floor?.values.length, 1, stderr);
  const isWarm = boot === 'auto' && !process.env['TEST_COLD'];
  assert.match(floor.label, isWarm ? /^bare QEMU that restores the same state/ : /^bare QEMU \(the floor\)$/);
  assertNothingLeft(pid);
}

/** Measures a machine that QEMU refuses when its server runs. */
async function assertNothingLeftOfFailure(t: TestContext, options: BenchOptions): Promise<void> {
  const file = join(scratchDirectory(t), 'broken.json');
  const profile = { ...(await loadProfile(undefined)), qemuArguments: ['-device', 'no-such-device'] };
  writeFileSync(file, JSON.stringify({ ...profile, name: 'broken' }), { mode: 0o644 });
  const words = [...ACCEL, '--root-fs', 'virtiofs', '--boot', 'cold', '-c', embedded.uri, '--profile', file].join(' ');
  const { stderr, pid } = await bench([...RUN, '-n', '1', '--options', words], options);
  const refused = /the bare QEMU ended with status 1: .*no-such-device/;
  assert.match(stderr, refused);
  assertNothingLeft(pid);
}

for (const way of [embedded, system])
  describe(`the baseline over ${way.uri}`, { skip: way.skip }, () => {
    for (const boot of ['cold', 'auto'] as const)
      it(`is measured with --boot ${boot}`, () => assertBaseline(way.uri, boot, way.options));
  });

describe('a bare QEMU that fails', { skip: embedded.skip }, () => {
  it('leaves nothing', (t) => assertNothingLeftOfFailure(t, {}));
});

describe('a measurement that is killed', { skip: embedded.skip }, () => {
  it('leaves neither QEMU nor what serves its root', async () => {
    const words = [...ACCEL, '--root-fs', 'virtiofs', '--boot', 'cold', '-c', embedded.uri].join(' ');
    let measuring: ChildProcess | undefined;
    const ended = bench([...RUN, '-n', '100', '--options', words], {
      onProgress: (child) => {
        measuring = child;
      },
    });
    const isServer = (line: string) => line.includes('/root-server\0');
    while (!processesOf(measuring?.pid).some(isServer)) await sleep(20);
    measuring?.kill('SIGKILL');
    const { pid } = await ended;
    while (processesOf(pid).length > 0) await sleep(20);
    // The next measurement removes it.
    for (const name of scratchOf(pid)) rmSync(join('/var/tmp', name), { recursive: true });
  });
});

describe('the baseline of an ordinary user', { skip: unlessOrdinaryUser() }, () => {
  const asUser = async (t: TestContext): Promise<BenchOptions> => {
    const user = await OrdinaryUser.create();
    t.after(() => user.end());
    const { program = '' } = user.options;
    return { ...user.options, program: join(dirname(program), 'virt-sandbox-bench') };
  };

  for (const uri of ['qemu:///session', 'qemu:///embed'])
    for (const boot of ['cold', 'auto'] as const)
      it(`is measured over ${uri} with --boot ${boot}`, async (t) => assertBaseline(uri, boot, await asUser(t)));

  it('leaves nothing where QEMU fails', async (t) => assertNothingLeftOfFailure(t, await asUser(t)));
});
