/** The header WWW-Authenticate, and Retry-After. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseChallenges } from '../../../../src/oci/registry/challenge.js';
import { parseRetryAfter } from '../../../../src/oci/registry/retries.js';

describe('a challenge', () => {
  const parsed = (header: string) =>
    parseChallenges(header).map(({ scheme, parameters }) => [scheme, { ...parameters }] as const);

  it('may have commas in its strings', () => {
    assert.deepEqual(
      parsed('Bearer realm="https://auth.example/token?a=b,c",service="reg,istry", scope="repository:a/b:pull,push"'),
      [
        [
          'bearer',
          { realm: 'https://auth.example/token?a=b,c', service: 'reg,istry', scope: 'repository:a/b:pull,push' },
        ],
      ],
    );
  });

  it('may stand beside others, and have bare words and escapes', () => {
    assert.deepEqual(parsed('Negotiate, basic Realm="a \\"b\\"", BEARER realm=x , service="y"'), [
      ['basic', { realm: 'a "b"' }],
      ['bearer', { realm: 'x', service: 'y' }],
    ]);
  });

  it('names no parameter twice, and no prototype', () => {
    const [[, parameters] = []] = parsed('Bearer realm="a",realm="b",__proto__="c"');
    assert.equal(parameters?.['realm'], 'a');
    assert.equal(({} as Record<string, unknown>)['c'], undefined);
  });

  for (const header of ['', ',,,', '"', 'Bearer realm="unterminated', '=', '\u0000'])
    it(`that is ${JSON.stringify(header)} has no realm`, () => {
      for (const [, parameters] of parsed(header)) assert.equal(parameters['realm'], undefined);
    });

  it('is read in time that grows with its length', () => {
    assert.ok(parsed(`Bearer ${'a="\\'.repeat(100_000)}`).length <= 1);
  });
});

describe('Retry-After', () => {
  it('is a number of seconds or a date', () => {
    assert.equal(parseRetryAfter('3'), 3000);
    assert.equal(parseRetryAfter('Wed, 01 Jan 2025 00:00:10 GMT', Date.UTC(2025, 0, 1)), 10_000);
    assert.equal(parseRetryAfter('Wed, 01 Jan 2025 00:00:00 GMT', Date.UTC(2025, 0, 2)), 0);
  });

  for (const header of [undefined, 'soon', '-1x', ''])
    it(`${header} is none`, () => assert.equal(parseRetryAfter(header), undefined));
});
