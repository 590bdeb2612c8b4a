/** Services of libvirt-sandbox 0.6 in containers, as they were. */
import { describe } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { itRunsServicesOf06 } from '../helpers/service-06.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';

describe('a service of libvirt-sandbox 0.6 in a container', { skip: lxc.skip || unlessHostSystemd }, () => {
  itRunsServicesOf06(lxc);
});
