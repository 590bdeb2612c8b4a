/** Which files a boot image in a registry may have, and that it has all that it needs. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type ArtifactFiles,
  MOST_SNAPSHOTS,
  mostBytes,
  snapshotPath,
  sortFiles,
} from '../../../../src/fleet/artifact/files.js';
import { MOST_IMAGE_FILE, MOST_MANIFEST } from '../../../../src/image/manifest.js';
import { MOST_RECORD, MOST_STATE } from '../../../../src/image/snapshot/record.js';
import { MOST_BLOB_BYTES } from '../../../../src/oci/limits.js';
import type { SandboxError } from '../../../../src/util/errors.js';
import { throwsWith } from '../../../helpers/errors.js';
import { ARTIFACT, layerNamed } from '../../../helpers/fleet-layers.js';

const COLD = ['manifest.json', 'vmlinux', 'initrd'];
const PARTS = ['warm.json', 'memory', 'state'];
const warm = (...numbers: number[]) => numbers.flatMap((number) => PARTS.map((part) => `warm/${number}/${part}`));

/** No boot image has a file of such a name. */
const STRANGE = [
  '',
  '.',
  '..',
  '/',
  '/etc/passwd',
  '../manifest.json',
  './manifest.json',
  '/manifest.json',
  'manifest.json/',
  'manifest.json/..',
  'Manifest.json',
  'Initrd',
  'initrd ',
  'vmlinuz',
  'warm',
  'warm/0',
  'warm/0/',
  'warm/0/empty',
  'warm/0/retired.json',
  'warm/0/Memory',
  'warm/0/state/',
  'warm/0/../x',
  'warm/0/../../initrd',
  'warm/0/..',
  'warm//state',
  'warm/0//state',
  'warm/00/state',
  'warm/01/state',
  'warm/-1/state',
  'warm/+1/state',
  'warm/1e0/state',
  'warm/0x1/state',
  'warm/ 1/state',
  'warm/16/state',
  'warm/99/state',
  'warm/100/state',
  'Warm/0/state',
  '/warm/0/state',
  'x/warm/0/state',
  'warm/٣/state',
  'constructor',
  '__proto__',
];

/** Such a name, with a character that a terminal acts on, ends a name, or begins a line. */
const UNPRINTABLE = [
  'initrd\0',
  'initrd\0.txt',
  'initrd\n',
  'warm/0/state\n',
  '\u001b[2J\u001b]0;title\u0007',
  'manifest.json\r\u009b31m',
  '\u202egnp.tini',
];

function paths({ manifest, kernel, initrd, snapshots }: ArtifactFiles): object {
  return {
    boot: [manifest.path, kernel.path, initrd.path],
    warm: snapshots.map(({ path, record, memory, state }) => [path, record.path, memory.path, state.path]),
  };
}

function sorted(titles: readonly string[]): object {
  const layers = titles.map((title) => layerNamed(title));
  return paths(sortFiles(layers, ARTIFACT));
}

function refused(titles: readonly string[], ...patterns: RegExp[]): SandboxError {
  const sort = () => sorted(titles);
  return throwsWith(sort, 'artifact-invalid', /^image: registry\.test\/boot:v1 is no whole boot image: /, ...patterns);
}

describe('the files of a boot image in a registry', () => {
  it('are three of one without snapshots, with either kernel', () => {
    assert.deepEqual(sorted(COLD), { boot: COLD, warm: [] });
    const installed = ['manifest.json', 'kernel', 'initrd'];
    assert.deepEqual(sorted(installed), { boot: installed, warm: [] });
  });

  it('are three more of each snapshot', () => {
    const ofSnapshot = (number: number) => [`warm/${number}`, ...warm(number)];
    assert.deepEqual(sorted([...COLD, ...warm(0)]), { boot: COLD, warm: [ofSnapshot(0)] });
    const all = Array.from({ length: MOST_SNAPSHOTS }, (_, number) => number);
    assert.equal(all.length, 16);
    assert.deepEqual(sorted([...COLD, ...warm(...all)]), { boot: COLD, warm: all.map(ofSnapshot) });
  });

  it('are found in any order, and snapshots come by their number', () => {
    const titles = [...warm(10, 2, 0), ...COLD].reverse();
    const expected = [0, 2, 10].map((number) => [`warm/${number}`, ...warm(number)]);
    assert.deepEqual(sorted(titles), { boot: COLD, warm: expected });
  });

  it('keep their descriptors', () => {
    const layers = [...COLD, ...warm(0)].map((title) => layerNamed(title));
    const { manifest, kernel, initrd, snapshots } = sortFiles(layers, ARTIFACT);
    const [first] = snapshots;
    const found = [manifest, kernel, initrd, first?.record, first?.memory, first?.state];
    for (const [at, layer] of layers.entries()) assert.equal(found[at]?.descriptor, layer);
  });

  it('all have a title', () => {
    const layers = COLD.map((title) => layerNamed(title));
    const untitled = { ...layerNamed('initrd'), annotations: { title: 'initrd' } };
    throwsWith(() => sortFiles([...layers, untitled], ARTIFACT), 'artifact-invalid', /its layer 4 has no title/);
  });

  it('have no other name, and so none that leads out', () => {
    for (const title of STRANGE) {
      const { message } = refused([...COLD, title], /a boot image has no file '/);
      assert.ok(message.includes(`'${title}'`), message);
    }
  });

  it('are named in an error without characters that a terminal acts on, and not at any length', () => {
    for (const title of UNPRINTABLE) {
      const { line } = refused([...COLD, title], /a boot image has no file '/);
      assert.doesNotMatch(line, /[\p{Cc}\p{Cf}]/u);
    }
    assert.ok(refused([...COLD, 'x'.repeat(100_000)]).line.length < 1000);
  });

  it('have each name once', () => {
    for (const title of [...COLD, ...warm(0)])
      refused([...COLD, ...warm(0), title], new RegExp(`it has two files ${title.replaceAll('.', '\\.')};`));
  });

  it('have just one kernel', () => {
    refused([...COLD, 'kernel'], /not have just one kernel/);
    refused(['manifest.json', 'initrd'], /not have just one kernel/);
  });

  it('have the manifest, the initrd and all of a snapshot', () => {
    for (const missing of ['manifest.json', 'initrd', ...warm(0), ...warm(15)]) {
      const titles = [...COLD, ...warm(0, 15)].filter((title) => title !== missing);
      refused(titles, new RegExp(`it has no ${missing.replaceAll('.', '\\.')};`));
    }
    for (const only of warm(3)) refused([...COLD, only], /it has no warm\/3\//);
    refused([], /not have just one kernel/);
  });

  it('are no larger than such a file can be when it is packed', () => {
    for (const [title, most] of [
      ['manifest.json', 4 << 20],
      ['initrd', 2 ** 31 - 1],
      ['vmlinux', 2 ** 31 - 1],
      ['warm/0/warm.json', 1 << 20],
      ['warm/0/state', 64 << 20],
      ['warm/0/memory', 64 * 2 ** 30],
    ] as const) {
      const others = [...COLD, ...warm(0)].filter((other) => other !== title).map((other) => layerNamed(other));
      const sort = (size: number) => sortFiles([...others, layerNamed(title, size)], ARTIFACT);
      assert.deepEqual(paths(sort(most + 65_536)), sorted([...COLD, ...warm(0)]));
      throwsWith(() => sort(most + 65_537), 'artifact-invalid', new RegExp(`its ${title} has more than ${most} bytes`));
    }
  });
});

describe('the most bytes of a file', () => {
  it('are those of its kind', () => {
    assert.equal(mostBytes('manifest.json'), MOST_MANIFEST);
    for (const path of ['vmlinux', 'kernel', 'initrd']) assert.equal(mostBytes(path), MOST_IMAGE_FILE);
    for (const number of [0, 9, 10, 15]) {
      assert.equal(mostBytes(`warm/${number}/warm.json`), MOST_RECORD);
      assert.equal(mostBytes(`warm/${number}/state`), MOST_STATE);
      assert.equal(mostBytes(`warm/${number}/memory`), MOST_BLOB_BYTES);
    }
  });

  it('are not known for anything else', () => {
    for (const path of [...STRANGE, ...UNPRINTABLE]) assert.equal(mostBytes(path), undefined, path);
  });

  it('are known for each snapshot that a push numbers', () => {
    for (let number = 0; number < MOST_SNAPSHOTS; number += 1)
      assert.equal(mostBytes(`${snapshotPath(number)}/state`), MOST_STATE);
    assert.equal(mostBytes(`${snapshotPath(MOST_SNAPSHOTS)}/state`), undefined);
  });
});
