/** The XML of what is tuned, checked against libvirt's schema. */

import { describe, it } from 'node:test';
import type { ConfigOptions } from '../../../src/config/options.js';
import { hugePageSize } from '../../../src/sandbox/devices/huge-page-size.js';
import { assertDomain, containerOf, machineOf, unlessSchema } from '../../helpers/domain-xml.js';
import { scratchDirectory } from '../../helpers/scratch.js';

/** Options, and the value of each XPath expression. */
const MACHINES: readonly (readonly [string, ConfigOptions, readonly (readonly [string, string])[]])[] = [
  [
    'a quota, a period and a scheduler',
    { vcpus: '2', cpuQuota: '5000', cpuPeriod: '10000', cpuScheduler: 'fifo:3' },
    [
      ['string(/domain/cputune/quota)', '5000'],
      ['string(/domain/cputune/period)', '10000'],
      ["string(//vcpusched[@scheduler='fifo' and @priority='3']/@vcpus)", '0-1'],
      ['count(/domain/cputune/*)', '3'],
    ],
  ],
  ['a scheduler without priority', { cpuScheduler: 'idle' }, [['count(//vcpusched/@priority)', '0']]],
  [
    'nodes',
    { memory: '96', vcpus: '3', numa: ['1:cpus=1,memory=32', '0:cpus=0,2'] },
    [
      ["string(/domain/cpu/numa/cell[1][@id='0']/@cpus)", '0,2'],
      ["string(//cell[@id='0' and @unit='KiB']/@memory)", '65536'],
      ["string(//cell[@id='1']/@memory)", '32768'],
    ],
  ],
  [
    'nodes of the host',
    { numaNodes: '0,1,mode=interleave' },
    [["string(/domain/numatune/memory[@mode='interleave']/@nodeset)", '0-1']],
  ],
  [
    'a node of the host for a node',
    { vcpus: '2', numa: ['0:cpus=0,host=1,3', '1:cpus=1'], numaNodes: '0,mode=preferred' },
    [
      ["string(/domain/numatune/memnode[@mode='strict' and @cellid='0']/@nodeset)", '1,3'],
      ['count(//memnode)', '1'],
    ],
  ],
  [
    'limits of memory',
    { memoryLimit: '1G', memorySoftLimit: '600', memorySwapLimit: '2G' },
    [
      ["string(/domain/memtune/hard_limit[@unit='KiB'])", '1048576'],
      ['string(/domain/memtune/soft_limit)', '614400'],
      ['string(/domain/memtune/swap_hard_limit)', '2097152'],
    ],
  ],
  [
    'huge pages',
    { hugePages: '2M' },
    [
      ["string(/domain/memoryBacking/hugepages/page[@unit='KiB']/@size)", '2048'],
      ['string(/domain/memoryBacking/source/@type)', 'memfd'],
      ['count(/domain/memoryBacking/access)', '0'],
    ],
  ],
  [
    'huge pages that virtiofsd shares',
    { hugePages: 'default', mount: ['host-bind:/a=/tmp'] },
    [
      [
        "string(/domain/memoryBacking/hugepages/page[@unit='KiB']/@size)",
        String((hugePageSize('default') ?? 0) / 1024),
      ],
      ['string(/domain/memoryBacking/access/@mode)', 'shared'],
    ],
  ],
  ['a block weight', { blockWeight: '700' }, [['string(/domain/blkiotune/weight)', '700']]],
  [
    'I/O threads',
    {
      disk: ['file:a=/tmp/a', 'file:b=/tmp/b'],
      mount: ['host-image:/c=/tmp/c.img'],
      ioThreads: '2',
      cpuPin: '1',
    },
    [
      ['string(/domain/iothreads)', '2'],
      ['string(//disk[1]/driver/@iothread)', '1'],
      ['string(//disk[2]/driver/@iothread)', '2'],
      ['string(//disk[3]/driver/@iothread)', '1'],
      // libvirt gives them all processors, whatever those of the emulator are.
      ["string(//iothreadpin[@iothread='2']/@cpuset)", '1'],
      ['count(//iothreadpin)', '2'],
    ],
  ],
];

describe('the XML of what is tuned is valid', { skip: unlessSchema }, () => {
  for (const [what, options, facts] of MACHINES) {
    it(`a machine with ${what}`, async (t) => assertDomain(scratchDirectory(t), await machineOf(options), facts));
  }

  it('a container', async (t) => {
    const options = { cpuQuota: '9000', memoryLimit: '1G', blockWeight: '199', numaNodes: '0' };
    assertDomain(scratchDirectory(t), await containerOf(options), [
      ['string(/domain/cputune/quota)', '9000'],
      ['string(/domain/memtune/hard_limit)', '1048576'],
      ['string(/domain/blkiotune/weight)', '199'],
      ["string(/domain/numatune/memory[@mode='strict']/@nodeset)", '0'],
    ]);
  });
});
