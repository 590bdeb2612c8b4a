/** Services of libvirt-sandbox 0.6 in machines, which had none. */
import { describe } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { itRunsServicesOf06 } from '../helpers/service-06.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';

describe('a service of libvirt-sandbox 0.6 in a machine', { skip: embedded.skip || unlessHostSystemd }, () => {
  itRunsServicesOf06(embedded);
});
