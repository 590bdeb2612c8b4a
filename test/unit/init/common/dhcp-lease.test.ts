/** The lease that the DHCP client prints, or a guest in its place. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseLease } from '../../../../init/common/dhcp-lease.js';
import { elementsVisited } from '../../../helpers/list-work.js';

it('keeps the values of a key in their order', () => {
  const { nameServers, address, mtu } = parseLease('address=10.0.0.2\ndns=10.0.0.1\nx=y\ndns=10.0.0.3\nmtu=100\n');
  assert.deepEqual(
    { nameServers, address, mtu },
    { nameServers: ['10.0.0.1', '10.0.0.3'], address: '10.0.0.2', mtu: undefined },
  );
});

it('reads a line as fast as the one before it', () => {
  const lines = 1000;
  const visited = elementsVisited(() => parseLease('dns=1\n'.repeat(lines)));
  assert.ok(visited < 10 * lines, `${visited} elements for ${lines} lines`);
});
