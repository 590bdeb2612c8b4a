/** The grammar of `--mount` and `--disk`. */

import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { parseDisk } from '../../../../src/config/parsers/disk.js';
import { driverOf } from '../../../../src/config/parsers/disk-image.js';
import { parseMount } from '../../../../src/config/parsers/mount.js';
import type { Mount } from '../../../../src/config/types.js';
import { refuses } from '../support.js';

const hostBind = (target: string, source: string | undefined, readOnly = false): Mount => ({
  type: 'host-bind',
  target,
  source,
  readOnly,
  includes: [],
});

const hostImage = (target: string, source: string, format: string, readOnly = false): Mount => ({
  type: 'host-image',
  target,
  source,
  format,
  readOnly,
  includes: [],
});

const MOUNTS: [string, Mount][] = [
  ['host-bind:/mnt=/srv/data', hostBind('/mnt', '/srv/data')],
  ['host-bind:/mnt=/srv/data,ro', hostBind('/mnt', '/srv/data', true)],
  ['host-bind:/mnt=/srv/data,rw', hostBind('/mnt', '/srv/data')],
  ['host-bind:/mnt=/srv/data,ro,rw', hostBind('/mnt', '/srv/data,ro')],
  ['host-bind:/mnt=', hostBind('/mnt', undefined)],
  ['host-bind:/mnt=,ro', hostBind('/mnt', undefined, true)],
  ['host-bind:/mnt=/srv/a,b', hostBind('/mnt', '/srv/a,b')],
  ['host-bind:/mnt=/srv/a=b:c', hostBind('/mnt', '/srv/a=b:c')],
  ['host-bind:/mnt=/srv//data/../x/', hostBind('/mnt', '/srv//data/../x/')],
  ['host-bind:/mnt=data', hostBind('/mnt', resolve('data'))],
  ['host-bind:/m:n=/srv', hostBind('/m:n', '/srv')],
  ['host-image:/=/srv/root.img', hostImage('/', '/srv/root.img', 'raw')],
  ['host-image:/d=/srv/root.qcow2', hostImage('/d', '/srv/root.qcow2', 'qcow2')],
  ['host-image:/d=/srv/root.QCOW2', hostImage('/d', '/srv/root.QCOW2', 'qcow2')],
  ['host-image:/d=/srv/root.vhd', hostImage('/d', '/srv/root.vhd', 'vhd')],
  ['host-image:/d=/srv/root.iso', hostImage('/d', '/srv/root.iso', 'iso')],
  ['host-image:/d=/srv/root.constructor', hostImage('/d', '/srv/root.constructor', 'raw')],
  ['host-image:/d=/srv/dir.qcow2/root', hostImage('/d', '/srv/dir.qcow2/root', 'raw')],
  ['host-image:/d=/srv/qcow2', hostImage('/d', '/srv/qcow2', 'raw')],
  ['host-image:/d=/srv/x.qcow2,format=raw', hostImage('/d', '/srv/x.qcow2', 'raw')],
  ['host-image:/d=/srv/x,format=qcow2,ro', hostImage('/d', '/srv/x', 'qcow2', true)],
  ['host-image:/d=/srv/x,ro,format=vmdk', hostImage('/d', '/srv/x', 'vmdk', true)],
  ['host-image:/d=/srv/a,b.vdi,ro', hostImage('/d', '/srv/a,b.vdi', 'vdi', true)],
  ['guest-bind:/opt=/srv/in', { type: 'guest-bind', target: '/opt', source: '/srv/in', includes: [] }],
  ['guest-bind:/opt=/srv,ro', { type: 'guest-bind', target: '/opt', source: '/srv,ro', includes: [] }],
  ['ram:/run=65536', { type: 'ram', target: '/run', usage: 65_536, includes: [] }],
  ['ram:/run=64M', { type: 'ram', target: '/run', usage: 67_108_864, includes: [] }],
  ['ram:/run=2GiB', { type: 'ram', target: '/run', usage: 2_147_483_648, includes: [] }],
];

test('mounts', async (t) => {
  for (const [text, mount] of MOUNTS) await t.test(text, () => assert.deepEqual(parseMount(text), mount));
});

test('format names that are no QEMU driver are mapped to one', () => {
  const formats = ['raw', 'qcow2', 'vmdk', 'vhd', 'iso', 'fat', 'dir', 'constructor'];
  assert.deepEqual(formats.map(driverOf), ['raw', 'qcow2', 'vmdk', 'vpc', 'raw', 'raw', 'raw', 'constructor']);
});

const BAD_MOUNTS: [string, string, string][] = [
  ['', 'mount-type-missing', '""'],
  ['/mnt=/srv', 'mount-type-missing', '/mnt=/srv'],
  ['host-bind', 'mount-type-missing', 'host-bind'],
  ['nfs:/mnt=/srv', 'mount-type-unknown', '"nfs"'],
  [':/mnt=/srv', 'mount-type-unknown', '""'],
  ['Host-Bind:/mnt=/srv', 'mount-type-unknown', '"Host-Bind"'],
  ['toString:/mnt=/srv', 'mount-type-unknown', '"toString"'],
  ['host-bind:/mnt', 'mount-source-missing', 'host-bind:/mnt'],
  ['host-bind:', 'mount-source-missing', 'host-bind:'],
  ['host-image:/mnt=', 'mount-source-missing', 'host-image:/mnt='],
  ['host-image:/mnt=,ro', 'mount-source-missing', 'host-image:/mnt=,ro'],
  ['guest-bind:/mnt=', 'mount-source-missing', 'guest-bind:/mnt='],
  ['ram:/mnt=', 'mount-source-missing', 'ram:/mnt='],
  ['ram:/mnt', 'mount-source-missing', 'ram:/mnt'],
  ['guest-bind:/mnt=srv', 'mount-source-not-absolute', '"srv"'],
  ['host-image:/mnt=/x.img,format=qcow3', 'mount-format-unknown', '"qcow3"'],
  ['host-image:/mnt=/x.img,format=', 'mount-format-unknown', '""'],
  ['host-image:/mnt=/x.img,fromat=raw', 'mount-option-unknown', '"fromat=raw"'],
  ['host-image:/mnt=/x.img,format=raw,format=raw', 'mount-option-unknown', '"format=raw"'],
  ['host-bind:/mnt=/srv,format=raw', 'mount-option-unknown', '"format=raw"'],
  ['ram:/mnt=64X', 'size-invalid', '"64X"'],
  ['ram:/mnt=64M,ro', 'size-invalid', '"64M,ro"'],
  ['ram:/mnt=0', 'size-zero', 'ram:/mnt=0'],
  ['ram:/mnt=99999999999G', 'size-too-large', '99999999999G'],
];

test('bad mounts', async (t) => {
  for (const [text, code, name] of BAD_MOUNTS) {
    await t.test(JSON.stringify(text), () => refuses(() => parseMount(text), 'arguments', code, name));
  }
});

test('disks', async (t) => {
  const table: [string, ReturnType<typeof parseDisk>][] = [
    ['file:data=/srv/d.img', { type: 'file', tag: 'data', source: '/srv/d.img', format: 'raw', readOnly: false }],
    ['file:data=/srv/d.qcow2', { type: 'file', tag: 'data', source: '/srv/d.qcow2', format: 'qcow2', readOnly: false }],
    [
      'file:data=/srv/d.qcow2,format=raw',
      { type: 'file', tag: 'data', source: '/srv/d.qcow2', format: 'raw', readOnly: false },
    ],
    ['file:data=d.img', { type: 'file', tag: 'data', source: resolve('d.img'), format: 'raw', readOnly: false }],
    ['file:a:b=/x=y', { type: 'file', tag: 'a:b', source: '/x=y', format: 'raw', readOnly: false }],
    ['file:data=/srv/x,ro', { type: 'file', tag: 'data', source: '/srv/x', format: 'raw', readOnly: true }],
    ['file:data=/srv/x,ro,rw', { type: 'file', tag: 'data', source: '/srv/x,ro', format: 'raw', readOnly: false }],
    [
      'file:data=x,ro,format=qcow2',
      { type: 'file', tag: 'data', source: resolve('x'), format: 'qcow2', readOnly: true },
    ],
    ['block:data=/dev/sdz,ro', { type: 'block', tag: 'data', source: '/dev/sdz', format: 'raw', readOnly: true }],
    ['block:data=/dev/sdz', { type: 'block', tag: 'data', source: '/dev/sdz', format: 'raw', readOnly: false }],
    [
      'block:data=/dev/vg/x.qcow2',
      { type: 'block', tag: 'data', source: '/dev/vg/x.qcow2', format: 'raw', readOnly: false },
    ],
    [
      'block:data=/dev/sdz,format=qcow2',
      { type: 'block', tag: 'data', source: '/dev/sdz', format: 'qcow2', readOnly: false },
    ],
  ];
  for (const [text, disk] of table) await t.test(text, () => assert.deepEqual(parseDisk(text), disk));
});

test('bad disks', async (t) => {
  const table: [string, string, string][] = [
    ['', 'disk-type-missing', '""'],
    ['data=/x', 'disk-type-missing', 'data=/x'],
    ['network:data=/x', 'disk-type-unknown', '"network"'],
    ['file:=/x', 'disk-tag-missing', 'file:=/x'],
    ['file:', 'disk-tag-missing', 'file:'],
    ['file:data', 'disk-source-missing', 'file:data'],
    ['file:data=', 'disk-source-missing', 'file:data='],
    ['file:data=,format=raw', 'disk-source-missing', 'file:data=,format=raw'],
    ['file:data=/x,format=floppy', 'disk-format-unknown', '"floppy"'],
    ['block:data=/x,formt=raw', 'disk-option-unknown', '"formt=raw"'],
  ];
  for (const [text, code, name] of table) {
    await t.test(JSON.stringify(text), () => refuses(() => parseDisk(text), 'arguments', code, name));
  }
});
