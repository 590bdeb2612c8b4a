/**
 * The commands of virt-sandbox-bench other than `run`: what they report about real boots, and what is left after an
 * interruption.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type Result, readResult } from '../../src/bench/result/result.js';
import { loadProfile } from '../../src/profile/load.js';
import { BENCH, bench, scratchOf } from '../helpers/bench.js';
import { embedded } from '../helpers/connections.js';
import { environment, runSandbox } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';

describe('compare', { skip: embedded.skip }, () => {
  it('measures both in turn, each beside its own baseline, and reports the difference', async (t) => {
    const file = join(scratchDirectory(t), 'r.json');
    const { code, out, stderr } = await bench([
      ...['compare', '--options', '-c qemu:///embed -e A=1', '--against', '-c qemu:///embed'],
      ...['-n', '1', '--warm-up', '0', '-o', file, '--history', 'none'],
    ]);
    assert.equal(code, 0, stderr);
    const { variants, comparisons } = readResult(file);
    const [b, a] = ['B: -c qemu:///embed', 'A: -c qemu:///embed -e A=1'];
    const bare = process.env['TEST_COLD'] ? 'bare QEMU' : 'bare QEMU that restores the same state and runs /bin/true';
    const floorOf = (label: string) => `${bare} (the floor) of ${label}`;
    assert.deepEqual(
      variants.map(({ label, values, floorOf: of }) => [label, values.length, of]),
      [
        [b, 1, undefined],
        [a, 1, undefined],
        [floorOf(b), 1, [b]],
        [floorOf(a), 1, [a]],
      ],
    );
    assert.deepEqual(
      comparisons.map(({ label, against }) => [label, against]),
      [
        [a, b],
        [b, floorOf(b)],
        [a, floorOf(a)],
      ],
    );
    // One run of each proves nothing, however far apart they are.
    assert.deepEqual(
      comparisons.map(({ verdict }) => verdict),
      ['undecided', 'undecided', 'undecided'],
    );
    assert.match(out, /not told apart from B: /);
  });

  it('of instructions reports a regression beyond the threshold', async () => {
    const { code, out, stderr } = await bench([
      ...['compare', '--deterministic', '--options', '-c qemu:///embed --profile default'],
      ...['--against', '-c qemu:///embed --profile fast', '-n', '1', '--threshold', '5%', '--history', 'none'],
    ]);
    assert.equal(code, 1, stderr);
    assert.match(out, /^A: .*, \d+\.\d % more than B: /m);
  });
});

describe('peers', { skip: embedded.skip }, () => {
  it('are the installed programs with ratios, and a line for those not installed', async () => {
    // The others take long and run elsewhere: virtme-ng in `make bench`, mkinitramfs and dracut in guest/bake-foreign.
    // The row of qemu:///embed is the first row's start, and containers are nothing that this libvirtd can start.
    const { code, out, stderr } = await bench([
      ...['peers', '-n', '1', '--warm-up', '0', '--only', '^(bare|libguestfs|image: mktirfs|image: virtme)'],
      ...['--options', '-c qemu:///embed', '--history', 'none'],
    ]);
    assert.ok(code === 0 || /: not measured: /.test(out), stderr);
    assert.match(out, /^virt-sandbox +\d+(\.\d+)? m?s \(.*n=1\) +1\.00 ×$/m);
    // One run each, beside other tests: the order of the two proves nothing.
    assert.match(out, /^bare QEMU \(the floor\) +\d+(\.\d+)? m?s \(.*n=1\) +\d+\.\d+ ×$/m);
    for (const name of ['libguestfs appliance', 'mktirfs', 'virtme-mkinitramfs'])
      assert.match(out, new RegExp(`^(?:image: )?${name}(?: +\\d+|: not measured: )`, 'm'), name);
    assert.doesNotMatch(out, /dracut|^mkinitramfs|virtme-ng|virt-sandbox -c/m);
  });
});

describe('an ablation of time', { skip: embedded.skip }, () => {
  it('measures each change in turn with the default, and the baseline', async () => {
    const { code, out, stderr } = await bench([
      ...['ablate', '--no-deterministic', '-n', '1', '--warm-up', '0', '--only', '^image with the kernel'],
      ...['--options', '-c qemu:///embed', '--history', 'none'],
    ]);
    assert.equal(code, 0, stderr);
    assert.match(out, /^a bare QEMU \(the floor\): \d+(\.\d+)? m?s, \d+\.\d %$/m);
    assert.match(out, /^image with the kernel packed \(bzImage\) +[−+]\d+/m);
  });
});

describe('tuning', { skip: embedded.skip }, () => {
  it('counts the same twice, tells each change by one run, and writes a profile of those that help', async (t) => {
    const directory = scratchDirectory(t);
    const file = (name: string) => join(directory, name);
    // `fast` without two things that help: the boots that are counted are most of the time.
    const fast = await loadProfile('fast');
    const lacking = {
      ...fast,
      kernelArguments: fast.kernelArguments.filter(({ argument }) => argument !== 'noreplace-smp'),
      initcallBlacklist: fast.initcallBlacklist.filter(({ initcall }) => initcall !== 'param_sysfs_builtin_init'),
    };
    writeFileSync(file('base.json'), JSON.stringify({ ...lacking, name: 'base' }));
    const { code, stderr } = await bench([
      ...['tune', '--profile', file('base.json'), '--only', '^(noreplace-smp|param_sysfs_builtin_init)$'],
      ...['--to', file('tuned.json'), '-o', file('r.json'), '--options', '-c qemu:///embed', '--history', 'none'],
    ]);
    assert.equal(code, 0, stderr);

    const { unit, variants, comparisons } = readResult(file('r.json'));
    assert.equal(unit, 'instructions');
    assert.deepEqual(
      variants.map(({ label, values }) => [label, values.length]),
      [
        ['as it is', 2],
        ['with noreplace-smp', 1],
        ['skipping param_sysfs_builtin_init', 1],
        ['all together', 1],
      ],
    );
    const values = variants[0]?.values ?? [];
    // A change that is worth less is not kept, so one that is worth nothing never is.
    assert.ok(Math.max(...values) < Math.min(...values) * 1.001, values.join(', '));
    assert.deepEqual(
      comparisons.map(({ label, verdict }) => [label, verdict]),
      [
        ['with noreplace-smp', 'faster'],
        ['skipping param_sysfs_builtin_init', 'faster'],
      ],
    );

    const profile = await loadProfile(file('tuned.json'));
    const [argument, initcall] = [profile.kernelArguments.at(-1), profile.initcallBlacklist.at(-1)];
    const { name: _name, description: _description, ...base } = await loadProfile(file('base.json'));
    const { name, description, ...tuned } = profile;
    assert.equal(name, 'tuned');
    assert.match(description, /^Tuned from base for Linux \S+ on QEMU \S+\.$/);
    assert.deepEqual(tuned, {
      ...base,
      kernelArguments: [...base.kernelArguments, argument],
      initcallBlacklist: [...base.initcallBlacklist, initcall],
    });
    assert.deepEqual([argument?.argument, initcall?.initcall], ['noreplace-smp', 'param_sysfs_builtin_init']);
    for (const { worth } of [argument, initcall].filter((one) => one !== undefined))
      assert.match(worth, /^[\d.]+ M instructions of [\d.]+ M instructions \([\d.]+ %\)$/);
    // A boot with all of it was the last run. A sandbox takes the file as a profile.
    const xml = await runSandbox([
      ...['--print-xml', '-c', 'qemu:///embed', '--boot', 'cold'],
      ...['--profile', file('tuned.json'), '--', 'true'],
    ]);
    assert.match(xml.out, /noreplace-smp.*initcall_blacklist=.*param_sysfs_builtin_init/, xml.stderr);
  });
});

describe('an interruption', { skip: embedded.skip }, () => {
  it('keeps the measurements, says so, and leaves nothing else', async (t) => {
    const file = join(scratchDirectory(t), 'r.json');
    let pid: number | undefined;
    const { code, out, stderr } = await bench(
      [
        ...['run', '-n', '100', '--warm-up', '0', '--no-floor', '--options', '-c qemu:///embed'],
        ...['-o', file, '--history', 'none'],
      ],
      {
        onProgress: (child, text) => {
          if (pid !== undefined || !/ 1\/100: /.test(text)) return;
          pid = child.pid;
          child.kill('SIGINT');
        },
      },
    );
    assert.equal(code, 130, stderr);
    const result: Result = readResult(file);
    assert.equal(result.interrupted, true);
    // More than one may have ended before the signal has come.
    const measured = stderr.match(/ \d+\/100: /g)?.length ?? 0;
    assert.ok(measured > 0 && measured < 100, stderr);
    assert.equal(result.variants[0]?.values.length, measured);
    assert.match(out, /^Interrupted: this is what was measured until then/m);
    assert.deepEqual(scratchOf(pid), []);
  });
});

describe('the command line', () => {
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(BENCH, args, { encoding: 'utf8', env: environment() });
    return { status, stdout, stderr };
  };

  it('exits with 1 for a regression beyond the threshold only', (t) => {
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

  it('reports an error in one line', () => {
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

/** Ten values around two seconds. */
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
