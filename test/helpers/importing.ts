/** Imports a service in places of a test: node importing.js DIRECTORY ARCHIVE NAME. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { importService } from '../../src/service/archive/import.js';
import { SandboxError } from '../../src/util/errors.js';

const [, , directory = '', archive = '', name = ''] = process.argv;
const roots = {
  scope: 'system',
  services: join(directory, 'services'),
  directories: join(directory, 'filesystems'),
  images: join(directory, 'images'),
  lives: join(directory, 'lives'),
} as const;
try {
  await importService(roots, name, { archive, stream: createReadStream(archive), isTrusted: false });
} catch (error) {
  console.error(error instanceof SandboxError ? error.code : error);
  process.exitCode = 1;
}
