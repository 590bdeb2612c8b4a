/** Texts of others: a lease, the console of a machine, errors of a guest, of libvirt and QEMU, versions of kernels. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import type { GuestConfig } from '../../../init/common/config.js';
import { parseLease } from '../../../init/common/dhcp-lease.js';
import { resolverText } from '../../../init/common/resolver.js';
import { compareVersions } from '../../../src/kernel/version.js';
import { connectError } from '../../../src/libvirt/connect-errors.js';
import { domainError } from '../../../src/libvirt/errors.js';
import { OperationError } from '../../../src/protocol/operations.js';
import { remoteError } from '../../../src/sandbox/setup/guest-init.js';
import { Console } from '../../../src/sandbox/start/console.js';
import { SandboxError } from '../../../src/util/errors.js';
import { requireReadable } from './support/expect.js';
import { partsOf } from './support/input.js';
import type { Target } from './support/target.js';

/** Separates the texts in an input. */
const SEPARATOR = 0xff;

function readConsole(chunks: readonly Buffer[]): void {
  // One that flows leaves work for the next tick, which a fuzzer in the same tick never gives: memory filled up.
  const socket = new Readable({ read() {} }).pause();
  const console = new Console();
  console.attach(socket);
  for (const chunk of chunks) socket.emit('data', chunk);
  const tail = console.tail();
  assert.ok(tail.length <= 20);
  for (const line of [...tail, console.panic ?? '']) assert.match(line, /^[\t\u0020-\u007e]*$/);
}

function readLease(text: string): void {
  const { nameServers, mtu } = parseLease(text);
  assert.ok(mtu === undefined || mtu >= 576);
  const lines = resolverText({ servers: nameServers, search: [] }).split('\n');
  assert.ok(lines.length <= 4, 'more name servers than a C library reads');
  for (const line of lines.filter((line) => line !== '')) assert.match(line, /^nameserver /);
}

function orderVersions(versions: readonly string[]): void {
  const [a = '', b = '', c = ''] = versions;
  assert.ok(Math.sign(compareVersions(a, b)) + Math.sign(compareVersions(b, a)) === 0, 'both are newer');
  assert.equal(compareVersions(a, b) === 0, a === b);
  if (compareVersions(a, b) < 0 && compareVersions(b, c) < 0) assert.ok(compareVersions(a, c) < 0, 'no order');
}

/** What a common init in the guest says went wrong. Its code is none that a launcher acts on. */
function readFailure(text: string): void {
  const error = remoteError(new OperationError('configure', 0, text), new Console(), GUEST);
  if (error instanceof OperationError) return;
  assert.ok(error instanceof SandboxError);
  requireReadable(error);
  assert.match(
    error.code,
    /^(init-step-failed|spawn-failed|cwd-unusable|command-.*|mount-.*|dhcp-.*|interface-missing)$/,
  );
}

const GUEST = {
  ...{ command: ['true'], cwd: '/', identity: { home: '/' }, root: { type: 'ram' } },
  mounts: [{ type: 'ram', target: '/tmp', size: 1 }],
} as unknown as GuestConfig;

export const target: Target = {
  kind: 'sync',
  mostBytes: 2048,
  quickRuns: 10_000,
  repeats: true,
  read(data) {
    const parts = partsOf(data, SEPARATOR, 4);
    const texts = parts.map((part) => part.toString());
    readConsole(parts);
    readLease(texts[0] ?? '');
    orderVersions(texts);
    const [message = '', xml = '', path = ''] = texts;
    requireReadable(domainError('name', message, { xml, sources: new Map([[path, '/a']]) }));
    readFailure(message);
    requireReadable(connectError('qemu:///system', message));
  },
};
