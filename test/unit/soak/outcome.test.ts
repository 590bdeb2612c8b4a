/** `make soak` knows a wrong exit status from a right one, and plans each run by its seed alone. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Hit, judge } from '../../soak/outcome.js';
import { planOf, rolesOf } from '../../soak/signals.js';

const LINE = 'virt-sandbox: domain: sandbox-1 is gone; try again\n';

/** @param over whether the application has ended by itself */
function outcome(code: number | null, over: boolean, err = '', signal: NodeJS.Signals | null = null) {
  return { code, signal, out: over ? 'running\nover\n' : 'running\n', err };
}

const hit = (role: string, signal: NodeJS.Signals): Hit => ({ role, signal });

describe('an outcome', () => {
  for (const [what, given, by] of [
    ["the application's status", outcome(7, true), undefined],
    [
      "the application's status with a warning, where something was killed",
      outcome(7, true, 'w'),
      hit('passt', 'SIGKILL'),
    ],
    ['128+15 of a launcher that was told to end', outcome(143, false), hit('launcher', 'SIGTERM')],
    ['128+1 of a launcher whose terminal hangs up', outcome(129, false), hit('terminal', 'SIGHUP')],
    ['the death by SIGHUP of such a launcher', outcome(null, false, '', 'SIGHUP'), hit('terminal', 'SIGHUP')],
    ['a launcher that was killed', outcome(null, false, '', 'SIGKILL'), hit('launcher', 'SIGKILL')],
    ['125 with a line, where the machine was killed', outcome(125, false, LINE), hit('qemu', 'SIGKILL')],
    ['125 after the end, where a share died', outcome(125, true, LINE), hit('virtiofsd', 'SIGKILL')],
    ['125 after the end, where the machine was killed', outcome(125, true, LINE), hit('qemu', 'SIGKILL')],
    [
      '125 after the end, where the machine ended with its supervisor',
      outcome(125, true, LINE),
      { ...hit('supervisor', 'SIGKILL'), isEmbedded: true },
    ],
    ['125 after the end, where libvirtd was told to end', outcome(125, true, LINE), hit('libvirtd', 'SIGINT')],
  ] as const) {
    it(`is right: ${what}`, () => assert.deepEqual(judge(given, by), []));
  }

  for (const [what, given, by] of [
    ['134', outcome(134, false), hit('launcher', 'SIGHUP')],
    ['134 where the terminal hangs up', outcome(134, false), hit('terminal', 'SIGHUP')],
    ['a crash', outcome(null, false, '', 'SIGSEGV'), hit('launcher', 'SIGHUP')],
    ['a complaint of an undisturbed run', outcome(7, true, LINE), undefined],
    ['125 of an undisturbed run', outcome(125, false, LINE), undefined],
    ['125 without a line', outcome(125, false), hit('qemu', 'SIGKILL')],
    [
      '125 without a cause',
      outcome(125, false, 'virt-sandbox: domain: it failed: ; see the log\n'),
      hit('qemu', 'SIGKILL'),
    ],
    ['125 although nothing was ended', outcome(125, false, LINE), hit('qemu', 'SIGSTOP')],
    ['125 although the status was known', outcome(125, true, LINE), hit('libvirtd', 'SIGKILL')],
    ['143 although nobody told it to end', outcome(143, false), hit('libvirtd', 'SIGTERM')],
    ['7 before the application has ended', outcome(7, false), hit('qemu', 'SIGKILL')],
    ['0', outcome(0, true), hit('supervisor', 'SIGKILL')],
  ] as const) {
    it(`is wrong: ${what}`, () => assert.equal(judge(given, by).length, 1));
  }
});

describe('a plan', () => {
  const seeds = Array.from({ length: 2000 }, (_, index) => index);

  it('is the same for the same seed', () => {
    for (const seed of seeds) assert.deepEqual(planOf(seed), planOf(seed));
  });

  it('has every connection, signal, moment and target among a few hundred seeds', () => {
    const plans = seeds.slice(0, 500).map(planOf);
    const values = (of: (plan: ReturnType<typeof planOf>) => unknown) => new Set(plans.map(of)).size;
    const all = new Set(plans.flatMap(({ configuration }) => rolesOf(configuration)));
    assert.equal(
      values(({ configuration }) => configuration.driver),
      5,
    );
    assert.equal(
      values(({ configuration }) => configuration.boot),
      2,
    );
    assert.equal(
      values(({ configuration }) => configuration.terminal),
      2,
    );
    assert.equal(
      values(({ signal }) => signal),
      5,
    );
    assert.equal(
      values(({ phase }) => phase),
      3,
    );
    assert.equal(
      values(({ role }) => role),
      all.size,
    );
  });
});
