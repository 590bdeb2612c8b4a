/**
 * The probe that decides whether an accelerator works, and what a user reads where KVM does not. The probe must pass
 * under TCG, so a pass under KVM can be trusted too: see kvm.test.ts.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { probe } from '../../src/domain/probe.js';
import { counterKilohertz } from '../../src/domain/processors.js';
import { resolveImage } from '../../src/image/resolve.js';
import { hostProgram } from '../../src/util/programs.js';
import { readIfThere } from '../../src/util/small-files.js';
import { TCG } from '../helpers/acceleration.js';
import { runBake } from '../helpers/bake.js';
import { embedded } from '../helpers/connections.js';
import { programPaths, WITHOUT_KVM } from '../helpers/hide.js';
import { unlessProgram } from '../helpers/images.js';
import { servingKernel, unlessServingKernel } from '../helpers/kernels.js';
import { assertRun, runSandbox } from '../helpers/run.js';
import { privateStore } from '../helpers/snapshots.js';

/** In milliseconds, emulated and beside another test. */
const LONG = 60_000;

describe('the acceleration probe', { skip: unlessServingKernel || unlessProgram('qemu-system-x86_64') }, () => {
  const [emulator = ''] = programPaths('qemu-system-x86_64');
  let kernel = '';
  before(async () => {
    const wanted = { version: servingKernel, path: undefined, modulesPath: undefined };
    ({ kernel } = await resolveImage({ kernel: wanted, sets: [], nativeInit: hostProgram('init') }));
  });

  it('passes for a guest that boots', async () => {
    assert.deepEqual(await probe({ accelerator: 'tcg', emulator, kernel, limit: LONG }), {
      usable: true,
      reason: 'a guest booted',
      lasting: true,
    });
  });

  it('fails for a guest that does not boot far enough, and has decided nothing after so short a time', async () => {
    const { usable, reason, lasting } = await probe({ accelerator: 'tcg', emulator, kernel, limit: 300 });
    assert.deepEqual({ usable, lasting }, { usable: false, lasting: false });
    assert.match(reason, /^a guest did not boot within 0\.3 s: /);
  });

  it('reports what QEMU prints', async () => {
    const missing = '/no/such/kernel';
    const { usable, reason, lasting } = await probe({ accelerator: 'tcg', emulator, kernel: missing, limit: LONG });
    assert.deepEqual({ usable, lasting }, { usable: false, lasting: false });
    assert.match(reason, /could not open kernel file '\/no\/such\/kernel'/);
  });
});

describe('where no KVM runs a guest', { skip: embedded.skip || unlessServingKernel }, () => {
  const { env, remove } = privateStore();
  const known = join(env.XDG_CACHE_HOME, 'virt-sandbox/kvm.json');
  after(remove);
  const run = (...args: readonly string[]) =>
    runSandbox(['-c', embedded.uri, ...args, '--', 'echo', 'output'], { env, through: WITHOUT_KVM });
  const LINE =
    /^virt-sandbox: no KVM here \(.+\), so the machine is emulated, which is slower; --accel tcg asks for that, and --require-kvm refuses it$/;

  it('baking a snapshot says so, and packing an image starts nothing', async () => {
    rmSync(known, { force: true });
    const bake = (...args: readonly string[]) =>
      runBake(env.XDG_CACHE_HOME, ['create', ...args], { through: WITHOUT_KVM });
    const [image, snapshot] = [await bake(), await bake('--warm', '-c', embedded.uri)];
    assert.deepEqual([image.code, image.stderr, image.fallback], [0, '', undefined]);
    assert.deepEqual([snapshot.code, snapshot.stderr], [0, '']);
    assert.match(snapshot.fallback ?? '', /^virt-sandbox-bake: no KVM here \(.+\), so the machine is emulated, /);
  });

  it('a start says so in one line, and why, also when that is known already', async () => {
    assert.ok(existsSync(known));
    const result = await run();
    assertRun(result, 0, 'output\n');
    assert.match(result.fallback ?? '', LINE);
  });

  it('-v has the same line once, beside the other choices', async () => {
    const { code, stderr, fallback } = await run('-v');
    assert.equal(code, 0, stderr);
    assert.match(fallback ?? '', LINE);
    assert.doesNotMatch(stderr, /no KVM here/);
  });

  it('who asks for emulation is not told', async () => {
    const result = await run(...TCG);
    assertRun(result, 0, 'output\n');
    assert.equal(result.fallback, undefined);
  });

  it('a dry run, which starts nothing, says so only with -v', async () => {
    for (const option of ['--dry-run', '--print-xml']) {
      const { code, stderr, fallback } = await run(option);
      assert.deepEqual({ code, stderr, fallback }, { code: 0, stderr: '', fallback: undefined });
      assert.match((await run(option, '-v')).fallback ?? '', LINE);
    }
  });
});

const CLOCKS = '/sys/devices/system/clocksource/clocksource0';
const hostCounts = (readIfThere(`${CLOCKS}/available_clocksource`) ?? '').includes('tsc');

describe('the clock of an emulated machine', {
  skip: embedded.skip || unlessServingKernel || (!hostCounts && "this host's kernel does not trust its own counter"),
}, () => {
  it('is the counter of the processor, however late the first ticks came', async () => {
    const busy = ['sh', '-c', 'while :; do :; done'] as const;
    const loads = Array.from({ length: 2 * availableParallelism() }, () => spawn(busy[0], busy.slice(1)));
    try {
      const result = await runSandbox([
        ...['-c', embedded.uri, ...TCG, '--boot', 'cold'],
        ...['--', 'sh', '-c', `cat ${CLOCKS}/current_clocksource; grep -m 1 MHz /proc/cpuinfo`],
      ]);
      assert.equal(result.code, 0, result.stderr);
      assert.match(result.out, /^tsc/);
      // What it was told, or has measured better: its time does not fly.
      const told = counterKilohertz(readFileSync('/proc/cpuinfo', 'utf8')) ?? assert.fail('bogomips');
      const believed = 1000 * Number(/^cpu MHz\s*: ([\d.]+)$/m.exec(result.out)?.[1]);
      assert.ok(Math.abs(believed / told - 1) < 0.01, `${believed} of ${told} kHz`);
    } finally {
      for (const load of loads) load.kill('SIGKILL');
    }
  });
});
