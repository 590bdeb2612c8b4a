/**
 * Promise: a copy of a tree reads and writes nothing outside of it, on neither side, whatever a program of the sandbox
 * does to the tree meanwhile. The attacker is another user inside who may write there: it exchanges directories with
 * links to what is root's. The victims are files of root inside, and those beside the destination on the host.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { Sandbox, SandboxError } from '../../src/index.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { REPOSITORY } from '../helpers/run.js';
import { scratchDirectory } from '../helpers/scratch.js';
import { fingerprint } from '../helpers/tree-listing.js';

const ROUNDS = 30;
/** How a copy may end that meets the attacker. */
const CODES = new Set(['copy-failed', 'not-a-directory', 'file-exists', 'file-not-found', 'permission-denied']);

/** A tree with a directory that the attacker exchanges, in the host's scratch directory. */
function makeTree(top: string): string {
  mkdirSync(join(top, 'tree', 'sub', 'deep'), { recursive: true });
  for (const name of ['a', 'sub/b', 'sub/deep/c', 'z']) writeFileSync(join(top, 'tree', name), 'mine');
  execFileSync('chmod', ['-R', 'a+rwX', join(top, 'tree')]);
  return join(top, 'tree');
}

/** Copies again and again. @returns how it ended, each time */
async function codesOf(copy: () => Promise<unknown>): Promise<string[]> {
  const codes: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await copy().then(
      () => codes.push('whole'),
      (error: unknown) => codes.push(error instanceof SandboxError ? error.code : String(error)),
    );
  }
  for (const code of codes) assert.ok(code === 'whole' || CODES.has(code), code);
  return codes;
}

/**
 * Starts the attacker, as a user who may write to `tree` and to where it is.
 * @param outside of the host: its links lead there too, once they are downloaded
 * @returns its process
 */
async function attack(t: TestContext, sandbox: Sandbox, program: string, outside: string): Promise<number> {
  await sandbox.files.upload(program, '/srv/swap-links');
  const attacker = await sandbox.spawn(['/srv/swap-links', '/srv/open', '/srv/secret', outside], { user: 'nobody' });
  t.after(() => attacker.kill('SIGKILL').catch(() => {}));
  const [said] = await once(attacker.stdout, 'data');
  assert.equal(String(said), 'swapping\n');
  return attacker.pid;
}

it('directories that become links while they are copied', {
  skip: embedded.skip || unlessProgram('gcc'),
}, async (t) => {
  const top = scratchDirectory(t);
  const source = makeTree(top);
  const program = join(top, 'swap-links');
  execFileSync('gcc', ['-O2', '-static', '-o', program, join(REPOSITORY, 'test/hostile/programs/swap-links.c')]);
  await using sandbox = await Sandbox.create({ connect: embedded.uri, mounts: ['ram:/srv=50M'] });
  const { files } = sandbox;
  const victims = 'cd /srv/secret; find . -exec stat -c "%n %a %i %Z" {} + | sort; cat sub/key';
  await sandbox.run(
    'cd /srv; chmod 755 .; mkdir -p open secret/sub secret/deep; chmod 777 open; echo secret >secret/sub/key; chmod 755 secret; chmod 700 secret/sub secret/deep',
    { reject: true },
  );
  const before = (await sandbox.run(victims, { reject: true })).stdout;
  const [outside, back] = [join(top, 'outside'), join(top, 'back')];
  mkdirSync(outside);
  writeFileSync(join(outside, 'file'), 'of the host');
  const untouched = fingerprint(outside);
  const attacker = await attack(t, sandbox, program, outside);

  const uploads = await codesOf(() => files.upload(source, '/srv/open'));
  assert.equal((await sandbox.run(victims, { reject: true })).stdout, before);

  let round = 0;
  const downloads = await codesOf(() => {
    // Every other one goes over what the one before made, with its links.
    if (round % 2 === 0) rmSync(back, { recursive: true, force: true });
    round += 1;
    mkdirSync(back, { recursive: true });
    return files.download('/srv/open/.', back).finally(() => {
      for (const name of readdirSync(back, { recursive: true }) as string[]) {
        assert.ok(!name.endsWith('key'), `${name} came out of the sandbox`);
        if (name.endsWith('/a')) assert.equal(readFileSync(join(back, name), 'utf8'), 'mine');
      }
    });
  });
  assert.equal(fingerprint(outside), untouched);
  t.diagnostic(`uploads: ${count(uploads)}; downloads: ${count(downloads)}`);
  await sandbox.run(['kill', '-0', String(attacker)], { user: 'nobody', reject: true });
  // Else the attacker was too slow, and this has shown nothing.
  assert.ok(uploads.some((code) => code !== 'whole'));
  assert.ok(downloads.some((code) => code !== 'whole'));
});

function count(codes: readonly string[]): string {
  const kinds = [...new Set(codes)].sort();
  return kinds.map((kind) => `${codes.filter((code) => code === kind).length} ${kind}`).join(', ');
}
