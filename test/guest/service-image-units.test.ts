/** Services of units of an OCI image in a machine. */
import { describe } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { itRunsUnitsOfImages } from '../helpers/image-units.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';

describe('units of an image in a machine', { skip: embedded.skip || unlessHostSystemd }, () => {
  itRunsUnitsOfImages(embedded);
});
