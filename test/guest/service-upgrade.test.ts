/** Services in machines are upgraded. */
import { describe } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { unlessBusybox } from '../helpers/roots.js';
import { unlessRoot } from '../helpers/scratch.js';
import { itIsUpgraded } from '../helpers/service-upgrade.js';

const skip = embedded.skip || unlessRoot('its state is in a directory') || unlessProgram('virtiofsd') || unlessBusybox;

describe('a service in a machine', { skip }, () => {
  itIsUpgraded(embedded, 'a directory');
  itIsUpgraded(embedded, 'an image', ['-i', '200']);
});
