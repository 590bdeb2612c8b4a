/** Services in containers. */
import { describe } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { itLivesAsAService } from '../helpers/service-life.js';

describe('a service in a container', { skip: lxc.skip }, () => {
  itLivesAsAService(lxc);
});
