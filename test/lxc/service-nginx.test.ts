/** Debian's nginx.service in a container. */
import { describe } from 'node:test';
import { lxc } from '../helpers/connections.js';
import { unlessNginx } from '../helpers/nginx-packages.js';
import { itRunsNginx } from '../helpers/nginx-unit.js';
import { unlessHostSystemd } from '../helpers/systemd-sandbox.js';

describe('nginx.service of Debian in a container', { skip: lxc.skip || unlessHostSystemd || unlessNginx }, () => {
  itRunsNginx(lxc);
});
