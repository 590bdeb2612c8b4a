/** Libraries of the host that may be missing. */
import { it } from 'node:test';
import { loadLibrary } from '../../../src/compression/library.js';
import { rejectsWith } from '../../helpers/errors.js';

it('a library that is missing is named, with what it is for', async () => {
  const missing = { code: 'zstd-missing', purpose: 'unpack zstd', remedy: 'install libzstd' };
  const loading = loadLibrary('libno-such-library.so.1', missing);
  await rejectsWith(loading, 'zstd-missing', /libno-such-library\.so\.1, needed to unpack zstd, .*; install libzstd/);
});
