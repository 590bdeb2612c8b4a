/** Services of libvirt-sandbox, which all had one level of SELinux, get categories of their own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadService } from '../../../../src/service/file.js';
import { labelOf } from '../../../../src/service/store/label-state.js';
import { upgradeService } from '../../../../src/service/upgrade/upgrade.js';
import { makeOldService, OLD_FILES, OLD_PROCESS, SHARED_LABELS } from '../../../helpers/labelled-old-service.js';
import { uniqueName } from '../../../helpers/leftovers.js';
import { servicesIn } from '../../../helpers/making-services.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

describe('an upgrade of services of libvirt-sandbox', { skip: unlessRoot('sets labels') }, () => {
  it('gives each categories of its own, and its content that level', async (t) => {
    const roots = servicesIn(scratchDirectory(t, WITH_ATTRIBUTES));
    const old = (isOlder: boolean) => makeOldService(t, roots, uniqueName(), isOlder);
    const services = [await old(false), await old(false), await old(true)];
    const levels = new Set<string>();
    for (const { name, content, shared } of services) {
      await upgradeService(roots, name, { isDry: true });
      assert.equal(labelOf(content), `${OLD_FILES}:s0`);
      await upgradeService(roots, name);
      const { config } = await loadService(roots, name);
      const [, level = ''] = new RegExp(`^${OLD_PROCESS}:(s0:c\\d+,c\\d+)$`).exec(config.security.label ?? '') ?? [];
      assert.equal(config.security.mode, 'static');
      assert.notEqual(level, '', config.security.label);
      levels.add(level);
      for (const path of ['', 'var', 'var/www', 'var/www/page'])
        assert.equal(labelOf(join(content, path)), `${OLD_FILES}:${level}`);
      // Others may use it.
      assert.deepEqual(shared.map(labelOf), SHARED_LABELS);
      assert.equal((await upgradeService(roots, name)).file, undefined);
      assert.deepEqual((await loadService(roots, name)).config.security, config.security);
    }
    assert.equal(levels.size, services.length);
  });
});
