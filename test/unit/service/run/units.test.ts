/** What systemctl says of units, which a guest may make up. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { RunOptions, RunResult } from '../../../../src/index.js';
import { readStates, type SystemdSandbox, unitStates } from '../../../../src/service/run/unit-states.js';
import { isUp, reloadUnits, unitsActive } from '../../../../src/service/run/units-active.js';

const ACTIVE = `Type=simple
MainPID=14
Result=success
NRestarts=2
ExecMainStatus=0
LoadState=loaded
ActiveState=active
SubState=running
StateChangeTimestamp=@1795995142
ConditionResult=yes
ConditionTimestamp=@1795995141
`;
const FAILED = ACTIVE.replace('ActiveState=active', 'ActiveState=failed').replace('Result=success', 'Result=exit-code');
const RESTARTING = ACTIVE.replace('ActiveState=active', 'ActiveState=activating');

/** Answers each run by what is next. @returns it, and what it was asked */
function answering(...outputs: readonly string[]): { sandbox: SystemdSandbox; asked: string[] } {
  const left = [...outputs];
  const asked: string[] = [];
  const run = async (command: string | readonly string[], _options?: RunOptions): Promise<RunResult> => {
    asked.push([command].flat().join(' '));
    const stdout = left.shift() ?? '';
    return {
      stdout,
      stderr: stdout === '' ? 'no\u001bbus' : '',
      code: 1,
      signal: undefined,
      exitCode: stdout === '' ? 1 : 0,
      timedOut: false,
      startMilliseconds: 0,
      milliseconds: 0,
    };
  };
  return { sandbox: { run }, asked };
}

it('states are read by unit', async () => {
  const { sandbox, asked } = answering(`${ACTIVE}\n${FAILED}`);
  const states = await unitStates(sandbox, ['a.service', 'b.service']);
  assert.match(asked[0] ?? '', /^systemctl show .* -- a\.service b\.service$/);
  assert.deepEqual(
    states.map(({ unit, active, result, mainPid, restarts }) => [unit, active, result, mainPid, restarts]),
    [
      ['a.service', 'active', 'success', 14, 2],
      ['b.service', 'failed', 'exit-code', 14, 2],
    ],
  );
  assert.equal(states[0]?.since?.getTime(), 1_795_995_142_000);
});

it('what is no answer is an error, and shows nothing that a terminal obeys', async () => {
  await assert.rejects(unitStates(answering('').sandbox, ['a.service']), {
    code: 'systemd-silent',
    message: /no\?bus/,
  });
  assert.throws(() => readStates(ACTIVE, '', ['a.service', 'b.service']), { code: 'systemd-silent' });
  const [state] = readStates('MainPID=1e99\nSubState=\u001b[2J\nStateChangeTimestamp=@99999999999999\n', '', [
    'a.service',
  ]);
  assert.deepEqual([state?.mainPid, state?.sub, state?.since], [0, '?[2J', undefined]);
});

it('one command waits for units that are active', async () => {
  const { sandbox, asked } = answering(`${ACTIVE}\n${ACTIVE}`);
  await unitsActive(sandbox, ['a.service', 'b.service']);
  assert.equal(asked.length, 1);
  assert.match(asked[0] ?? '', /is-system-running --wait/);
});

it('a unit that is about to start again is waited for, and no other is started', async () => {
  const { sandbox, asked } = answering(`${ACTIVE}\n${RESTARTING}`, `${ACTIVE}\n${ACTIVE}`);
  await unitsActive(sandbox, ['a.service', 'b.service']);
  assert.match(asked[1] ?? '', /systemctl start -- \$units; exec "\$@" sh b\.service systemctl show/);
});

/** As systemctl shows a command of a unit. */
const command = (
  property: string,
  words: string,
  end: string,
  ignored = 'no',
  ended = 'Mon 2026-11-30 06:37:22.2 UTC',
) =>
  `${property}={ path=/bin/sh ; argv[]=${words} ; ignore_errors=${ignored} ; start_time=[Mon 2026-11-30 06:37:22.104512 UTC] ; stop_time=[${ended}] ; pid=9 ; ${end} }\n`;

it('a failed unit is an error with the end of its journal', async () => {
  const { sandbox } = answering(
    FAILED,
    command('ExecStart', 'sh', 'code=exited ; status=3'),
    'first\nport\u0007 taken\n',
  );
  await assert.rejects(unitsActive(sandbox, ['a.service']), {
    code: 'unit-failed',
    message: 'the unit a.service failed: exit-code, status 3, after 2 restarts',
    consoleTail: ['the journal of the unit ends with:', 'first', 'port? taken'],
  });
});

it('a command that fails beside the main process is named in one line', async () => {
  const long = `sh -c \u001b[2J\n\n ; ignore_errors=no ; ${'x'.repeat(200)}`;
  const pre = command('ExecStartPre', long, 'code=exited ; status=1');
  const main = command('ExecStart', 'sh', 'code=(null) ; status=0/0');
  const ignored = command('ExecStartPre', 'no', 'code=exited ; status=9', 'yes');
  const { sandbox } = answering(
    FAILED,
    `${main}${ignored}${pre}AssertResult=yes\nAssertTimestamp=Mon 2026-11-30 06:37:22 UTC\n`,
  );
  await assert.rejects(unitsActive(sandbox, ['a.service']), {
    message:
      /^the unit a\.service failed: exit-code, status 1 of ExecStartPre=sh -c \?\[2J ; ignore_errors=no ; x{40,}…, /,
  });
});

it('what systemd does not say of commands is left out', async () => {
  for (const said of [
    '',
    'ExecStart={ path=/bin/sh ; argv[]=sh',
    command('ExecNever', 'sh', 'code=exited ; status=3'),
  ]) {
    const { sandbox } = answering(FAILED.replace('NRestarts=2', 'NRestarts=0'), said);
    await assert.rejects(unitsActive(sandbox, ['a.service']), { message: 'the unit a.service failed: exit-code' });
  }
});

it('a command that has run to its end is up, and one whose condition does not hold is not', () => {
  const ended = ACTIVE.replace('ActiveState=active', 'ActiveState=inactive');
  const [once] = readStates(ended.replace('Type=simple', 'Type=oneshot'), '', ['a.service']);
  assert.ok(once && isUp(once));
  const [stopped] = readStates(ended, '', ['a.service']);
  assert.ok(stopped && !isUp(stopped));
  assert.ok(once && !isUp({ ...once, conditionsHold: false }));
});

it('a reload that fails says why', async () => {
  await assert.rejects(reloadUnits(answering('').sandbox, ['a.service']), { code: 'unit-not-reloaded' });
  await reloadUnits(answering('ok').sandbox, ['a.service']);
});
