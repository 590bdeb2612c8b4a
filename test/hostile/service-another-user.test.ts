/** Another user of the host, who would like root to take something for a service of root. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { LIVES, serviceOf } from '../helpers/services.js';

const NOBODY = 65_534;
const CLAIMS = '/run/libvirt-sandbox-services';
const STAYS = 'echo secret; exec sleep 1000';

/** Runs a command as an ordinary user. @returns whether it succeeded */
function asNobody(...command: readonly string[]): boolean {
  try {
    execFileSync('setpriv', [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', ...command], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}

describe('what another user can do to a service', { skip: embedded.skip }, () => {
  it('is nothing: neither read its log, nor talk to its holder, nor put anything there', async (t) => {
    const service = await serviceOf(t, embedded, { script: STAYS });
    await service.ok(['start']);
    assert.ok(asNobody('test', '-e', '/'));
    const [life, claim] = [join(LIVES, service.name), join(CLAIMS, service.name)];
    for (const path of [life, claim]) assert.equal(statSync(path).mode & 0o077, 0, path);
    for (const path of [`${life}/log`, `${life}/service.json`, `${claim}/owner`, `${claim}/control`]) {
      assert.ok(existsSync(path), path);
      assert.ok(!asNobody('test', '-e', path), path);
    }
    for (const directory of [LIVES, CLAIMS, life, claim])
      assert.ok(!asNobody('mkdir', join(directory, 'x')), directory);
  });

  it('cannot be to have a service taken for one that runs', async (t) => {
    const service = await serviceOf(t, embedded, { script: STAYS });
    await service.ok(['start']);
    const [life, claim] = [join(LIVES, service.name), join(CLAIMS, service.name)];
    // Copies of what is true of a process that lives, as somebody could make who may write there.
    const kept = `${life}-kept`;
    t.after(() => rmSync(kept, { recursive: true, force: true }));
    mkdirSync(kept);
    cpSync(join(claim, 'owner'), join(kept, 'owner'));
    cpSync(join(life, 'service.json'), join(kept, 'service.json'));
    await service.ok(['stop']);
    mkdirSync(claim, { mode: 0o700 });
    t.after(() => rmSync(claim, { recursive: true, force: true }));
    writeFileSync(join(claim, 'owner'), `${process.pid} 1 x 1\n`);
    assert.equal((await service.status()).pid, undefined);
    // A live process of that user.
    const started = execFileSync('cut', ['-d', ' ', '-f', '22', `/proc/${process.pid}/stat`], {
      encoding: 'utf8',
    }).trim();
    writeFileSync(join(claim, 'owner'), `${process.pid} ${started} x 1\n`);
    chownSync(claim, NOBODY, NOBODY);
    assert.equal((await service.status()).pid, undefined);
    await service.fails(['execute'], /does not run/, ['--', 'true']);
    // `stop` ends no process of that user's choice.
    await service.ok(['stop', '-t', '0']);
    rmSync(claim, { recursive: true, force: true });
    rmSync(join(life, 'service.json'));
    cpSync(join(kept, 'service.json'), join(life, 'service.json'));
    chownSync(join(life, 'service.json'), NOBODY, NOBODY);
    assert.deepEqual([(await service.status()).state, (await service.status()).pid], ['stopped', undefined]);
    rmSync(join(life, 'service.json'));
    symlinkSync(join(kept, 'service.json'), join(life, 'service.json'));
    assert.equal((await service.status()).state, 'stopped');
    await service.ok(['start']);
    assert.equal((await service.status()).state, 'running');
  });
});
