/** What is recorded of a service, and whom it is believed. */
import assert from 'node:assert/strict';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { claimService, findHolder, ownerOf, releaseService } from '../../../../src/service/run/claim.js';
import {
  makeLife,
  readServiceRecord,
  type ServiceRecord,
  writeServiceRecord,
} from '../../../../src/service/run/record.js';
import { lifeOf } from '../../../../src/service/run/status.js';
import { FullDisk } from '../../../helpers/full-disk.js';
import { uniqueName } from '../../../helpers/leftovers.js';
import { scratchDirectory, unlessRoot } from '../../../helpers/scratch.js';

const since = '2026-11-29T10:00:00.000Z';

function recordOf(name: string, changes: Partial<ServiceRecord> = {}): ServiceRecord {
  return { version: 1, name, owner: '1 1', pid: 1, phase: 'running', since, restarts: 0, ports: [], ...changes };
}

function lifeFor(t: TestContext): string {
  const life = join(scratchDirectory(t), 'lives', 'one');
  makeLife(life);
  return life;
}

describe('the record of a service', () => {
  it('is for its user alone', (t) => {
    const life = lifeFor(t);
    assert.equal(statSync(life).mode & 0o777, 0o700);
    makeLife(life);
  });

  it('is read as it was written', async (t) => {
    const life = lifeFor(t);
    const record = recordOf('one', {
      unit: 'one_sandbox.service',
      manager: 'system',
      started: since,
      restarts: 2,
      health: { isWell: false, failures: 3, said: 'no', checked: since },
      lastEnd: { at: since, why: 'ended', exitCode: 1, text: 'exit status 1' },
      ports: [{ host: '127.0.0.1:80', guestPort: 80, protocol: 'tcp' }],
    });
    await writeServiceRecord(life, record);
    assert.deepEqual(readServiceRecord(life, 'one'), record);
    assert.equal(readServiceRecord(life, 'other'), undefined);
  });

  it('is none if it is broken, too large or a link', async (t) => {
    const life = lifeFor(t);
    const path = join(life, 'service.json');
    assert.equal(readServiceRecord(life, 'one'), undefined);
    for (const text of ['', '{', '[]', JSON.stringify(recordOf('one', { restarts: -1 })), ' '.repeat(2 << 20)]) {
      writeFileSync(path, text);
      assert.equal(readServiceRecord(life, 'one'), undefined, text.slice(0, 20));
    }
    await writeServiceRecord(life, recordOf('one'));
    const other = join(scratchDirectory(t), 'link');
    mkdirSync(other);
    symlinkSync(path, join(other, 'service.json'));
    assert.equal(readServiceRecord(other, 'one'), undefined);
  });

  it('is never torn where there is no room for all of it', { skip: unlessRoot('mounts') }, async (t) => {
    const disk = new FullDisk(t, 'size=64k');
    const life = join(disk.path, 'web');
    makeLife(life);
    const path = join(life, 'service.json');
    await writeServiceRecord(life, recordOf('web'));
    // It has a second page that takes no room.
    truncateSync(path, 8000);
    disk.fill();
    const lastEnd = { at: since, why: 'failed', exitCode: 1, text: 'x'.repeat(4096) } as const;
    await writeServiceRecord(life, recordOf('web', { phase: 'failed', lastEnd }));
    const { phase, lastEnd: end } = readServiceRecord(life, 'web') ?? {};
    assert.deepEqual([phase, end?.exitCode, end?.text], ['failed', 1, `${'x'.repeat(200)}…`]);
    // What cannot be shortened is not there, and what was known still is.
    const port = { host: '127.0.0.1:80', guestPort: 80, protocol: 'tcp' } as const;
    const large = recordOf('web', { ports: new Array<typeof port>(100).fill(port) });
    await assert.rejects(writeServiceRecord(life, large), { code: 'ENOSPC' });
    assert.equal(readServiceRecord(life, 'web')?.phase, 'failed');
    disk.makeRoom();
    await writeServiceRecord(life, large);
    assert.equal(readServiceRecord(life, 'web')?.ports.length, 100);
  });

  it("is none if it is another user's, and so is the directory", { skip: unlessRoot('chown') }, async (t) => {
    const life = lifeFor(t);
    await writeServiceRecord(life, recordOf('one'));
    chownSync(join(life, 'service.json'), 65_534, 65_534);
    assert.equal(readServiceRecord(life, 'one'), undefined);
    chownSync(life, 65_534, 65_534);
    assert.throws(() => makeLife(life), { code: 'service-not-recorded' });
  });

  it('is not believed of what its holder could not record', async (t) => {
    const life = lifeFor(t);
    const name = uniqueName();
    assert.deepEqual([lifeOf(name, { life }).phase, lifeOf(name, { life }).pid], ['stopped', undefined]);
    await writeServiceRecord(life, recordOf(name, { health: { isWell: true, failures: 0 }, unlogged: 'ENOSPC' }));
    const { phase, pid, lastEnd, health, unlogged } = lifeOf(name, { life });
    assert.deepEqual(
      [phase, pid, lastEnd?.why, health, unlogged],
      ['failed', undefined, 'failed', undefined, undefined],
    );
    assert.match(lastEnd?.text ?? '', /was killed/);
    await writeServiceRecord(life, recordOf(name, { phase: 'stopped', unlogged: 'ENOSPC' }));
    assert.deepEqual([lifeOf(name, { life }).phase, lifeOf(name, { life }).unlogged], ['stopped', undefined]);
  });
});

describe('the claim of a service', { skip: unlessRoot('the state directory is that of root') }, () => {
  it('is one at a time', async (t) => {
    const name = uniqueName();
    const life = lifeFor(t);
    const claim = await claimService(name);
    try {
      await assert.rejects(claimService(name), { code: 'service-running' });
      assert.deepEqual([findHolder(name)?.pid, findHolder(name)?.owner], [process.pid, ownerOf(claim)]);
      await writeServiceRecord(life, recordOf(name));
      assert.deepEqual([lifeOf(name, { life }).phase, lifeOf(name, { life }).pid], ['starting', process.pid]);
      await writeServiceRecord(life, recordOf(name, { owner: ownerOf(claim) }));
      assert.equal(lifeOf(name, { life }).phase, 'running');
      await writeServiceRecord(life, recordOf(name, { owner: ownerOf(claim), unlogged: 'ENOSPC' }));
      assert.equal(lifeOf(name, { life }).unlogged, 'ENOSPC');
    } finally {
      releaseService(claim);
    }
    assert.equal(findHolder(name), undefined);
    assert.ok(!existsSync(claim.path));
  });

  it('is taken from a process that was killed, and believed of nobody else', async () => {
    const name = uniqueName();
    const claim = await claimService(name);
    const owner = readFileSync(join(claim.path, 'owner'), 'utf8').split(' ');
    // The process ID is another one's by now.
    writeFileSync(join(claim.path, 'owner'), ['1', '1', ...owner.slice(2)].join(' '));
    assert.equal(findHolder(name), undefined);
    const again = await claimService(name);
    chownSync(again.path, 65_534, 65_534);
    assert.equal(findHolder(name), undefined);
    chownSync(again.path, 0, 0);
    releaseService(again);
  });
});
