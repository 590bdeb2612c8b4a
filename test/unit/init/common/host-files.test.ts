/** What names the host of an OCI image: /etc/hosts and /etc/hostname, whatever the image has there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuestConfig } from '../../../../init/common/config.js';
import { setUpHostFiles } from '../../../../init/common/oci-root.js';
import { type Guest, type Operation, OperationError } from '../../../../src/protocol/operations.js';

const ENOENT = 2;
const HOSTS = '/etc/hosts';

/** A guest whose /etc/hosts is a link to a file that is missing. */
const DANGLING: Readonly<Record<string, string>> = { [HOSTS]: '/data/hosts' };

interface Call {
  readonly op: Operation['op'];
  readonly path: string;
  readonly data: string;
}

/** The calls about /etc/hosts, in order, and how many of them were sent before the first answer. */
async function callsFor(links: Readonly<Record<string, string>>, mounts: GuestConfig['mounts'] = []) {
  const calls: Call[] = [];
  let answered = false;
  let atOnce = 0;
  const call = async (operation: Operation) => {
    const target = 'target' in operation ? operation.target : 'path' in operation ? operation.path : '';
    if (target.endsWith('hosts')) {
      const data = operation.op === 'writeFile' ? Buffer.from(operation.data).toString() : '';
      calls.push({ op: operation.op, path: target, data });
      if (!answered) atOnce += 1;
    }
    await new Promise(setImmediate);
    answered = true;
    const follows = operation.op === 'mount' || (operation.op === 'stat' && operation.follow);
    if (follows && target in links) throw new OperationError(operation.op, ENOENT, 'no such file');
    if (operation.op === 'stat' && target in links) return { microseconds: 0, value: { mode: 0o120_777 } };
    if (operation.op === 'stat' && !(target === '/etc' || operation.follow))
      throw new OperationError('stat', ENOENT, 'no such file');
    return { microseconds: 0, value: operation.op === 'readLink' ? links[target] : { mode: 0o100_644 } };
  };
  const config = { hostname: 'here', ociRoot: true, root: { type: 'image' }, mounts } as unknown as GuestConfig;
  await setUpHostFiles({ call } as Guest, config);
  return { calls, atOnce };
}

test('takes one round trip', async () => {
  const { calls, atOnce } = await callsFor({});
  assert.equal(atOnce, calls.length);
  const [made, own, mount] = calls;
  assert.deepEqual([made?.op, made?.path], ['writeFile', HOSTS]);
  assert.match(made?.data ?? '', /^127\.0\.1\.1\there$/m);
  assert.deepEqual([own?.op, own?.path, own?.data], ['writeFile', '/dev/.virt-sandbox/hosts', made?.data]);
  assert.deepEqual([mount?.op, mount?.path], ['mount', HOSTS]);
});

test('is written where a link of the image leads', async () => {
  const { calls } = await callsFor(DANGLING);
  const last = calls.at(-1);
  assert.deepEqual([last?.op, last?.path], ['writeFile', '/data/hosts']);
  assert.match(last?.data ?? '', /^127\.0\.1\.1\there$/m);
});

test('is looked for before it is written where a mount may be below a link', async () => {
  const mounts = [{ type: 'virtiofs', tag: 'mount', target: '/data', readOnly: false }] as const;
  const { calls } = await callsFor({}, mounts);
  assert.equal(calls[0]?.op, 'stat');
  assert.ok(calls.every(({ op, path }) => op !== 'writeFile' || path.startsWith('/dev/')));
});

test('is left alone where a mount is', async () => {
  for (const target of ['/etc', '/etc/hosts/', '//etc']) {
    const { calls } = await callsFor({}, [{ type: 'virtiofs', tag: 'mount', target, readOnly: false }]);
    assert.deepEqual(calls, [], target);
  }
});
