/** Services of units in containers. */
import { describe } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';
import { itCopiesUnits } from '../helpers/unit-copies.js';
import { itHasUnits } from '../helpers/unit-services.js';

describe('a service of units in a container', { skip: lxc.skip || unlessHostSystemd }, () => {
  itHasUnits(lxc);
  itCopiesUnits(lxc);
});
