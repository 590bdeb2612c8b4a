/**
 * virt-sandbox-bench on real boots: its stages add up, its results are kept and can be had before the end.
 */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { readHistory } from '../../src/bench/result/history.js';
import { readResult } from '../../src/bench/result/result.js';
import { length, type Span } from '../../src/bench/timeline/span.js';
import type { Timeline } from '../../src/bench/timeline/timeline.js';
import { loadProfile } from '../../src/profile/load.js';
import { ACCEL } from '../helpers/acceleration.js';
import { bench } from '../helpers/bench.js';
import { embedded, lxc, system } from '../helpers/connections.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { bakeSnapshot, privateStore } from '../helpers/snapshots.js';

/** Of a stage, in a run of which no more can be said of the guest. */
const CLOCK_RUNS_WRONG = 'whose clock runs wrong';

/** An application whose start is reported before its end: that of its input, /dev/null, is passed on to what runs. */
const LASTING = ['--', 'cat'];

for (const way of [embedded, system]) {
  describe(`a run in detail over ${way.uri}`, { skip: way.skip }, () => {
    it('adds up, names the slow parts, and is drawn, saved and added to the history', async (t) => {
      const directory = scratchDirectory(t);
      const file = (name: string) => join(directory, name);
      // What the root needs may be built in, and nothing is loaded then.
      const profile = await loadProfile(process.env['VIRT_SANDBOX_PROFILE']);
      writeFileSync(file('profile.json'), JSON.stringify({ ...profile, moduleSets: ['overlay'] }));
      const options = `-c ${way.uri} --boot cold --profile ${file('profile.json')}`;
      const measure = async () => {
        const { code, out, stderr } = await bench([
          ...['run', '-n', '1', '--warm-up', '0', '--no-floor', '--json', '--options', options],
          ...['-o', file('r.json'), '--svg', file('r.svg'), '--trace', file('r.trace'), '--history', file('h.jsonl')],
          ...LASTING,
        ]);
        assert.equal(code, 0, stderr);
        return { out, result: readResult(file('r.json')) };
      };
      let { out, result } = await measure();
      // A kernel that calibrates its timers while the host is busy has a clock that runs wrong. The timeline says so, and
      // has nothing of the guest then.
      while (result.variants[0]?.timeline?.stages.some(({ name }) => name.endsWith(CLOCK_RUNS_WRONG))) {
        assert.equal(result.variants[0].timeline.alignment, undefined);
        rmSync(file('h.jsonl'));
        ({ out, result } = await measure());
      }
      assert.deepEqual(JSON.parse(out), JSON.parse(JSON.stringify(result)));
      const [variant] = result.variants;
      const timeline = variant?.timeline;
      assert.ok(variant && timeline);
      assert.equal(variant.values.length, 1);

      const sum = (spans: readonly Span[]) => spans.reduce((total, one) => total + length(one), 0);
      assert.ok(Math.abs(sum(timeline.stages) - timeline.wall) < 100, `${sum(timeline.stages)} of ${timeline.wall}`);
      // The host's part is short and has all of its marks.
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
        'draining its output, ending other processes',
        'sync and unmount',
        'exit',
      ])
        stage(name);
      const kernel = stage('kernel');
      assert.ok(kernel.parts.length > 20, kernel.parts.map(({ name }) => name).join(', '));
      // It prints much, and is one span all the same.
      assert.match(kernel.parts.map(({ name }) => name).join(), /acpi_init,.*inet_init,.*unpacking the initrd/);
      for (const part of kernel.parts)
        assert.ok(part.start >= kernel.start - 1 && part.end <= kernel.end + 1, part.name);
      assert.match(
        stage('init')
          .parts.map(({ name }) => name)
          .join(),
        /module overlay/,
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

/** The store that the tests share, unless all machines boot cold. */
async function storeWithSnapshot(t: TestContext) {
  if (!process.env['TEST_COLD']) return { env: {}, accel: [] };
  const { env, remove } = privateStore();
  t.after(remove);
  await bakeSnapshot(['-c', embedded.uri], { env });
  return { env, accel: ACCEL };
}

describe('a warm run', { skip: embedded.skip }, () => {
  it('has its own stages, which add up, beside a bare QEMU that restores the same snapshot', async (t) => {
    const directory = scratchDirectory(t);
    const { env, accel } = await storeWithSnapshot(t);
    const file = join(directory, 'r.json');
    const options = [...accel, '--boot', 'warm', '-c', embedded.uri].join(' ');
    const words = [
      ...['run', '-n', '1', '--warm-up', '0', '--options', options],
      ...['-o', file, '--history', 'none', ...LASTING],
    ];
    const { code, out, stderr } = await bench(words, { env });
    assert.equal(code, 0, stderr);
    const { variants } = readResult(file);
    assert.deepEqual(
      variants.map(({ label, values }) => [label, values.length]),
      [
        [`virt-sandbox (${process.env['VIRT_SANDBOX_PROFILE'] ?? 'default'})`, 1],
        ['bare QEMU that restores the same state and runs /bin/true (the floor)', 1],
      ],
    );
    const timeline = variants[0]?.timeline;
    assert.equal(timeline?.start, 'warm');
    assertWhole(timeline, [
      ...['connecting to libvirt', 'finding the image and the snapshot', 'libvirt, until QEMU runs'],
      ...['QEMU maps the memory', 'QEMU makes the machine', 'loading the state', 'resuming'],
      ...['common init', 'starting the application', 'sync and unmount', 'exit'],
    ]);
    const init = timeline.stages.find(({ name }) => name === 'common init');
    assert.match(init?.parts.map(({ name }) => name).join() ?? '', /setClock.*addEntropy.*root: mount \/newroot/);
    assert.match(out, /time outside QEMU and the guest:\n {2}sum/);
  });
});

describe('a run of a container', { skip: lxc.skip }, () => {
  it('has its own stages, which add up', async (t) => {
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
      ...['power off: finding and killing the container', 'removing the state directory', 'exit'],
    ]);
  });
});

/** Expects these stages, and that they add up to the time from exec to exit. */
function assertWhole({ stages, wall, unexplained }: Timeline, wanted: readonly string[]): void {
  const names = stages.map(({ name }) => name);
  for (const name of wanted) assert.ok(names.includes(name), `${name} of ${names.join(', ')}`);
  const sum = stages.reduce((total, one) => total + length(one), 0);
  assert.ok(Math.abs(sum - wall) < 100, `${sum} of ${wall}`);
  assert.ok(unexplained < wall / 20, `${unexplained} of ${wall}`);
}

describe('counting instructions where no kernel boots', { skip: embedded.skip }, () => {
  it('is refused', async () => {
    for (const [command, options, why] of [
      [['run', '--deterministic'], '-c qemu:///embed --boot=warm', /a warm start boots no kernel; measure its time/],
      [['run', '--deterministic'], '-c qemu:///embed --boot warm', /counts the instructions of a boot/],
      // Counts by default.
      [['ablate'], '-c qemu:///embed --boot warm', /counts the instructions of a boot/],
    ] as const) {
      const { code, stderr } = await bench([...command, '--options', options, '--history', 'none']);
      assert.equal(code, 1);
      assert.match(stderr, why);
    }
  });
});
