/** The controllers of control groups: cgroups(7). */
import { readIfThere } from './small-files.js';

/** Their names in version 1. Version 2 calls the one for disks `io`. */
export type Controller = 'cpu' | 'cpuset' | 'memory' | 'blkio';

/** Whether a hierarchy with this controller is mounted, of version 1 or 2. */
export function hasController(controller: Controller): boolean {
  const unified = controller === 'blkio' ? 'io' : controller;
  return (readIfThere('/proc/mounts') ?? '')
    .split('\n')
    .map((line) => line.split(' '))
    .some(
      ([, directory = '', type, options = '']) =>
        (type === 'cgroup' && options.split(',').includes(controller)) ||
        (type === 'cgroup2' &&
          (readIfThere(`${directory}/cgroup.controllers`) ?? '').trim().split(' ').includes(unified)),
    );
}
