/** The image store: its location, concurrent builders, killed builders, full and read-only disks. */

import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type ImageOptions, resolveImage } from '../../../../src/image/resolve.js';
import { sweepOutputs } from '../../../../src/image/store/export.js';
import { ownerTag } from '../../../../src/image/store/owner.js';
import { defaultStoreDirectory, makeStore } from '../../../../src/image/store/store.js';
import { sweepWorkspaces, withWorkspace } from '../../../../src/image/store/workspace.js';
import type { Moment } from '../../../helpers/build-image.js';
import { rejectsWith } from '../../../helpers/errors.js';
import { imageFiles, storeContents, testMachine } from '../../../helpers/machines.js';
import { buildAs, buildCommand } from '../../../helpers/programs.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';
import { processOf } from '../../../soak/processes.js';

interface Answer {
  readonly id: string;
  readonly directory: string;
  readonly fresh: boolean;
  readonly code?: string;
  readonly line?: string;
}

/** A builder in a separate process. */
function startBuilder(options: object): { child: ChildProcess; answer: Promise<Answer> } {
  const [program, ...args] = buildCommand(options);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const answer = text(child.stdout).then((output) => JSON.parse(output) as Answer);
  answer.catch(() => {});
  return { child, answer };
}

/** A builder that has stopped itself at work, and its workspace. */
async function stoppedBuilder(
  context: TestContext,
  options: ImageOptions,
  stopBefore: Moment,
): Promise<ReturnType<typeof startBuilder> & { workspace: string }> {
  const builder = startBuilder({ ...options, stopBefore });
  context.after(() => builder.child.kill('SIGKILL'));
  for (let state: string | undefined; state !== 'T'; await delay(5)) {
    state = processOf(builder.child.pid ?? 0)?.state;
    assert.ok(state !== undefined, 'it has ended without coming to that moment');
  }
  const store = options.storeDirectory ?? '';
  const { workspaces } = storeContents(store);
  assert.equal(workspaces.length, 1);
  return { ...builder, workspace: join(store, workspaces[0] ?? '') };
}

test('the default directory of the store', () => {
  const root = process.geteuid?.() === 0;
  assert.equal(defaultStoreDirectory({ XDG_CACHE_HOME: '/srv/x' }), '/srv/x/virt-sandbox/images');
  for (const environment of [{}, { XDG_CACHE_HOME: '' }, { XDG_CACHE_HOME: 'relative' }]) {
    const expected = root ? /^\/var\/cache\/virt-sandbox\/images$/ : /\/\.cache\/virt-sandbox\/images$/;
    assert.match(defaultStoreDirectory(environment), expected);
  }
});

test('another user has a store in the home directory', { skip: unlessRoot('it becomes another user') }, (context) => {
  const machine = testMachine(context);
  const home = join(machine.directory, 'home');
  mkdirSync(home);
  execFileSync('chown', ['nobody', home]);
  const { storeDirectory: _, ...options } = machine.options;
  const [program, ...args] = buildAs('nobody', options);
  const environment: NodeJS.ProcessEnv = { ...process.env, HOME: home };
  delete environment['XDG_CACHE_HOME'];
  const answer = JSON.parse(execFileSync(program, args, { env: environment, encoding: 'utf8' })) as Answer;
  assert.equal(answer.directory, join(home, '.cache/virt-sandbox/images', answer.id));
});

test('several builders at once make one complete image', async (context) => {
  const machine = testMachine(context);
  const answers = await Promise.all(Array.from({ length: 4 }, () => startBuilder(machine.options).answer));
  const [id] = answers.map((answer) => answer.id);
  for (const answer of answers) assert.equal(answer.id, id);
  assert.ok(answers.some((answer) => answer.fresh));
  assert.deepEqual(storeContents(machine.store), { images: [id], workspaces: [], other: [] });
  assert.equal((await resolveImage(machine.options)).fresh, false);
});

test('a second builder takes the image of the first, and leaves a live builder alone', async (context) => {
  const machine = testMachine(context);
  const slow = await stoppedBuilder(context, machine.options, { call: 'write', path: 'vmlinux' });
  const first = await resolveImage(machine.options);
  assert.equal(first.fresh, true);
  assert.ok(existsSync(slow.workspace), 'its owner is stopped, not dead');
  const files = imageFiles(first);
  slow.child.kill('SIGCONT');
  const second = await slow.answer;
  assert.equal(second.id, first.id);
  assert.equal(second.fresh, false);
  assert.deepEqual(imageFiles(first), files);
  assert.deepEqual(storeContents(machine.store).workspaces, []);
});

/** When a builder is killed: from an empty workspace to an image that is not yet remembered. */
const MOMENTS: readonly Moment[] = [
  { call: 'chmod', path: '' },
  // The kernel has its size, and nothing but zeros.
  { call: 'write', path: 'vmlinux' },
  { call: 'sync', path: 'vmlinux' },
  { call: 'rename', path: '' },
  { call: 'rename', path: 'remembered' },
];

test('a killed builder does no harm, and the next one removes its leftovers', async (context) => {
  const machine = testMachine(context);
  // A build from files that have just changed is not remembered: see util/input-log.ts.
  await delay(100);
  for (const moment of MOMENTS) {
    const { child, workspace } = await stoppedBuilder(context, { ...machine.options, rebuild: true }, moment);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    const when = `killed before ${moment.call} of ${moment.path || 'its workspace'}`;
    assert.ok(existsSync(workspace), when);
    // Whatever it left, a directory that looks like an image is one.
    const found = await resolveImage(machine.options);
    assert.deepEqual(readdirSync(found.directory).sort(), ['initrd', 'manifest.json', 'vmlinux']);
    const image = await resolveImage({ ...machine.options, rebuild: true });
    assert.deepEqual(imageFiles(image), imageFiles(found), when);
    assert.deepEqual(storeContents(machine.store).workspaces, [], when);
    rmSync(image.directory, { recursive: true });
  }
});

test('workspaces of other boots and containers are left alone for a day', async (context) => {
  const store = scratchDirectory(context);
  const young = join(store, '.build-0123456789ab-4026531836-1-1-aaaaaaaa');
  const old = join(store, '.build-0123456789ab-4026531836-1-1-bbbbbbbb');
  const odd = join(store, '.build-x');
  for (const path of [young, old, odd]) mkdirSync(path);
  writeFileSync(join(old, 'vmlinux'), 'x');
  const longAgo = Date.now() / 1000 - 2 * 24 * 60 * 60;
  utimesSync(old, longAgo, longAgo);
  await withWorkspace(store, async (own) => {
    await sweepWorkspaces(store);
    assert.deepEqual(readdirSync(store).sort(), [young, odd, own].map((path) => path.slice(store.length + 1)).sort());
  });
  assert.equal(readdirSync(store).length, 2);
});

test('a workspace whose PID belongs to another process now is swept', async (context) => {
  const store = scratchDirectory(context);
  await withWorkspace(store, async (own) => {
    const imitation = own.replace(
      /-(\d+)-(\w+)$/,
      (_, start: string, random: string) => `-${Number(start) + 1}-${random}`,
    );
    mkdirSync(imitation);
    await sweepWorkspaces(store);
    assert.ok(existsSync(own));
    assert.ok(!existsSync(imitation));
  });
});

test('a full disk is reported, and nothing is left on it', {
  skip: unlessRoot('it mounts a small file system'),
}, async (context) => {
  const machine = testMachine(context);
  const store = mkdtempSync(join(tmpdir(), 'virt-sandbox-full-'));
  context.after(() => rmSync(store, { recursive: true, force: true }));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=100k,mode=755', 'tmpfs', store], { stdio: 'pipe' });
  } catch (error) {
    context.skip(`a tmpfs cannot be mounted here: ${String(error)}`);
    return;
  }
  try {
    await rejectsWith(
      resolveImage({ ...machine.options, storeDirectory: store }),
      'disk-full',
      /^image: no space is left in .* for a boot image; free \d+ MB there, or set XDG_CACHE_HOME/,
    );
    assert.deepEqual(storeContents(store), { images: [], workspaces: [], other: [] });
    // With space again, the same store works.
    execFileSync('mount', ['-o', 'remount,size=10m', store]);
    assert.equal((await resolveImage({ ...machine.options, storeDirectory: store })).fresh, true);
  } finally {
    execFileSync('umount', [store]);
  }
});

test('a store on a read-only file system serves the images it has', {
  skip: unlessRoot('it mounts a small file system'),
}, async (context) => {
  const machine = testMachine(context);
  const store = mkdtempSync(join(tmpdir(), 'virt-sandbox-read-only-'));
  context.after(() => rmSync(store, { recursive: true, force: true }));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=10m,mode=755', 'tmpfs', store], { stdio: 'pipe' });
  } catch (error) {
    context.skip(`a tmpfs cannot be mounted here: ${String(error)}`);
    return;
  }
  try {
    const options = { ...machine.options, storeDirectory: store };
    const built = await resolveImage(options);
    execFileSync('mount', ['-o', 'remount,ro', store]);
    // The answer may or may not have been kept, so force the search by content.
    symlinkSync('/dev/null', join(machine.directory, 'boot/vmlinuz-0'));
    const found = await resolveImage(options);
    assert.equal(found.id, built.id);
    assert.equal(found.fresh, false);
    await rejectsWith(resolveImage({ ...options, rebuild: true }), 'store-not-writable', /EROFS/);
  } finally {
    execFileSync('umount', [store]);
  }
});

test('a store that is not writable for this user', { skip: unlessRoot('it becomes another user') }, (context) => {
  const machine = testMachine(context);
  mkdirSync(machine.store);
  const build = (storeDirectory: string): Answer => {
    const [program, ...args] = buildAs('nobody', { ...machine.options, storeDirectory });
    return JSON.parse(execFileSync(program, args, { encoding: 'utf8' })) as Answer;
  };
  const answer = build(machine.store);
  assert.equal(answer.code, 'store-not-writable');
  assert.match(
    answer.line ?? '',
    /^image: boot images cannot be written to .*\/store \(EACCES at .*; make it a directory/,
  );
  assert.deepEqual(readdirSync(machine.store), []);
  assert.equal(build(join(machine.directory, 'new/store')).code, 'store-not-writable');
});

test('a store that is a file, or with a file in place of the image', async (context) => {
  const machine = testMachine(context);
  const file = join(machine.directory, 'file');
  writeFileSync(file, '');
  await rejectsWith(resolveImage({ ...machine.options, storeDirectory: file }), 'store-not-writable', /EEXIST|ENOTDIR/);
  const { id, directory } = await resolveImage(machine.options);
  rmSync(directory, { recursive: true });
  writeFileSync(directory, 'in the way');
  await rejectsWith(resolveImage(machine.options), 'store-not-writable', /ENOTDIR/);
  assert.deepEqual(storeContents(machine.store), { images: [id], workspaces: [], other: [] });
});

test("root's store is opened to QEMU's user again, where a process with another umask was killed", {
  skip: unlessRoot('only root has a store that others enter'),
}, (context) => {
  const store = join(scratchDirectory(context), 'virt-sandbox/images');
  const made = [join(store, '..'), store, join(store, '.index')];
  const modes = () => made.map((path) => lstatSync(path).mode & 0o777);
  for (const path of made) mkdirSync(path, { mode: 0o700 });
  makeStore(store);
  assert.deepEqual(modes(), [0o755, 0o755, 0o755]);
  for (const path of made) chmodSync(path, 0o750);
  makeStore(store);
  assert.deepEqual(modes(), [0o750, 0o750, 0o750]);
});

test('what a killed process left beside an output is found when its disk is mounted again', async (context) => {
  const store = join(scratchDirectory(context), 'images');
  const disk = scratchDirectory(context);
  makeStore(store);
  const tag = ownerTag().replace(/-\d+-\d+$/, '-4194304-1');
  const workspace = join(disk, `.build-${tag}-0123`);
  const note = (device: number) => join(store, '.outputs', `0123456789abcdef.${tag}.${device}`);
  const { dev } = lstatSync(disk);
  mkdirSync(join(store, '.outputs'));
  symlinkSync(disk, note(dev + 1));
  assert.deepEqual(await sweepOutputs(store), []);
  assert.equal(readdirSync(join(store, '.outputs')).length, 1);
  mkdirSync(workspace);
  assert.deepEqual(await sweepOutputs(store), [workspace]);
  assert.deepEqual(readdirSync(join(store, '.outputs')), []);
  // Where the disk is there, there was nothing; and none stays for ever.
  for (const device of [dev, dev + 1]) symlinkSync(join(disk, 'absent/below'), note(device));
  lutimesSync(note(dev + 1), 0, 0);
  assert.deepEqual(await sweepOutputs(store), []);
  assert.deepEqual(readdirSync(join(store, '.outputs')), []);
});
