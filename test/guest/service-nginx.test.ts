/** Debian's nginx.service in a machine. */
import { describe } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { unlessNginx } from '../helpers/nginx-packages.js';
import { itRunsNginx } from '../helpers/nginx-unit.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';

describe('nginx.service of Debian in a machine', { skip: embedded.skip || unlessHostSystemd || unlessNginx }, () => {
  itRunsNginx(embedded);
});
