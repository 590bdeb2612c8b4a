/** References to images, and the values of --root that name one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseReference, referenceText } from '../../../src/oci-names/reference.js';
import { isRootImage, parseRootImage, rootImageText } from '../../../src/oci-names/root-image.js';
import { throwsWith } from '../../helpers/errors.js';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

describe('a reference', () => {
  for (const [text, whole] of [
    ['debian', 'docker.io/library/debian:latest'],
    ['debian:13', 'docker.io/library/debian:13'],
    ['user/name', 'docker.io/user/name:latest'],
    ['docker.io/debian', 'docker.io/library/debian:latest'],
    ['index.docker.io/debian', 'docker.io/library/debian:latest'],
    ['registry-1.docker.io/library/debian', 'docker.io/library/debian:latest'],
    ['localhost/a', 'localhost/a:latest'],
    ['localhost:5000/a:b', 'localhost:5000/a:b'],
    ['[::1]:5000/a', '[::1]:5000/a:latest'],
    ['Quay.IO/a/b/c:T-1_x.y', 'quay.io/a/b/c:T-1_x.y'],
    ['host.example:443/a', 'host.example:443/a:latest'],
    [`debian@${DIGEST}`, `docker.io/library/debian@${DIGEST}`],
    [`debian:13@${DIGEST}`, `docker.io/library/debian:13@${DIGEST}`],
    ['a__b/c-d--e/f.g', 'docker.io/a__b/c-d--e/f.g:latest'],
  ] as const) {
    it(`${text} is ${whole}`, () => {
      assert.equal(referenceText(parseReference(text)), whole);
      assert.equal(referenceText(parseReference(whole)), whole);
    });
  }

  for (const text of [
    '',
    ':13',
    'Debian',
    'a//b',
    'a/',
    '/a',
    'a_',
    'a___b',
    'a..b',
    'a:',
    `a:${'t'.repeat(129)}`,
    'a:-t',
    'host.example:0/a',
    'host.example:70000/a',
    'host.example:0080/a',
    '127.1/a',
    '0x7f.1/a',
    '[0:0::1]/a',
    '-host.example/a',
    'host..example\n/a',
    'a@b@c',
    '../a',
    'a b',
    `${'a/'.repeat(130)}b`,
  ]) {
    it(`${JSON.stringify(text.slice(0, 40))} is none`, () => {
      throwsWith(() => parseReference(text), 'reference-invalid');
    });
  }

  for (const text of ['a@sha256:12', `a@${DIGEST.toUpperCase()}`, `a@md5:${'0'.repeat(32)}`, 'a@__proto__:1', 'a@'])
    it(`${text.slice(0, 40)} has no digest`, () => void throwsWith(() => parseReference(text), 'digest-invalid'));
});

describe('a value of --root', () => {
  for (const [text, whole] of [
    ['docker://debian:13', 'docker://docker.io/library/debian:13'],
    ['docker://localhost:5000/a', 'docker://localhost:5000/a:latest'],
    ['docker:///ubuntu?tag=15.04', 'docker://docker.io/library/ubuntu:15.04'],
    ['docker:///ubuntu', 'docker://docker.io/library/ubuntu:latest'],
    ['docker+https://index.docker.io:443/ubuntu?tag=15.04', 'docker://docker.io/library/ubuntu:15.04'],
    ['docker+https://registry/ubuntu?tag=15.04', 'docker://registry:443/ubuntu:15.04'],
    ['docker:/library/debian?tag=latest', 'docker://docker.io/library/debian:latest'],
    ['docker://localhost:5000/a/b?tag=c', 'docker://localhost:5000/a/b:c'],
    [`docker:///ubuntu?digest=${DIGEST}`, `docker://docker.io/library/ubuntu@${DIGEST}`],
    [`docker://debian@${DIGEST}`, `docker://docker.io/library/debian@${DIGEST}`],
    ['oci:some/dir', 'oci:some/dir'],
    ['oci:/dir:tag', 'oci:/dir:tag'],
    ['oci-archive:a.tar:v1', 'oci-archive:a.tar:v1'],
    ['docker-archive:a.tar:name:v1', 'docker-archive:a.tar:name:v1'],
    ['tar:a:b.tar', 'tar:a:b.tar'],
    ['virt-builder:///fedora-24', 'virt-builder:///fedora-24'],
    ['virt-builder:/cirros-0.3.5', 'virt-builder:///cirros-0.3.5'],
    ['virt-builder:///debian-12?arch=amd64', 'virt-builder:///debian-12?arch=x86_64'],
    ['virt-builder:///debian-12?arch=aarch64', 'virt-builder:///debian-12?arch=aarch64'],
    ['virt-builder:///debian-12?arch=armv7l', 'virt-builder:///debian-12?arch=armv7l'],
    ['virt-builder:///debian-12?arch=constructor', 'virt-builder:///debian-12?arch=constructor'],
    ['virt-builder:///debian-12?', 'virt-builder:///debian-12'],
  ] as const) {
    it(`${text} is ${whole}`, () => {
      assert.ok(isRootImage(text));
      assert.equal(rootImageText(parseRootImage(text)), whole);
      assert.equal(rootImageText(parseRootImage(whole)), whole);
    });
  }

  for (const text of ['/', 'dir', './oci:x', '/a:b', 'host-image:/dev/x', 'ocix:y'])
    it(`${text} is no image`, () => assert.ok(!isRootImage(text)));

  for (const text of [
    'docker:',
    'docker://',
    'docker:name',
    'docker:///',
    'docker:///a/../b',
    'docker:///a?tag=1&tag=2',
    'docker:///a?x=1',
    'docker+http://host.example/a',
    'docker+ftp://host.example/a',
    'oci:',
    'oci:dir:',
    'tar:',
    'virt-builder:',
    'virt-builder:fedora-24',
    'virt-builder://fedora-24',
    'virt-builder://host.example/fedora-24',
    'virt-builder:///',
    'virt-builder:///-l',
    'virt-builder:///--delete-cache',
    'virt-builder:///a/b',
    'virt-builder:///../a',
    'virt-builder:///a b',
    'virt-builder:///a\nb',
    'virt-builder:///a\0',
    `virt-builder:///${'a'.repeat(200)}`,
    'virt-builder:///a?arch=',
    'virt-builder:///a?arch=a b',
    'virt-builder:///a?arch=--x=/y',
    'virt-builder:///a?size=1',
    'virt-builder:///a?arch=arm64&arch=amd64',
  ]) {
    it(`${text} is refused`, () => void throwsWith(() => parseRootImage(text), 'reference-invalid'));
  }

  for (const text of ['docker://me:secret@host.example/a', 'docker+https://me:secret@host.example/a?tag=b'])
    it(`${text} has a password, which is not shown`, () => {
      const error = throwsWith(() => parseRootImage(text), 'password-in-reference');
      assert.doesNotMatch(error.line, /secret/);
    });
});
