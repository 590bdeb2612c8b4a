/** The benchmark `data` in an emulated machine: its root, what it hands out, and its page. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { describe, it, test } from 'node:test';
import type { HostFacts } from '../../../src/bench/run/host.js';
import { type Cell, type DataResult, ECHOES, measureData } from '../../bench/data/measure.js';
import { nestedPage } from '../../bench/data/nested/page.js';
import { formatResult, parseInside } from '../../bench/data/nested/result.js';
import { copiedDirectories, makeRoot } from '../../bench/data/nested/root.js';
import type { System, SystemName } from '../../bench/data/systems.js';
import { bench } from '../../bench/main.js';
import { unlessProgram } from '../../helpers/images.js';
import { scratchDirectory, unlessRoot } from '../../helpers/scratch.js';

const host: HostFacts = {
  ...{ processors: 2, model: 'M', acceleration: 'kvm', kernel: '6', qemu: '10', libvirt: '11', node: '20' },
  ...{ connection: 'qemu:///embed', load: 1, nested: true },
};
const data: DataResult = {
  amounts: { echoes: 50 },
  rows: [{ name: 'git', what: '`git status`' }],
  systems: [
    { name: 'ours-virtiofs', title: 'virt-sandbox, root over virtiofs' },
    { name: 'bare-virtiofs', title: 'bare QEMU, root over virtiofs' },
    { name: 'virtme-9p', title: 'virtme-ng, 9p' },
  ],
  cells: new Map<SystemName, Map<string, Cell>>([
    ['host', new Map([['git', { quantity: { amount: 0.5, unit: 's' } }]])],
    [
      'ours-virtiofs',
      new Map([
        ['git', { quantity: { amount: 2, unit: 's', min: 1, max: 3, runs: 3 } }],
        [ECHOES, { quantity: { amount: 50, unit: '/s' } }],
      ]),
    ],
    ['bare-virtiofs', new Map([['git', { quantity: { amount: 30, unit: 's' }, isMore: true }]])],
    ['virtme-9p', new Map([['git', { failure: 'it did not boot' }]])],
  ]),
  leftOut: ['`npm ci`: there is no npm'],
};

describe('what the machine hands out', () => {
  it('is read as it was', () => {
    const result = { host, virtme: '1.35', data };
    assert.deepEqual(parseInside(formatResult(result)), result);
  });

  it('is refused where it is something else', () => {
    const text = formatResult({ host, virtme: '1.35', data });
    for (const [wrong, where] of [
      ['', 'the whole'],
      ['{}', 'host'],
      [text.replace('"ours-virtiofs"', '"other"'), 'data.systems.0.name'],
      [text.replace('"amount":0.5', '"amount":"0.5"'), 'data.cells.0.1.0.1'],
      [text.replace('"failure":"it did not boot"', '"failure":null'), 'data.cells.3'],
    ] as const)
      assert.throws(
        () => parseInside(wrong),
        (error: Error) => error.message.startsWith(`the emulated machine wrote no result: ${where}`),
        wrong,
      );
  });
});

test('its page has the figures, what has none, and the loads', () => {
  const page = nestedPage(data, {
    machine: 'M; load before the first run 0.10',
    runs: 3,
    scale: 0.05,
    minutes: 40,
    took: 28,
    loadAfter: 2,
  });
  assert.match(
    page,
    /^ {4}make bench BENCH="--only data --nested --runs 3 --scale 0\.05 --minutes 40 --page docs\/data-path-nested\.md"$/m,
  );
  assert.match(page, /^M; load before the first run 0\.10; load after the last run 2\.00; 28 minutes in all$/m);
  assert.match(page, /^\| `git status` \| 2\.00 \| > 30 \| fails \| 0\.50 \|$/m);
  assert.match(page, /^- virtme-ng, 9p, `git status`: it did not boot\.$/m);
  assert.match(page, /^- left out: `npm ci`: there is no npm\.$/m);
  assert.doesNotMatch(page.replace(/^ {4}.*$|^\|.*$/gm, ''), /^.{121}/m);
});

test('what there is no time for is named', async (t) => {
  const context = {
    ...{ program: '/no/such/program', image: { kernel: '', initrd: '', uri: 'qemu:///embed' } },
    ...{ scratch: scratchDirectory(t), runs: 2, scale: 0.005, progress: () => {} },
    virtme: { missing: 'not installed' },
  };
  const { cells, leftOut, systems } = await measureData(context, 60, 0);
  assert.deepEqual([...cells.keys()], ['host']);
  const expected = [...systems.map(({ title }) => `${title}, 2 of 2: 0 minutes were over`), 'virtme-ng: not installed'];
  assert.deepEqual(leftOut.slice(-expected.length), expected);
});

test('a system that is ended has the rows that it had done', async (t) => {
  const context = {
    ...{ program: '/no/such/program', image: { kernel: '', initrd: '', uri: 'qemu:///embed' } },
    ...{ scratch: scratchDirectory(t), runs: 1, scale: 0.005, progress: () => {} },
    virtme: { missing: 'not installed' },
  };
  const ended: System = {
    name: 'ours-9p',
    title: 'ended',
    run: async (_directory, drive) => {
      const stdout = Readable.from(['row git 2 1 0 0 0 0 broken\n']);
      return drive({ stdin: new PassThrough(), stdout });
    },
  };
  const parts: DataResult[] = [];
  const { cells, leftOut } = await measureData(context, 60, 60, [ended, { ...ended, name: 'bare-9p' }], (part) =>
    parts.push(part),
  );
  assert.deepEqual(leftOut, ['virtme-ng: not installed']);
  assert.deepEqual([...(parts[0]?.cells.keys() ?? [])], ['ours-9p', 'host']);
  assert.equal(parts[0]?.leftOut.at(0), 'ended, 1 of 1: the machine did not end by itself');
  assert.deepEqual(parts[1]?.cells, cells);
  assert.deepEqual(cells.get('ours-9p')?.get('git'), { failure: 'status 1: broken' });
  assert.deepEqual(cells.get('ours-9p')?.get('rm'), { failure: 'it ended after 1 rows' });
  assert.deepEqual(cells.get('ours-9p')?.get(ECHOES), { failure: 'it ended after 1 rows' });
});

describe('the root of the machine', () => {
  it('has what a host has its programs in, and the directory of node and npm', () => {
    const merged = (path: string) => ['/boot', '/etc', '/usr'].includes(path);
    assert.deepEqual(copiedDirectories(merged, '/usr/local/bin/node'), ['/boot', '/etc', '/usr']);
    assert.deepEqual(copiedDirectories(merged, '/opt/node/bin/node'), ['/boot', '/etc', '/usr', '/opt/node']);
    assert.deepEqual(copiedDirectories(merged, '/usrlocal/bin/node'), ['/boot', '/etc', '/usr', '/usrlocal']);
    assert.deepEqual(copiedDirectories((path) => merged(path) || path === '/bin', '/bin/node').at(0), '/bin');
  });

  const skip = unlessRoot('makes mounts') || unlessProgram('mkfs.ext4', 'debugfs', 'unshare');
  it('is an image that only root reads, with copies where they are on the host', { skip }, (t) => {
    const scratch = scratchDirectory(t);
    const directory = join(scratch, 'with space');
    mkdirSync(directory);
    writeFileSync(join(directory, 'file'), 'content');
    symlinkSync('file', join(directory, 'link'));
    const image = makeRoot(scratch, [directory]);
    assert.equal(statSync(image).mode & 0o777, 0o600);
    const debugfs = (request: string) =>
      execFileSync('debugfs', ['-R', request, image], { encoding: 'utf8', stdio: 'pipe' });
    assert.equal(debugfs(`cat "${directory}/file"`), 'content');
    assert.match(debugfs(`stat "${directory}/link"`), /Type: symlink/);
    assert.match(debugfs('stat /var/tmp'), /Type: directory/);
    // The mounts were in a namespace of their own.
    assert.doesNotMatch(execFileSync('cat', ['/proc/self/mountinfo'], { encoding: 'utf8' }), new RegExp(scratch));
  });
});

test('what takes no --nested says so', async () => {
  for (const words of [['--nested'], ['--nested', '--only', 'boot'], ['--only', 'data', '--minutes', '0']])
    assert.equal(await bench(words, 'V'), 2, words.join(' '));
});
