/** What programs find of POSIX and Linux in shared directories: docs/posix.md. Both sides of the table are exact. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { OrdinaryUser, unlessOrdinaryUser } from '../helpers/ordinary-user.js';
import { REPOSITORY, type RunOptions, runSandbox } from '../helpers/run.js';

const CHECKS = `${REPOSITORY}test/guest/posix/checks.c`;

/** What the page says is missing. */
const MISSING_OVER_VIRTIOFS = ['user-attributes', 'unnamed'];
const MISSING_OVER_9P = [
  ...['unlinked-ftruncate', 'rename-over-fstat', 'rename-noreplace', 'rename-exchange', 'seek-data', 'allocate'],
  ...['unnamed', 'times'],
];

/** What the page says of each check that fails somewhere: the columns of 9p and of virtiofs. */
function onPage(): { readonly over9p: string[]; readonly overVirtiofs: string[] } {
  const rows = readFileSync(`${REPOSITORY}docs/posix.md`, 'utf8').matchAll(ROW);
  const named = [...rows].map(([, name = '', over9p = '', overVirtiofs = '']) => ({ name, over9p, overVirtiofs }));
  const failing = (column: 'over9p' | 'overVirtiofs') =>
    named.filter((row) => !/^works?$/.test(row[column])).map(({ name }) => name);
  return { over9p: failing('over9p'), overVirtiofs: failing('overVirtiofs') };
}

const ROW = /^\|[^|]*\| `([\w-]+)` \| ([^|]*?) \| ([^|]*?) \|/gm;

/** The names of the checks that fail, of which there are as many as the program has. */
function missing(out: string): string[] {
  const lines = out.trim().split('\n');
  assert.match(lines.pop() ?? '', /^29 checks$/);
  return lines;
}

describe('POSIX', { skip: embedded.skip }, () => {
  let directory: string;
  let checks: string;
  /** What the host's own file system misses is not the share's fault. */
  let missingOnHost: readonly string[];
  before(() => {
    // Not in /tmp, which a sandbox has of its own.
    directory = mkdtempSync('/var/tmp/virt-sandbox-posix-');
    chmodSync(directory, 0o755);
    checks = join(directory, 'checks');
    execFileSync('cc', ['-static', '-O1', '-Wall', '-Wextra', '-Werror', '-o', checks, CHECKS], { stdio: 'inherit' });
    missingOnHost = missing(execFileSync(checks, [fresh('host')], { encoding: 'utf8' }));
  });
  after(() => rmSync(directory, { recursive: true, force: true }));

  function fresh(name: string): string {
    const path = join(directory, name);
    mkdirSync(path);
    return path;
  }

  async function missingWith(args: readonly string[], options: RunOptions = {}): Promise<string[]> {
    const { code, out, stderr } = await runSandbox(['-c', embedded.uri, ...ACCEL, ...args], options);
    assert.equal(code, 0, stderr);
    return ofShare(missing(out));
  }

  function ofShare(names: readonly string[]): string[] {
    return names.filter((name) => !missingOnHost.includes(name));
  }

  it('is all there on the host, or nearly', () => {
    assert.ok(missingOnHost.length < 3, missingOnHost.join());
  });

  it('has these gaps in a directory that virtiofsd serves', async () => {
    const args = ['-m', `host-bind:/mnt=${fresh('virtiofs')}`, '--', checks, '/mnt'];
    assert.deepEqual(await missingWith(args), ofShare(MISSING_OVER_VIRTIOFS));
  });

  for (const served of ['9p', 'virtiofs'])
    it(`has no gaps in an overlay over ${served}`, async () => {
      const script = `mkdir /srv/checks && exec ${checks} /srv/checks`;
      assert.deepEqual(await missingWith(['-p', '--overlay', '--root-fs', served, '--', 'sh', '-c', script]), []);
    });

  it('has these gaps in a directory that QEMU serves', { skip: unlessOrdinaryUser() }, async (t) => {
    const user = await OrdinaryUser.create();
    t.after(() => user.end());
    const shared = fresh('9p');
    chownSync(shared, user.uid, user.gid);
    const args = ['-m', `host-bind:/mnt=${shared}`, '--', checks, '/mnt'];
    assert.deepEqual(await missingWith(args, user.options), ofShare(MISSING_OVER_9P));
  });

  it('has the gaps that the page names, in each of its columns', () => {
    const { over9p, overVirtiofs } = onPage();
    assert.deepEqual(over9p.sort(), [...MISSING_OVER_9P].sort());
    assert.deepEqual(overVirtiofs.sort(), [...MISSING_OVER_VIRTIOFS].sort());
  });
});
