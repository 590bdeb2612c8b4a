/** What changes on the host is seen inside, whole: docs/mounts.md, "What changes on the host". */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { SandboxPool } from '../../src/index.js';
import { ACCEL, ACCELERATION } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { processesWith, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { type RunOptions, runSandbox, startSandbox } from '../helpers/run.js';
import { type UsualSnapshot, usualSnapshot } from '../helpers/usual-snapshot.js';

const OLD = 'old\n';
const CASES = ['same-size', 'growing', 'shrinking', 'replaced', 'removed', 'to-directory', 'to-link'];
/** The same of files that a program inside has open all the time. */
const HELD = CASES.slice(0, 5).map((name) => `held-${name}`);

/**
 * Looks at everything in a directory, and once more for each line on standard input, after that many seconds of the
 * guest's own clock. Names that are not there are looked up too.
 */
const LOOK = `
cd "$1" || exit
exec 3<held-same-size 4<held-growing 5<held-shrinking 6<held-replaced 7<held-removed 8<followed
names="${[...CASES, ...HELD].join(' ')} new moved/file"
look() {
  stat -c '%n: %F %s' $names 2>/dev/null
  grep -s -d skip -H '' $names
  sed 's/^/followed:/' <&8
  echo "link: $(readlink link)"
  ls . moved
  echo looked
}
look
while read -r pause; do sleep "$pause"; look; done`;

function makeTree(t: TestContext): string {
  // Not in /tmp, which a sandbox has of its own.
  const directory = mkdtempSync('/var/tmp/virt-sandbox-stale-');
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  chmodSync(directory, 0o755);
  for (const name of [...CASES, ...HELD, 'followed']) writeFileSync(join(directory, name), OLD);
  symlinkSync('one', join(directory, 'link'));
  mkdirSync(join(directory, 'moved'));
  writeFileSync(join(directory, 'moved/file'), OLD);
  return directory;
}

/** What a look shows of a file: its attributes, and its lines. */
function file(name: string, content: string, kind = `regular file ${content.length}`): string[] {
  return [
    `${name}: ${kind}`,
    ...content
      .trimEnd()
      .split('\n')
      .map((line) => `${name}:${line}`),
  ];
}

/** Another link, which most file systems give the number of the one before, of the same size. */
function linkAgain(path: string, target: string): string {
  unlinkSync(path);
  symlinkSync(target, path);
  return `link: ${target}`;
}

/** Changes what {@link makeTree} has made, and says what a look shows then, in any order. */
function changeOnce(directory: string): string[] {
  const at = (name: string) => join(directory, name);
  for (const kind of ['', 'held-']) {
    writeFileSync(at(`${kind}same-size`), 'new\n', { flag: 'r+' });
    appendFileSync(at(`${kind}growing`), 'more\n');
    truncateSync(at(`${kind}shrinking`), 2);
    writeFileSync(at('next'), 'another, which is longer\n');
    renameSync(at('next'), at(`${kind}replaced`));
    unlinkSync(at(`${kind}removed`));
  }
  writeFileSync(at('new'), 'new\n');
  for (const name of ['to-directory', 'to-link']) unlinkSync(at(name));
  mkdirSync(at('to-directory'));
  symlinkSync('new', at('to-link'));
  appendFileSync(at('followed'), 'more\n');
  renameSync(at('moved'), at('moved-away'));
  mkdirSync(at('moved'));
  writeFileSync(at('moved/file'), 'of another directory\n');
  return [
    ...['', 'held-'].flatMap((kind) => [
      ...file(`${kind}same-size`, 'new\n'),
      ...file(`${kind}growing`, 'old\nmore\n'),
      ...file(`${kind}shrinking`, 'ol'),
      ...file(`${kind}replaced`, 'another, which is longer\n'),
    ]),
    ...file('new', 'new\n'),
    `to-directory: directory ${statSync(at('to-directory')).size}`,
    ...file('to-link', 'new\n', 'symbolic link 3'),
    'followed:more',
    linkAgain(at('link'), 'two'),
    ...file('moved/file', 'of another directory\n'),
    ...['.:', ...readdirSync(directory), '', 'moved:', 'file'],
  ].sort();
}

/** Changes some of it again, in the same second and without another size, and says what a look shows then. */
function changeAgain(directory: string, shown: readonly string[]): string[] {
  const changed = ['same-size', 'held-same-size', 'new'];
  for (const name of changed) writeFileSync(join(directory, name), 'NEW\n', { flag: 'r+' });
  appendFileSync(join(directory, 'followed'), 'last\n');
  const linked = linkAgain(join(directory, 'link'), 'six');
  const news = [...changed, 'to-link'].map((name) => `${name}:new`);
  return shown
    .map((line) => (news.includes(line) ? line.replace(/new$/, 'NEW') : line.replace('followed:more', 'followed:last')))
    .map((line) => (line.startsWith('link: ') ? linked : line))
    .sort();
}

/**
 * @param args those of virt-sandbox, before `--`
 * @param pause what the sandbox is given to see a change: seconds of its own clock
 */
async function assertSeen(
  t: TestContext,
  directory: string,
  args: readonly string[],
  { inside = directory, pause, ...options }: RunOptions & { readonly inside?: string; readonly pause: number },
): Promise<void> {
  const command = ['--', 'bash', '-c', LOOK, 'look', inside];
  const running = startSandbox([...args, ...ACCEL, ...command], { ...options, input: 'open' });
  t.after(() => running.child.kill('SIGKILL'));
  const looks = (count: number) => running.until(new RegExp(`(?:^looked$[^]*){${count}}`, 'm'));
  await looks(1);
  const first = changeOnce(directory);
  running.child.stdin?.write(`${pause}\n`);
  await looks(2);
  const second = changeAgain(directory, first);
  running.child.stdin?.end(`${pause}\n`);
  const { code, out, stderr } = await running.result;
  assert.equal(code, 0, stderr);
  const [before = '', once = '', again = ''] = out.split(/^looked$/m);
  assert.match(before, /^held-same-size:old$/m);
  assert.deepEqual(lines(once), first);
  assert.deepEqual(lines(again), second);
}

/** One look, which ends with the line before the next. */
function lines(look: string): string[] {
  return look.slice(1, -1).split('\n').sort();
}

/** Over 9p the guest asks at each look. Over virtiofs what it has asked holds for one second. */
const AT_ONCE = 0;
const WITHIN_A_SECOND = 1.05;

describe('what changes on the host', { skip: embedded.skip }, () => {
  let usual: UsualSnapshot;
  before(async () => {
    usual = await usualSnapshot();
  });
  after(() => usual?.remove());
  const run = (...args: readonly string[]) => ['-c', embedded.uri, ...args];

  for (const [served, cache, pause] of [
    ['9p', 'auto', AT_ONCE],
    ['9p', 'never', AT_ONCE],
    ['virtiofs', 'auto', WITHIN_A_SECOND],
    ['virtiofs', 'never', AT_ONCE],
  ] as const)
    it(`is seen in a root over ${served} with --root-cache ${cache}`, async (t) => {
      const args = run('--root-fs', served, '--root-cache', cache);
      await assertSeen(t, makeTree(t), args, { pause, env: usual.env });
    });

  for (const access of ['', ',ro'])
    it(`is seen in a directory that virtiofsd serves${access}`, async (t) => {
      const directory = makeTree(t);
      const args = run('-m', `host-bind:/mnt=${directory}${access}`);
      await assertSeen(t, directory, args, { inside: '/mnt', pause: WITHIN_A_SECOND, env: usual.env });
    });

  for (const served of ['9p', 'virtiofs'])
    it(`is not seen in a root over ${served} with --root-cache always`, async (t) => {
      const directory = makeTree(t);
      const script = 'cd "$1"; cat same-size; echo looked; read -r line; sleep 1.1; cat same-size';
      const args = run('--root-fs', served, '--root-cache', 'always', ...ACCEL, '--', 'bash', '-c', script, 'look');
      const running = startSandbox([...args, directory], { env: usual.env, input: 'open' });
      t.after(() => running.child.kill('SIGKILL'));
      await running.until(/looked/);
      changeOnce(directory);
      running.child.stdin?.end('\n');
      assert.equal((await running.result).out, 'old\nlooked\nold\n');
    });
});

describe('what changes on the host, for an ordinary user', { skip: embedded.skip || unlessOrdinaryUser() }, () => {
  let user: OrdinaryUser;
  before(async () => {
    user = await OrdinaryUser.create();
  });
  after(() => user?.end());

  it('is seen in the root', async (t) => {
    await assertSeen(t, makeTree(t), ['-c', embedded.uri], { ...user.options, pause: WITHIN_A_SECOND });
  });

  for (const access of ['', ',ro'])
    it(`is seen in a directory that QEMU serves${access}`, async (t) => {
      const directory = makeTree(t);
      const args = ['-c', embedded.uri, '-m', `host-bind:/mnt=${directory}${access}`];
      await assertSeen(t, directory, args, { ...user.options, inside: '/mnt', pause: AT_ONCE });
    });
});

describe('--root-cache', { skip: embedded.skip }, () => {
  it('says that it does not know a mode', async () => {
    const { code, stderr } = await runSandbox(['--root-cache', 'loose', '--', 'true']);
    assert.equal(code, 125);
    assert.match(stderr, /--root-cache cannot be "loose"; give auto, never or always/);
  });

  for (const cache of ['never', 'always'])
    it(`is what the server of the root keeps: ${cache}`, async (t) => {
      const name = uniqueName();
      const args = ['-c', embedded.uri, ...ACCEL, '-n', name, '--root-fs', 'virtiofs', '--root-cache', cache];
      const running = startSandbox([...args, '--', 'sh', '-c', 'echo up; read line'], { input: 'open' });
      t.after(() => running.child.kill('SIGKILL'));
      await running.until(/up/);
      assert.match(processesWith(join(name, 'root-server')).join('\n'), new RegExp(`--cache[= ]${cache}`));
      running.child.stdin?.end('\n');
      assert.equal((await running.result).code, 0);
    });

  it('is for the usual root: a mount that replaces it is cached as ever', async () => {
    const script = 'while read -r from at type how; do [ $at = / ] && echo "$type $how"; done </proc/mounts';
    const replaced = ['-m', 'host-bind:/=/,ro', '--root-cache', 'always'];
    const { out } = await runSandbox(['-c', embedded.uri, ...ACCEL, ...replaced, '--', 'bash', '-c', script]);
    assert.match(out, /^(?:virtiofs ro|9p \S*cache=0x5,\S*directio)/m);
  });

  it('is chosen at each start of a pool', async () => {
    const options = { size: 1, connect: embedded.uri, acceleration: ACCELERATION, rootFs: '9p' } as const;
    const pool = await SandboxPool.create({ ...options, rootCache: 'always' });
    try {
      await using sandbox = await pool.take();
      const { stdout } = await sandbox.run(['cat', '/proc/mounts']);
      assert.match(String(stdout), /^sandbox:root \/ 9p \S*cache=0xf/m);
    } finally {
      await pool.close();
    }
  });
});
