/** What serves an overlay that is kept in a directory: where, and who else does. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { configFromOptions } from '../../../../src/config/options.js';
import type { Share } from '../../../../src/domain/shares.js';
import { overlayServer, overlayShare, type Platform } from '../../../../src/sandbox/devices/overlay.js';
import { takesAttributes } from '../../../../src/sandbox/devices/overlay-attributes.js';
import {
  isHeldByOther,
  noteHeld,
  overlayLink,
  overlayReason,
  prepareOverlay,
} from '../../../../src/sandbox/devices/overlay-server.js';
import { stateBase } from '../../../../src/sandbox/state/state-directory.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { sphere } from '../../../../src/util/sphere.js';
import { unlessProgram } from '../../../helpers/images.js';
import { uniqueName } from '../../../helpers/leftovers.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const NOBODY = 65_534;

interface Kept {
  readonly ground: string;
  readonly kept: string;
  readonly stateDirectory: string;
  readonly prepare: () => Promise<void>;
  readonly shares: readonly Share[];
}

/** A sandbox with an overlay in `kept`, named by a link. */
async function keptIn(t: TestContext): Promise<Kept> {
  const ground = scratchDirectory(t, WITH_ATTRIBUTES);
  const kept = join(ground, 'kept');
  mkdirSync(kept, { mode: 0o700 });
  symlinkSync(kept, join(ground, 'link'));
  return { ground, kept, ...(await overlayIn(join(ground, 'link'), join(ground, 'state'))) };
}

async function overlayIn(overlay: string, stateDirectory: string, platform: Platform = 'machine') {
  mkdirSync(stateDirectory, { mode: 0o700 });
  const config = await configFromOptions({ command: ['/bin/true'], overlay });
  const shares = overlayShare(config, uniqueName(), platform);
  return { stateDirectory, shares, prepare: () => prepareOverlay(config, shares, stateDirectory, platform) };
}

const skip = unlessRoot('the overlay is root’s') || unlessProgram('flock');

describe('the server of an overlay', { skip }, () => {
  it('has the directory that libvirt serves, wherever a link leads meanwhile', async (t) => {
    const { ground, kept, stateDirectory, prepare } = await keptIn(t);
    const other = join(ground, 'other');
    mkdirSync(other, { mode: 0o700 });
    rmSync(join(ground, 'link'));
    symlinkSync(other, join(ground, 'link'));
    await prepare();
    assert.deepEqual(
      [kept, other].map((path) => existsSync(join(path, 'layers/upper'))),
      [true, false],
    );
    assert.equal(readlinkSync(overlayLink(stateDirectory)), kept);
  });

  it('is not made if a link has taken the place of that directory', async (t) => {
    const { ground, kept, stateDirectory, prepare } = await keptIn(t);
    renameSync(kept, join(ground, 'away'));
    symlinkSync(join(ground, 'away'), kept);
    await assert.rejects(prepare, { code: 'overlay-directory-unsafe' });
    assert.equal(existsSync(join(ground, 'away/layers')), false);
    assert.equal(existsSync(overlayLink(stateDirectory)), false);
  });

  it('waits for the server of a sandbox whose supervisor was killed, and has what that has left removed', async (t) => {
    const { kept, prepare, stateDirectory } = await keptIn(t);
    await prepare();
    for (const name of readdirSync(stateDirectory)) rmSync(join(stateDirectory, name));
    const dead = stateOf(t, deadOwner());
    const server = await serve(t, kept, { program: overlayServer(dead), whileThere: dead });
    await prepare();
    assert.equal(existsSync(dead), false);
    await server.closed;
  });

  it('is in use by a sandbox that lives, and says which', async (t) => {
    const { kept, prepare, stateDirectory } = await keptIn(t);
    await prepare();
    for (const name of readdirSync(stateDirectory)) rmSync(join(stateDirectory, name));
    const live = stateOf(t, liveOwner());
    await serve(t, kept, { program: overlayServer(live), whileThere: kept });
    await assert.rejects(prepare, { code: 'overlay-in-use', message: new RegExp(`by the sandbox ${basename(live)}$`) });
    assert.equal(existsSync(live), true);
  });

  it('is not seen in what another user runs with the same words, on a device with the same inode numbers', {
    skip: unlessProgram('mount'),
  }, async (t) => {
    const ground = mkdtempSync(join(tmpdir(), 'virt-sandbox-test-'));
    const [ours, theirs] = [join(ground, 'ours'), join(ground, 'theirs')];
    t.after(() => {
      // What runs there ends later.
      for (const at of [ours, theirs]) spawnSync('umount', ['--lazy', at]);
      rmSync(ground, { recursive: true });
    });
    for (const at of [ours, theirs]) {
      mkdirSync(at);
      execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', at]);
    }
    chmodSync(ground, 0o755);
    if (!takesAttributes(ours)) {
      t.skip('a tmpfs has no attributes of users here');
      return;
    }
    const kept = join(ours, 'kept');
    const { prepare, stateDirectory } = await overlayIn(kept, join(ground, 'state'));
    await prepare();
    for (const name of readdirSync(stateDirectory)) rmSync(join(stateDirectory, name));
    const { ino } = lstatSync(join(kept, 'layers'));
    let same = '';
    for (let number = 0; same === ''; number += 1) {
      const path = join(theirs, String(number));
      writeFileSync(path, '', { mode: 0o666 });
      const made = lstatSync(path).ino;
      assert.ok(made <= ino, `inode ${ino} is still to come after ${made}`);
      if (made === ino) same = path;
    }
    chownSync(same, NOBODY, NOBODY);
    const live = stateOf(t, liveOwner());
    const forged = { program: overlayServer(live), whileThere: same, locks: same };
    await serve(t, kept, { ...forged, uid: NOBODY });
    await prepare();
  });
});

describe('the reason of a domain that did not start', { skip }, () => {
  const failed = new Error('virtiofsd died unexpectedly');

  it('is another sandbox that has the lock, and not the own one', async (t) => {
    const { kept, prepare, shares } = await keptIn(t);
    await prepare();
    const own = dirname(shares[0]?.program ?? '');
    mkdirSync(own, { mode: 0o711 });
    const ours = await serve(t, kept, { program: overlayServer(own), whileThere: own });
    assert.equal(overlayReason(shares, failed, 'own'), failed);
    rmSync(own, { recursive: true });
    await ours.closed;
    const other = stateOf(t, liveOwner());
    await serve(t, kept, { program: overlayServer(other), whileThere: other });
    assert.match(String(overlayReason(shares, failed, 'own')), /in use by the sandbox/);
    const unrelated = new Error('no memory');
    assert.equal(overlayReason(shares, unrelated, 'own'), unrelated);
  });
});

describe('the overlay of a container', { skip }, () => {
  it('has no server, is in use by another one that lives, and is free when that one has ended or is killed', async (t) => {
    const kept = join(scratchDirectory(t, WITH_ATTRIBUTES), 'kept');
    const { prepare, shares, stateDirectory } = await overlayIn(kept, `${kept}-state`, 'container');
    await prepare();
    assert.deepEqual(readdirSync(stateDirectory), ['overlay']);
    assert.deepEqual(readdirSync(join(kept, 'layers')), ['mounts']);
    rmSync(overlayLink(stateDirectory));
    const live = stateOf(t, liveOwner());
    symlinkSync(kept, overlayLink(live));
    // One that only starts has it not, and no error names it.
    await prepare();
    assert.equal(isHeldByOther(stateDirectory), false);
    const busy = new SandboxError({ stage: 'init', code: 'overlay-in-use', message: 'in use', remedy: 'wait' });
    assert.equal(overlayReason(shares, busy, 'own'), busy);
    rmSync(overlayLink(stateDirectory));
    noteHeld(live);
    const inUse = { code: 'overlay-in-use', message: new RegExp(`by the sandbox ${basename(live)}$`) };
    await assert.rejects(prepare, inUse);
    // The kernel says that somebody has it, and not who.
    assert.match(String(overlayReason(shares, busy, 'own')), inUse.message);
    assert.equal(overlayReason(shares, busy, basename(live)), busy);
    // That one says who has it: a machine, or another program.
    const said = new SandboxError({ ...busy, stage: 'config', message: busy.message });
    assert.equal(overlayReason(shares, said, 'own'), said);
    symlinkSync(kept, overlayLink(stateDirectory));
    assert.equal(isHeldByOther(stateDirectory), true);
    rmSync(overlayLink(stateDirectory));
    rmSync(live, { recursive: true });
    const dead = stateOf(t, deadOwner());
    symlinkSync(kept, overlayLink(dead));
    await prepare();
    assert.equal(existsSync(dead), false);
  });
});

/** A state directory among those of sandboxes, with that owner. */
function stateOf(t: TestContext, owner: string): string {
  const directory = join(stateBase(), uniqueName());
  mkdirSync(directory, { recursive: true, mode: 0o711 });
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  writeFileSync(join(directory, 'owner'), owner, { mode: 0o600 });
  return directory;
}

function startOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function liveOwner(): string {
  return `${process.pid} ${startOf(process.pid)} ${sphere()} 1\n`;
}

/** This process, had it been started at another time. */
function deadOwner(): string {
  return `${process.pid} 1 ${sphere()} 1\n`;
}

interface Server {
  /** The words that a server has: argv[0] is its link. */
  readonly program: string;
  /** It ends when this path is gone. */
  readonly whileThere: string;
  readonly uid?: number;
  /** What it locks. Default: the layers. */
  readonly locks?: string;
}

/** A process that has the lock as share-server has it. */
async function serve(t: TestContext, kept: string, { program, whileThere, uid, locks }: Server) {
  const layers = join(kept, 'layers');
  const script = 'echo; while [ -e "$0" ]; do sleep 0.05; done';
  const process = spawn('flock', [locks ?? layers, 'sh', '-c', script, whileThere, layers], {
    argv0: program,
    stdio: ['ignore', 'pipe', 'inherit'],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const closed = once(process, 'close');
  t.after(async () => {
    rmSync(whileThere, { recursive: true, force: true });
    await closed;
  });
  await once(process.stdout, 'data');
  return { closed };
}
