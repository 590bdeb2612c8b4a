/** Services in machines run again over the URI that start was given. */
import { describe } from 'node:test';
import { embedded, lxc } from '../helpers/connections.js';
import { itRunsAgainAsItRan } from '../helpers/service-again.js';

describe('a service in a machine whose file names no URI', { skip: embedded.skip }, () => {
  itRunsAgainAsItRan(embedded, lxc.uri);
});
