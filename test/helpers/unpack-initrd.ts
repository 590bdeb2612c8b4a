/** A process that unpacks the initrd that is its first argument into the directory that is its second. */

import { readFileSync } from 'node:fs';
import { readArchives } from '../../src/image/archive/read.js';
import { unpackArchives } from '../../src/image/archive/unpack.js';

const [, , from = '', into = ''] = process.argv;
console.log(JSON.stringify(await unpackArchives(await readArchives(readFileSync(from)), into)));
