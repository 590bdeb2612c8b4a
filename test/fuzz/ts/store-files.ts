/** JSON that is read from a store or from a user: manifests, records of snapshots, profiles, module sets. */
import assert from 'node:assert/strict';
import { isSealed, type Manifest, manifestText, sealManifest, sha256 } from '../../../src/image/manifest.js';
import { memoryPathIn } from '../../../src/image/snapshot/qemu-memory.js';
import { parseRecord } from '../../../src/image/snapshot/record.js';
import { parseManifest } from '../../../src/image/store/manifest-schema.js';
import { parseSet } from '../../../src/kmods/set-schema.js';
import { extended } from '../../../src/profile/extend.js';
import { checkProfile } from '../../../src/profile/schema.js';
import type { Profile } from '../../../src/profile/types.js';
import { isRecord, parseJson } from '../../../src/util/records.js';
import { valueOrRefusal } from './support/expect.js';
import type { Target } from './support/target.js';

const BASE: Profile = {
  ...{ format: 1, name: 'base', description: '' },
  ...{ kernelArguments: [], initcallBlacklist: [], machine: { firmware: 'qboot', bus: 'root', legacy: 'absent' } },
};

/** A manifest whose seal is right: no mutation would ever hit it. */
function readManifest(value: Readonly<Record<string, unknown>>): void {
  const { id: _, ...content } = value;
  const manifest = parseManifest(JSON.stringify(sealManifest(content as unknown as Omit<Manifest, 'id'>)));
  if (manifest === undefined) return;
  assert.ok(isSealed(manifest));
  assert.deepEqual(parseManifest(manifestText(manifest)), manifest);
  // No file's name leads out of the image's directory.
  for (const { name } of manifest.files) assert.ok(!name.includes('/') && name !== '..' && name !== '.');
}

export const target: Target = {
  kind: 'sync',
  mostBytes: 4096,
  quickRuns: 3000,
  read(data) {
    const text = data.toString();
    parseManifest(text);
    memoryPathIn(text);
    const value = parseJson(text);
    const line = JSON.stringify(value);
    if (line !== undefined) parseRecord(`${sha256(line)}\n${line}\n`);
    if (isRecord(value)) readManifest(value);
    valueOrRefusal(() => parseSet(value), Error);
    const checked = checkProfile(value);
    if ('profile' in checked && 'extends' in checked.profile) extended(BASE, checked.profile);
  },
};
