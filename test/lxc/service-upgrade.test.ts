/** Services in containers are upgraded. */
import { describe } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { unlessBusybox } from '../helpers/roots.js';
import { itIsUpgraded } from '../helpers/service-upgrade.js';

describe('a service in a container', { skip: lxc.skip || unlessBusybox }, () => {
  itIsUpgraded(lxc, 'a directory');
});
