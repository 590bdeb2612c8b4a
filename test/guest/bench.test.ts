/** virt-sandbox-bench on real boots: what it measures adds up, is repeated, is kept, and can be had before the end. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readHistory } from '../../src/bench/history.js';
import { type Result, readResult } from '../../src/bench/result.js';
import { length, type Span } from '../../src/bench/timeline/span.js';
import type { Timeline } from '../../src/bench/timeline/timeline.js';
import { loadProfile } from '../../src/profile/load.js';
import { embedded, lxc, system } from '../helpers/connections.js';
import { environment, REPOSITORY, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { bakeWarm, TCG } from '../helpers/warm.js';

/** An application whose start is heard of before its end, however busy this machine is. */
const LASTING = ['--', 'sleep', '0.1'];

const PROGRAM = `${REPOSITORY}bin/virt-sandbox-bench`;

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly stderr: string;
}

async function bench(
  args: readonly string[],
  {
    env = {},
    onProgress = () => {},
  }: {
    readonly env?: Readonly<Record<string, string | undefined>>;
    readonly onProgress?: (child: ChildProcess, text: string) => void;
  } = {},
): Promise<Ended> {
  const child = spawn(PROGRAM, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment(env) });
  let out = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    onProgress(child, stderr);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, stderr };
}

const scratchLeft = () => readdirSync('/var/tmp').filter((name) => name.startsWith('virt-sandbox-bench-'));

for (const way of [embedded, system]) {
  describe(`a run in detail over ${way.uri}`, { skip: way.skip }, () => {
    it('adds up, names what took long, and is drawn, kept and remembered', async (t) => {
      const directory = scratchDirectory(t);
      const file = (name: string) => join(directory, name);
      const { code, out, stderr } = await bench([
        ...['run', '-n', '1', '--warm-up', '0', '--no-floor', '--json', '--options', `-c ${way.uri}`],
        ...['-o', file('r.json'), '--svg', file('r.svg'), '--trace', file('r.trace'), '--history', file('h.jsonl')],
        ...LASTING,
      ]);
      assert.equal(code, 0, stderr);
      const result = readResult(file('r.json'));
      assert.deepEqual(JSON.parse(out), JSON.parse(JSON.stringify(result)));
      const [variant] = result.variants;
      const timeline = variant?.timeline;
      assert.ok(variant && timeline);
      assert.equal(variant.values.length, 1);

      const sum = (spans: readonly Span[]) => spans.reduce((total, one) => total + length(one), 0);
      assert.ok(Math.abs(sum(timeline.stages) - timeline.wall) < 100, `${sum(timeline.stages)} of ${timeline.wall}`);
      // The host's part is short, and every mark of it is there.
      assert.ok(timeline.unexplained < timeline.wall / 20, `${timeline.unexplained} of ${timeline.wall}`);
      assert.equal(timeline.alignment?.method, 'round-trip');
      assert.ok(timeline.alignment.error > 0 && timeline.alignment.error < timeline.wall / 10);

      const stage = (name: string): Span => {
        const found = timeline.stages.find((one) => one.name === name);
        assert.ok(found, `${name} of ${timeline.stages.map((one) => one.name).join(', ')}`);
        return found;
      };
      for (const name of ['start of the program', 'command line', 'config', 'connecting to libvirt']) stage(name);
      for (const name of ['domain', 'firmware, loading the kernel']) stage(name);
      for (const name of [
        'kernel, before its clock',
        'starting the application',
        'draining its output, ending what is left',
        'sync and unmount',
        'exit',
      ])
        stage(name);
      const kernel = stage('kernel');
      assert.ok(kernel.parts.length > 20, kernel.parts.map(({ name }) => name).join(', '));
      // It says a lot, and is one stretch of time all the same.
      assert.match(kernel.parts.map(({ name }) => name).join(), /acpi_init,.*inet_init,.*unpacking the initrd/);
      for (const part of kernel.parts)
        assert.ok(part.start >= kernel.start - 1 && part.end <= kernel.end + 1, part.name);
      assert.match(
        stage('init')
          .parts.map(({ name }) => name)
          .join(),
        /module 9p/,
      );
      assert.match(
        stage('common init')
          .parts.map(({ name }) => name)
          .join(),
        /root: mount \/newroot,.*hostname/,
      );

      const { traceEvents } = JSON.parse(readFileSync(file('r.trace'), 'utf8')) as { traceEvents: { name: string }[] };
      assert.ok(traceEvents.some(({ name }) => name === 'kernel'));
      assert.match(readFileSync(file('r.svg'), 'utf8'), /<svg .*kernel/s);
      assert.equal(readHistory(file('h.jsonl')).entries.length, 1);
    });
  });
}

describe('a run of a saved machine', { skip: embedded.skip }, () => {
  it('has stages of its own, which add up, beside a bare QEMU that restores the same', async (t) => {
    const directory = scratchDirectory(t);
    chmodSync(directory, 0o755);
    const env = { XDG_CACHE_HOME: directory };
    await bakeWarm(['-c', embedded.uri], { env });
    const file = join(directory, 'r.json');
    const options = [...TCG, '--boot', 'warm', '-c', embedded.uri].join(' ');
    const words = [
      'run',
      '-n',
      '1',
      '--warm-up',
      '0',
      '--options',
      options,
      '-o',
      file,
      '--history',
      'none',
      ...LASTING,
    ];
    const { code, out, stderr } = await bench(words, { env });
    assert.equal(code, 0, stderr);
    const { variants } = readResult(file);
    assert.deepEqual(
      variants.map(({ label, values }) => [label, values.length]),
      [
        ['virt-sandbox (default)', 1],
        ['bare QEMU that restores the same state and runs /bin/true (the floor)', 1],
      ],
    );
    const timeline = variants[0]?.timeline;
    assert.equal(timeline?.start, 'warm');
    assertWhole(timeline, [
      ...['connecting to libvirt', 'finding the image and the saved machine', 'libvirt, until QEMU runs'],
      ...['QEMU maps the memory', 'QEMU makes the machine', 'loading the state', 'resuming'],
      ...['common init', 'starting the application', 'sync and unmount', 'exit'],
    ]);
    const init = timeline.stages.find(({ name }) => name === 'common init');
    assert.match(init?.parts.map(({ name }) => name).join() ?? '', /setClock.*addEntropy.*root: mount \/newroot/);
    assert.match(out, /what is neither QEMU nor the guest:\n {2}all of it/);
  });
});

describe('a run of a container', { skip: lxc.skip }, () => {
  it('has stages of its own, which add up', async (t) => {
    const file = join(scratchDirectory(t), 'r.json');
    const env = { VIRT_SANDBOX_BENCH_LXC: lxc.options.through?.join(' ') };
    const words = [
      'run',
      '-n',
      '1',
      '--warm-up',
      '0',
      '--options',
      `-c ${lxc.uri}`,
      '-o',
      file,
      '--history',
      'none',
      ...LASTING,
    ];
    const { code, stderr } = await bench(words, { env });
    assert.equal(code, 0, stderr);
    const { variants } = readResult(file);
    assert.equal(variants.length, 1);
    const timeline = variants[0]?.timeline;
    assert.equal(timeline?.start, 'container');
    assertWhole(timeline, [
      ...['libvirt, until process 1 runs', 'init', 'opening the channel, greeting', 'common init'],
      ...['power off: finding and killing the container', "the container's end, libvirt's notice of it", 'exit'],
    ]);
  });
});

/** Expects these stages, and that all of them add up to the time from the execution to the exit. */
function assertWhole({ stages, wall, unexplained }: Timeline, wanted: readonly string[]): void {
  const names = stages.map(({ name }) => name);
  for (const name of wanted) assert.ok(names.includes(name), `${name} of ${names.join(', ')}`);
  const sum = stages.reduce((total, one) => total + length(one), 0);
  assert.ok(Math.abs(sum - wall) < 100, `${sum} of ${wall}`);
  assert.ok(unexplained < wall / 20, `${unexplained} of ${wall}`);
}

describe('counting instructions', { skip: embedded.skip }, () => {
  it('gives the same again, and tells a tuned boot from another by one run', async (t) => {
    const file = join(scratchDirectory(t), 'r.json');
    const { code, stderr } = await bench([
      ...['ablate', '--profile', 'default', '--only', '^without cryptomgr.notests$', '--options', '-c qemu:///embed'],
      ...['-o', file, '--history', 'none'],
    ]);
    assert.equal(code, 0, stderr);
    const { unit, variants, comparisons } = readResult(file);
    assert.equal(unit, 'instructions');
    const values = variants[0]?.values ?? [];
    assert.equal(values.length, 3);
    assert.ok(Math.max(...values) < Math.min(...values) * 1.01, values.join(', '));
    assert.deepEqual(
      comparisons.map(({ label, verdict }) => [label, verdict]),
      [['without cryptomgr.notests', 'slower']],
    );
  });
});

describe('counting instructions of what does not boot', { skip: embedded.skip }, () => {
  it('is refused', async () => {
    for (const [options, why] of [
      ['-c qemu:///embed --boot=warm', /a saved machine goes on; measure its time/],
      ['-c qemu:///embed --boot warm', /counts the instructions of a boot/],
    ] as const) {
      const { code, stderr } = await bench(['run', '--deterministic', '--options', options, '--history', 'none']);
      assert.equal(code, 1);
      assert.match(stderr, why);
    }
  });
});

describe('tuning', { skip: embedded.skip }, () => {
  it('writes a profile of what is worth something, by which a sandbox boots', async (t) => {
    const path = join(scratchDirectory(t), 'tuned.json');
    const { code, stderr } = await bench([
      ...['tune', '--profile', 'default', '--only', '^(rodata=off|raid=noautodetect|param_sysfs_builtin_init)$'],
      ...['--to', path, '--options', '-c qemu:///embed', '--history', 'none'],
    ]);
    assert.equal(code, 0, stderr);
    const profile = await loadProfile(path);
    const base = await loadProfile('default');
    const added = profile.kernelArguments.slice(base.kernelArguments.length);
    // What is worth nothing is not in it.
    assert.deepEqual(
      added.map(({ argument }) => argument),
      ['rodata=off'],
    );
    assert.match(added[0]?.worth ?? '', /^[\d.]+ M instructions of [\d.]+ M instructions \([\d.]+ %\)$/);
    assert.equal(profile.initcallBlacklist.at(-1)?.initcall, 'param_sysfs_builtin_init');
    const run = await runSandbox(['-c', 'qemu:///embed', '--profile', path, '--', 'cat', '/proc/cmdline']);
    assert.match(run.out, /rodata=off.*initcall_blacklist=.*param_sysfs_builtin_init/, run.stderr);
  });
});

describe('tuning that is interrupted', { skip: embedded.skip }, () => {
  it('writes no profile that was not seen to work', async (t) => {
    const path = join(scratchDirectory(t), 'tuned.json');
    let told = false;
    const { code, stderr } = await bench(
      ['tune', '--only', '^rodata=off$', '--to', path, '--options', '-c qemu:///embed', '--history', 'none'],
      {
        // All that is left then is to try it together.
        onProgress: (child, text) => {
          if (told || !/with rodata=off 1\/1: /.test(text)) return;
          told = true;
          child.kill('SIGINT');
        },
      },
    );
    assert.equal(code, 130, stderr);
    assert.match(stderr, /interrupted before all of it was seen to work together: no profile is written/);
    assert.equal(existsSync(path), false);
  });
});

describe('an interruption', { skip: embedded.skip }, () => {
  it('keeps what was measured, says so, and leaves nothing', async (t) => {
    const before = scratchLeft();
    const file = join(scratchDirectory(t), 'r.json');
    let told = false;
    const { code, out, stderr } = await bench(
      [
        'run',
        '-n',
        '100',
        '--warm-up',
        '0',
        '--no-floor',
        '--options',
        '-c qemu:///embed',
        '-o',
        file,
        '--history',
        'none',
      ],
      {
        onProgress: (child, text) => {
          if (told || !/ 1\/100: /.test(text)) return;
          told = true;
          child.kill('SIGINT');
        },
      },
    );
    assert.equal(code, 130, stderr);
    const result: Result = readResult(file);
    assert.equal(result.interrupted, true);
    assert.equal(result.variants[0]?.values.length, 1);
    assert.match(out, /^Interrupted: this is what was measured until then/m);
    assert.deepEqual(scratchLeft(), before);
  });
});

describe('the command line', () => {
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(PROGRAM, args, { encoding: 'utf8', env: environment() });
    return { status, stdout, stderr };
  };

  it('exits with 1 for a regression beyond the threshold, and not for less', (t) => {
    const directory = scratchDirectory(t);
    const write = (name: string, factor: number) => {
      const path = join(directory, name);
      writeFileSync(path, JSON.stringify(resultOf(factor)));
      return path;
    };
    const [old, slower] = [write('old', 1), write('slower', 1.1)];
    assert.equal(run('compare', slower, old, '--threshold', '5%').status, 1);
    assert.equal(run('compare', slower, old, '--threshold', '15%').status, 0);
    assert.equal(run('compare', slower, old).status, 0);
    assert.equal(run('compare', old, slower, '--threshold', '5%').status, 0);
    assert.match(run('compare', slower, old).stdout, /1\.100 × .*10\.0 % more than/);
  });

  it('says what is wrong in one line', () => {
    assert.deepEqual(run('run', '--nonsense'), {
      ...{ status: 2, stdout: '' },
      stderr: 'virt-sandbox-bench: Unknown argument: nonsense; see virt-sandbox-bench --help\n',
    });
    assert.match(run('compare').stderr, /^virt-sandbox-bench: compare takes two files, or --options and --against\n$/);
    assert.match(run('picture', '/no/such').stderr, /^virt-sandbox-bench: \/no\/such cannot be read[^\n]*\n$/);
    assert.equal(run('compare', '/no/such', '/none').status, 1);
    assert.match(run('--help').stdout, /ablate/);
  });
});

/** Ten runs around two seconds. */
function resultOf(factor: number): Result {
  const values = Array.from({ length: 10 }, (_, at) => factor * (2 + 0.001 * at));
  const at = (share: number) => values[Math.round(share * 9)] ?? 0;
  const summary = {
    runs: 10,
    min: at(0),
    median: at(0.5),
    p95: at(1),
    max: at(1),
    spread: 0.002,
    low: at(0.3),
    high: at(0.7),
    outliers: [],
  };
  return {
    ...{
      format: 1,
      kind: 'run',
      date: '2026-01-01T00:00:00.000Z',
      version: '1',
      command: [],
      unit: 's',
      interrupted: false,
      comparisons: [],
    },
    host: {
      ...{ processors: 2, model: 'm', acceleration: 'tcg', kernel: '6', qemu: '10', libvirt: '11', node: '20' },
      ...{ connection: 'qemu:///system', load: 0 },
    },
    variants: [{ label: 'a', profile: 'default', options: [], values, summary, parts: {} }],
  };
}
