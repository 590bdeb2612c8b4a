/** The common init with a guest that replies with anything: network, name servers, disks. Each comes to an end. */
import type { GuestConfig } from '../../../init/common/config.js';
import { findDevices } from '../../../init/common/disks.js';
import { setUpNetwork } from '../../../init/common/network.js';
import { NetworkError } from '../../../init/common/network-errors.js';
import { setUpResolver } from '../../../init/common/resolver.js';
import { decodeFailure, decodeResult } from '../../../src/protocol/codec.js';
import { ProtocolError } from '../../../src/protocol/fields.js';
import { type Guest, type Operation, OperationError, type OperationResult } from '../../../src/protocol/operations.js';
import { settledOrRefused } from './support/expect.js';
import { Input } from './support/input.js';
import type { Target } from './support/target.js';

/** Most operations that one of these functions may ask for. A guest must not be able to keep it going. */
const MOST_CALLS = 20_000;

/** Replies with what the input has, decoded as the channel does it. */
class HostileGuest implements Guest {
  #calls = 0;

  constructor(private readonly input: Input) {}

  async call<T extends Operation>(operation: T): Promise<OperationResult<T>> {
    this.#calls += 1;
    if (this.#calls > MOST_CALLS) throw new Error(`the guest is asked more than ${MOST_CALLS} times`);
    const status = this.input.choice(8) === 0 ? 1 : 0;
    const payload = this.input.take(this.input.byte());
    if (status === 0) return decodeResult(operation, payload);
    throw decodeFailure(operation, status, payload);
  }
}

const NETWORK = {
  interfaces: [
    { mac: '52:54:00:12:34:56', dhcp: true, addresses: [], routes: [] },
    { mac: '52:54:00:12:34:57', dhcp: false, addresses: [], routes: [] },
  ],
  dhcpClient: '/dhcp',
  dhcpSeconds: 1,
  names: { servers: ['10.0.0.1'], search: [] },
};

const CONFIG = {
  hostname: 'a',
  root: { type: 'image', serial: 'root', filesystem: 'ext4', readOnly: true },
  mounts: [],
  disks: [{ serial: 'disk', tag: 'a' }],
  network: NETWORK,
} as unknown as GuestConfig;

export const target: Target = {
  kind: 'settling',
  mostBytes: 2048,
  quickRuns: 10_000,
  async read(data) {
    const input = new Input(data);
    const guest = new HostileGuest(input);
    const refusals = [OperationError, ProtocolError, NetworkError] as const;
    const way = input.choice(3);
    if (way === 0) await settledOrRefused(findDevices(guest, CONFIG), ...refusals);
    else if (way === 1) await settledOrRefused(setUpResolver(guest, CONFIG, NETWORK.names), ...refusals);
    else await settledOrRefused(setUpNetwork(guest, CONFIG, NETWORK), ...refusals);
  },
};
