/** What libvirt starts all containers in: a directory of the host with mount points. */
import assert from 'node:assert/strict';
import { besideLxc } from './connections.js';

const START = '/run/libvirt-sandbox/.container';
/** libvirt and the package make the others when a container first needs them. */
const OWN = new Set(['', '/.oldroot', '/dev', '/native', '/newroot', '/overlay', '/proc', '/sys']);

/** Asserts that it has nothing but empty mount points of root's. */
export function assertStartIsClean(): void {
  const list = `test ! -e ${START} || find ${START} -printf '%P %m %U %y\\n'`;
  const listed = besideLxc('sh', '-c', list);
  const strange = listed.split('\n').filter((line) => {
    const [path = '', ...facts] = line.split(' ');
    return line !== '' && !(OWN.has(path === '' ? '' : `/${path}`) && facts.join(' ') === '755 0 d');
  });
  assert.deepEqual(strange, []);
}
