/** Services of units of an OCI image in a container. */
import { describe } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { itRunsUnitsOfImages } from '../helpers/image-units.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';

describe('units of an image in a container', { skip: lxc.skip || unlessHostSystemd }, () => {
  itRunsUnitsOfImages(lxc);
});
