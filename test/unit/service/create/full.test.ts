/** A service that is made where there is no room for its files: nothing of it is left. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { serviceNames } from '../../../../src/service/list.js';
import type { ServiceRoots } from '../../../../src/service/paths.js';
import { SandboxError } from '../../../../src/util/errors.js';
import { makeTestService, servicesIn } from '../../../helpers/making-services.js';
import { scratchDirectory, unlessRoot, WITH_ATTRIBUTES } from '../../../helpers/scratch.js';

const PAGE = 4096;
/** A record of so many files has 14 pages and more: digests do not shrink. */
const FILES = 2000;

function rootWithSettings(context: TestContext): string {
  const root = scratchDirectory(context, WITH_ATTRIBUTES);
  mkdirSync(join(root, 'etc'));
  for (let number = 0; number < FILES; number += 1) writeFileSync(join(root, `etc/${number}`), randomBytes(8));
  writeFileSync(join(root, 'etc/key'), 'key', { mode: 0o600 });
  return root;
}

/** Runs `work` with places of services whose files are in a file system in memory. */
async function withServices(context: TestContext, limit: string, work: (roots: ServiceRoots) => Promise<void>) {
  const roots = servicesIn(scratchDirectory(context, WITH_ATTRIBUTES));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `mode=755,${limit}`, 'tmpfs', roots.services]);
  try {
    await work(roots);
  } finally {
    execFileSync('umount', [roots.services]);
  }
}

describe('a service that is made where there is no room', { skip: unlessRoot('mounts') }, () => {
  for (const [where, texts] of [
    ['a directory', {}],
    ['a directory with copies', { copyPaths: ['/etc/key'] }],
    ['an image', { imageSize: '150' }],
  ] as const)
    it(`has an error that says so, and leaves nothing, with its state in ${where}`, async (context) => {
      const root = rootWithSettings(context);
      const codes = new Set<string>();
      const limits = [
        ...[1, 2, 3, 4, 8, 16, 20].map((pages) => `size=${pages * PAGE}`),
        // Of the directory itself, and of the first files.
        ...[2, 3, 4, 5].map((inodes) => `nr_inodes=${inodes}`),
      ];
      for (const limit of limits)
        await withServices(context, limit, async (roots) => {
          await assert.rejects(makeTestService(roots, 'web', { ...texts, sandbox: { root } }), (error) => {
            assert.ok(error instanceof SandboxError, `${limit}: ${error}`);
            assert.match(`${error.message}; ${error.remedy}`, /no space left.*; .*make room/i, limit);
            codes.add(error.code);
            return true;
          });
          for (const directory of [roots.services, roots.directories, roots.images])
            assert.deepEqual(readdirSync(directory), [], `${limit}: ${directory}`);
        });
      assert.ok(codes.has('service-not-writable'), [...codes].join());
      // With room for it, it is made.
      await withServices(context, `size=${100 * PAGE}`, async (roots) => {
        await makeTestService(roots, 'web', { ...texts, sandbox: { root } });
        assert.deepEqual(serviceNames(roots), ['web']);
      });
    });
});
