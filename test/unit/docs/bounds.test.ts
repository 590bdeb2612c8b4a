/** The table of bounds in docs/security.md has the numbers of the code. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CONSOLE_BYTES } from '../../../src/cli/hold/report.js';
import { MESSAGE_CHARACTERS } from '../../../src/libvirt/monitor.js';
import { MAX_PACKET_BYTES, STDIN_WINDOW_BYTES } from '../../../src/protocol/wire.js';
import { REPOSITORY } from '../../helpers/run.js';

const page = readFileSync(join(REPOSITORY, 'docs/security.md'), 'utf8');

/** A constant of a C header below init/. */
function defined(header: string, name: string): number {
  const text = readFileSync(join(REPOSITORY, 'init', header), 'utf8');
  return Number(new RegExp(`define ${name} (\\d+)`).exec(text)?.[1]);
}

/** The cells of the row that begins with `what`. */
function row(what: string): string {
  const found = page.split('\n').find((line) => line.startsWith(`| ${what}`));
  assert.ok(found !== undefined, what);
  return found;
}

for (const [what, ...numbers] of [
  [
    "QEMU's log, `qemu:///embed`",
    ...['LOG_BYTES', 'KEPT_BYTES'].map((name) => defined('supervisor/bounded_log.h', name)),
  ],
  ["virtiofsd's log", defined('share-server/log.h', 'LOG_BYTES')],
  ['files of a root over virtiofs that the guest knows', defined('share-server/files/state.h', 'FILES_NODES')],
  ['files of such a root that the guest has open', defined('share-server/files/state.h', 'FILES_HANDLES')],
  ["directories that the root's server has open", defined('share-server/files/state.h', 'FILES_DIRECTORIES')],
  ["memory of the root's server", defined('share-server/root_server.h', 'ROOT_SERVER_DATA_BYTES')],
  [
    "a request to the root's server",
    ...['REQUEST_BYTES', 'REPLY_BYTES'].map((name) => defined('share-server/files/request.h', name)),
    defined('share-server/vhost/ring.h', 'CHAIN_PARTS'),
  ],
  ["requests before the root's server listens", defined('share-server/vhost/device.c', 'REQUESTS_IN_A_ROW')],
  ['the console on a slow stderr', CONSOLE_BYTES],
  ['a packet of the channel', MAX_PACKET_BYTES],
  ['input that the application does not read', STDIN_WINDOW_BYTES],
  ["a message of QEMU's monitor", MESSAGE_CHARACTERS],
] as const) {
  test(`the bound of ${what}`, () => {
    for (const number of numbers) assert.match(row(what), new RegExp(`\\b${number}\\b`));
  });
}
