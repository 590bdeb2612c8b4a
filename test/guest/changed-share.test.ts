/** A shared directory to which something happens on the host while the sandbox runs. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { assertNothingLeft, uniqueName } from '../helpers/leftovers.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { assertRun, type RunOptions, startSandbox } from '../helpers/run.js';
import { freshDirectory, scratchDirectory, unlessRoot } from '../helpers/scratch.js';
import { bakeUsualFor, type UsualSnapshot, usualSnapshot } from '../helpers/usual-snapshot.js';

/** One who shares a directory. */
interface Way {
  readonly what: string;
  readonly uri: string;
  readonly skip: string | false;
  /** @returns where the directories are, and how a sandbox is run */
  readonly open: () => Promise<Sharing>;
}

interface Sharing {
  readonly base: string;
  readonly options: RunOptions;
  readonly owner: { readonly uid: number; readonly gid: number };
  assertGone(name: string): Promise<void>;
  close(): Promise<void>;
}

async function ofRoot(): Promise<Sharing> {
  const [base, usual]: [string, UsualSnapshot] = [freshDirectory(), await usualSnapshot()];
  return {
    base,
    options: { env: usual.env },
    owner: { uid: 0, gid: 0 },
    assertGone: (name) => assertNothingLeft(name),
    close: async () => {
      usual.remove();
      rmSync(base, { recursive: true, force: true });
    },
  };
}

async function ofUser(): Promise<Sharing> {
  const user = await OrdinaryUser.create();
  await bakeUsualFor(user);
  return {
    base: user.home,
    options: user.options,
    owner: user,
    assertGone: (name) => assertNothingLeft(name, user.where),
    close: () => user.end(),
  };
}

const WAYS: readonly Way[] = [
  { what: 'over virtiofs', uri: embedded.uri, skip: embedded.skip || unlessProgram('virtiofsd'), open: ofRoot },
  { what: 'over 9p', uri: 'qemu:///session', skip: unlessOrdinaryUser(), open: ofUser },
];

/** What the sandbox does before and after; it tells each answer with a word in front. */
const SCRIPT = [
  'exec 5</mnt/file; cat /mnt/file; echo ready; read line',
  // Without a look at its size: QEMU's 9p finds the size of a file by its name.
  'read text <&5; echo open: $text',
  'echo file: $(cat /mnt/file 2>&1)',
  'echo list: $(ls /mnt 2>&1)',
  'echo write: $({ echo new >/mnt/new && cat /mnt/new; } 2>&1)',
  'exit 7',
].join('; ');

for (const way of WAYS) {
  describe(`a directory ${way.what} that is changed on the host`, { skip: way.skip }, () => {
    let sharing: Sharing;
    before(async () => {
      sharing = await way.open();
    });
    after(() => sharing?.close());

    function makeShare(path: string, content: string): string {
      mkdirSync(path, { mode: 0o755 });
      writeFileSync(join(path, 'file'), content);
      for (const made of [path, join(path, 'file')]) chownSync(made, sharing.owner.uid, sharing.owner.gid);
      return path;
    }

    /** Runs the script, with `change` in its middle. @returns the answers, by their words */
    async function through(share: string, change: () => void): Promise<Record<string, string>> {
      const name = uniqueName();
      const args = ['-c', way.uri, ...ACCEL, '-n', name, '-m', `host-bind:/mnt=${share}`, '--', 'sh', '-c', SCRIPT];
      const running = startSandbox(args, { ...sharing.options, input: 'open' });
      await running.until(/ready/);
      change();
      running.child.stdin?.end('\n');
      const result = await running.result;
      assertRun(result, 7, result.out);
      await sharing.assertGone(name);
      return Object.fromEntries(
        result.out
          .trimEnd()
          .split('\n')
          .slice(2)
          .map((line) => line.split(': ', 2) as [string, string]),
      );
    }

    it('is empty once it was removed, but for what is open', async () => {
      const share = makeShare(join(sharing.base, uniqueName()), 'old\n');
      const { open, list, write } = await through(share, () => rmSync(share, { recursive: true }));
      assert.equal(open, 'old');
      assert.doesNotMatch(`${list}`, /file/);
      assert.doesNotMatch(`${write}`, /new/);
    });

    for (const isReplaced of [false, true])
      it(`is still the same once it was ${isReplaced ? 'replaced' : 'renamed'}`, async () => {
        const share = makeShare(join(sharing.base, uniqueName()), 'old\n');
        const moved = `${share}-moved`;
        const answers = await through(share, () => {
          renameSync(share, moved);
          if (isReplaced) makeShare(share, 'another\n');
        });
        assert.deepEqual(answers, { open: 'old', file: 'old', list: 'file', write: 'new' });
        assert.equal(readFileSync(join(moved, 'new'), 'utf8'), 'new\n');
      });

    it('is still there once it was unmounted', async () => {
      const share = join(sharing.base, uniqueName());
      mkdirSync(share);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4M,mode=755', share, share]);
      try {
        const { uid, gid } = sharing.owner;
        writeFileSync(join(share, 'file'), 'old\n');
        for (const path of [share, join(share, 'file')]) chownSync(path, uid, gid);
        const answers = await through(share, () => execFileSync('umount', ['--lazy', share]));
        assert.deepEqual(answers, { open: 'old', file: 'old', list: 'file', write: 'new' });
        assert.deepEqual(readdirSync(share), []);
      } finally {
        if (readFileSync('/proc/self/mounts', 'utf8').includes(` ${share} `)) execFileSync('umount', ['--lazy', share]);
      }
    });
  });
}

for (const rootFs of ['9p', 'virtiofs'])
  describe(`a root over ${rootFs} that is changed on the host`, {
    skip: embedded.skip || unlessProgram('virtiofsd', 'busybox') || unlessRoot('virtiofs serves no other user a root'),
  }, () => {
    /** Runs a script whose root is a directory, with `change` in its middle. @returns what it prints behind that */
    async function through(t: TestContext, change: (root: string) => void): Promise<string> {
      const [name, root] = [uniqueName(), join(scratchDirectory(t), 'root')];
      for (const part of ['bin', 'dev', 'proc']) mkdirSync(join(root, part), { recursive: true, mode: 0o755 });
      const busybox = execFileSync('sh', ['-c', 'command -v busybox'], { encoding: 'utf8' }).trim();
      execFileSync('cp', [busybox, join(root, 'bin')]);
      writeFileSync(join(root, 'file'), 'old\n');
      const script = 'echo ready; read line; cd /bin; ls / | grep file; busybox cat /file; exit 7';
      const args = ['-c', embedded.uri, ...ACCEL, '-n', name, '--root-fs', rootFs, '-r', root];
      const running = startSandbox([...args, '--', '/bin/busybox', 'sh', '-c', script], { input: 'open' });
      await running.until(/ready/);
      change(root);
      running.child.stdin?.end('\n');
      const { code, out, stderr } = await running.result;
      assert.equal(code, 7, stderr);
      await assertNothingLeft(name);
      return out.replace('ready\n', '');
    }

    it('is empty once it was removed', async (t) => {
      assert.doesNotMatch(await through(t, (root) => rmSync(root, { recursive: true })), /file/);
    });

    it('is still the same once it was renamed', async (t) => {
      assert.equal(await through(t, (root) => renameSync(root, `${root}-moved`)), 'file\nold\n');
    });
  });
