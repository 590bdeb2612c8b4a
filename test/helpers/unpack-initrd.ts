/** A process that unpacks an initrd, its first argument, into a directory, its second argument. */
import { readFileSync } from 'node:fs';
import { readArchives } from '../../src/image/archive/read.js';
import { unpackArchives } from '../../src/image/archive/unpack.js';

const [, , from = '', into = ''] = process.argv;
console.log(JSON.stringify(await unpackArchives(await readArchives(readFileSync(from)), into)));
