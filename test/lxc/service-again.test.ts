/** Services in containers run again over the URI that start was given. */
import { describe } from 'node:test';
import { embedded, lxc } from '../helpers/connections.js';
import { itRunsAgainAsItRan, itRunsAgainLater } from '../helpers/service-again.js';

describe('a service in a container whose file names no URI', { skip: lxc.skip }, () => {
  itRunsAgainAsItRan(lxc, embedded.uri);
  itRunsAgainLater(lxc, embedded.uri);
});
