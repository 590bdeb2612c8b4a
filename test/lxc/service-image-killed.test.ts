/** A service of an image is upgraded to another one, by a program that is killed at every step. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readRecord } from '../../src/sandbox/devices/overlay-record.js';
import { lxc } from '../helpers/connections.js';
import { assertKilledAt, atEveryStep, isKilled, killedAt, othersThan, unlessTraced } from '../helpers/killing.js';
import { LOOK, seenOver, version, WRITE } from '../helpers/new-images.js';
import { imageIn, startRegistry } from '../helpers/oci/registry.js';
import { unlessBusyboxImage } from '../helpers/oci/root-images.js';
import { scratchDirectory, WITH_ATTRIBUTES } from '../helpers/scratch.js';
import { createdService, SERVICES } from '../helpers/services.js';

const CALLS = ['rename', 'fsync', 'unlink', 'rmdir'];

describe('an upgrade to another image', { skip: lxc.skip || unlessBusyboxImage || unlessTraced() }, () => {
  it('has the service run over the old one or the new one, whatever is killed, and the next one ends it', async (t) => {
    const registry = await startRegistry(t);
    const images = [version(1), version(2)] as const;
    const states = scratchDirectory(t, WITH_ATTRIBUTES);
    const setImage = (number: number) => registry.add(images[number - 1] ?? assert.fail(), 'v');
    setImage(1);
    const root = `docker://${imageIn(registry, 'v')}`;
    const service = await createdService(t, lxc, ['-p', states, '--pull', 'always', '-r', root]);
    const state = join(states, service.name);
    const entries = () => [state, join(SERVICES, service.name)].map((path) => readdirSync(path).sort());
    /** The image of the service and that of its state, by their numbers. */
    const found = () => {
      const file = readFileSync(join(SERVICES, service.name, 'config/sandbox.cfg'), 'utf8');
      const own = images.findIndex(({ manifest }) => file.includes(manifest.digest)) + 1;
      return { own, ofState: roots.indexOf(readRecord(state)?.root ?? '') + 1 };
    };
    const assertRuns = async (number: number, text: string) => {
      await service.ok(['start']);
      assert.equal(await service.inside(LOOK), seenOver(number), text);
      await service.ok(['stop']);
    };
    const upgrade = async () => {
      const { code, stderr } = await service.run(['upgrade']);
      assert.equal(code, 0, stderr);
    };
    await service.ok(['start']);
    await service.inside(WRITE);
    await service.ok(['stop']);
    const roots = [readRecord(state)?.root ?? assert.fail()];
    setImage(2);
    await upgrade();
    roots.push(readRecord(state)?.root ?? assert.fail());
    const before = entries();
    let now = 2;
    const seen = new Map<string, string>();
    const killed = await atEveryStep([...CALLS, ...othersThan(CALLS)], async (step) => {
      const [old, fresh] = [now, 3 - now];
      setImage(fresh);
      // A copy that the service has never changed.
      writeFileSync(join(state, 'layers/mounts/%2F/upper/srv/opened'), `${old}\n`);
      const ended = await service.run(['upgrade'], [], {
        through: [...(lxc.options.through ?? []), ...killedAt(step, { isAlone: true })],
      });
      const text = `${step.call} ${step.when}: ${ended.stderr}`;
      const { own, ofState } = found();
      const what = `${own === old ? 'old' : 'new'} over ${ofState === old ? 'old' : 'new'}`;
      if (!seen.has(what)) {
        seen.set(what, text);
        if (own === ofState) await assertRuns(own, text);
        else await service.fails(['start'], /belongs to another image than .*virt-sandbox-service upgrade/);
      }
      await upgrade();
      assert.deepEqual([found(), entries()], [{ own: fresh, ofState: fresh }, before], text);
      now = fresh;
      return isKilled(ended);
    });
    assertKilledAt(killed, CALLS);
    assert.deepEqual([...seen.keys()].sort(), ['new over new', 'old over new', 'old over old']);
    await assertRuns(now, 'at last');
  });
});
