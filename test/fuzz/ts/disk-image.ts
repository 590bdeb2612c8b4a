/** Headers of disk images: the file system inside, and the further files that an image names. */
import assert from 'node:assert/strict';
import { inspectImage } from '../../../src/disk-image/inspect.js';
import { furtherFile, namedFile, standsAlone } from '../../../src/disk-image/stands-alone.js';
import { SandboxError } from '../../../src/util/errors.js';
import { settledOrRefused } from './support/expect.js';
import { putFile } from './support/memory-files.js';
import type { Target } from './support/target.js';

const FORMATS = ['qcow2', 'qcow', 'qed', 'vmdk', 'raw', 'vdi'] as const;

export const target: Target = {
  kind: 'settling',
  mostBytes: 8192,
  quickRuns: 3000,
  async read(data) {
    const source = putFile('image', data);
    await settledOrRefused(inspectImage({ source, format: 'raw' }, 'the image of the mount on /mnt'), SandboxError);
    const format = FORMATS[data.length % FORMATS.length] ?? 'qcow2';
    const further = furtherFile({ source, format });
    assert.equal(standsAlone({ source, format }), further === undefined);
    // What is said of it is one line, however the image is made.
    assert.doesNotMatch(further ?? '', /[\n\r]/);
    if (namedFile({ source, format }) !== undefined) assert.notEqual(further, undefined);
  },
};
