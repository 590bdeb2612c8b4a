/** What a start says of units that fail, each in another way: the systemd of this host, in a container. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SandboxError } from '../../src/index.js';
import type { SystemdSandbox } from '../../src/service/run/unit-states.js';
import { lxc } from '../helpers/connections.js';
import { ctl } from '../helpers/ctl.js';
import { unlessHostSystemd, untilActive } from '../helpers/systemd-sandbox.js';
import { unitService } from '../helpers/unit-services.js';

const SLEEP = 'ExecStart=/bin/sleep infinity';
const TWICE = '[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=1h\n[Service]\nRestartSec=10ms\n';
const shell = (command: string) => `/bin/sh -c '${command}'`;

/** Units, and what an error says of each. */
const FAILING: Readonly<Record<string, readonly [text: string, says: string]>> = {
  'exits.service': [`Type=exec\nExecStart=${shell('exit 3')}`, 'failed: exit-code, status 3'],
  'killed.service': [`Type=exec\nExecStart=${shell('kill -KILL $$$$')}`, 'failed: signal, SIGKILL'],
  'second.service': [
    `Type=oneshot\nExecStart=/bin/true\nExecStart=-/bin/false\nExecStart=${shell('exit 8')}`,
    'failed: exit-code, status 8',
  ],
  'pre.service': [
    `ExecStartPre=-/bin/false\nExecStartPre=${shell('echo no site; exit 7')}\n${SLEEP}`,
    'failed: exit-code, status 7 of ExecStartPre=/bin/sh -c echo no site; exit 7',
  ],
  'lines.service': [
    `ExecStartPre=/bin/sh -c "echo a\\n\\nexit 7"\n${SLEEP}`,
    'failed: exit-code, status 7 of ExecStartPre=/bin/sh -c echo a exit 7',
  ],
  'pre-killed.service': [
    `ExecStartPre=${shell('kill -TERM $$$$')}\n${SLEEP}`,
    'failed: signal, SIGTERM of ExecStartPre=/bin/sh -c kill -TERM $$$$',
  ],
  'pre-late.service': [
    `TimeoutStartSec=1\nExecStartPre=/bin/sleep infinity\n${SLEEP}`,
    'failed: timeout of ExecStartPre=/bin/sleep infinity',
  ],
  // It ends well when systemd ends it.
  'late.service': [
    `TimeoutStartSec=1\nType=notify\nExecStart=${shell('trap "exit 0" TERM; sleep 1000 & wait')}`,
    'failed: timeout',
  ],
  'post.service': [
    `ExecStart=${shell('trap "exit 143" TERM; touch /run/trapped; sleep 1000 & wait')}\nExecStartPost=${shell('until [ -e /run/trapped ]; do :; done; exit 5')}`,
    'failed: exit-code, status 5 of ExecStartPost=/bin/sh -c until [ -e /run/trapped ]; do :; done; exit 5',
  ],
  'crashes.service': [
    `TimeoutStartSec=1\nExecStart=${shell('kill -KILL $$$$')}\nExecStartPost=/bin/sleep infinity`,
    'failed: signal, SIGKILL',
  ],
  'gone.service': [
    `ExecStart=${shell('touch /run/gone; exit 3')}\nExecStartPost=${shell('until [ -e /run/gone ]; do :; done; while kill -0 $MAINPID; do :; done; exit 4')}`,
    'failed: exit-code, status 3',
  ],
  'stop.service': [
    `Type=exec\nExecStart=/bin/true\nExecStop=${shell('exit 9')}`,
    'failed: exit-code, status 9 of ExecStop=/bin/sh -c exit 9',
  ],
  'silent.service': ['Type=notify\nExecStart=/bin/true', 'failed: protocol'],
  'no-file.service': [`EnvironmentFile=/no/such\n${SLEEP}`, 'failed: resources'],
  'fails-often.service': [
    `${TWICE}Restart=on-failure\nType=notify\nExecStart=${shell('exit 4')}`,
    'failed: exit-code, status 4, after 2 restarts',
  ],
  'ends-often.service': [
    `${TWICE}Restart=always\nType=exec\nExecStart=/bin/true`,
    'failed: start-limit-hit, after 2 restarts',
  ],
  'unasked.service': [
    `ExecCondition=${shell('exit 1')}\n${SLEEP}`,
    'was not started: ExecCondition=/bin/sh -c exit 1 does not hold',
  ],
  'condition.service': [
    `[Unit]\nConditionPathExists=/no/such\n[Service]\n${SLEEP}`,
    'was not started: one of its conditions does not hold',
  ],
  'assert.service': [
    `[Unit]\nAssertPathExists=/no/such\n[Service]\n${SLEEP}`,
    'was not started: one of its asserts does not hold',
  ],
  'needs.service': [
    `[Unit]\nRequires=fails-first.service\nAfter=fails-first.service\n[Service]\n${SLEEP}`,
    'was not started: what it requires may have failed',
  ],
  'socket.socket': [
    `[Socket]\nListenStream=/run/x\nService=exits.service\nExecStartPre=${shell('exit 6')}`,
    'failed: exit-code, status 6 of ExecStartPre=/bin/sh -c exit 6',
  ],
  'mnt.mount': [
    '[Mount]\nWhat=/no/such\nWhere=/mnt',
    'failed: exit-code, status 32 of ExecMount=/usr/bin/mount /no/such /mnt',
  ],
};

describe('a unit in a container that fails', { skip: lxc.skip || unlessHostSystemd }, () => {
  it('is said to have failed as it did', async (t) => {
    const text = (unit: string) => (unit.startsWith('[') ? `${unit}\n` : `[Service]\n${unit}\n`);
    const units = Object.fromEntries(Object.entries(FAILING).map(([name, [unit]]) => [name, text(unit)]));
    const others = { 'steady.service': text(SLEEP), 'fails-first.service': text('Type=oneshot\nExecStart=/bin/false') };
    const service = await unitService(t, lxc, { ...units, ...others }, ['steady.service']);
    await service.ok(['start']);
    const sandbox: SystemdSandbox = {
      run: async (command) => {
        const words = [command].flat();
        const { out, stderr, code } = await ctl(['exec', service.name, '--', ...words], lxc.options);
        return {
          stdout: out,
          stderr,
          code: code ?? 1,
          signal: undefined,
          exitCode: code ?? 1,
          timedOut: false,
          startMilliseconds: 0,
          milliseconds: 0,
        };
      },
    };
    // A target holds them, as that of a service does: systemd forgets other units that are inactive.
    const target = `[Unit]\nWants=${Object.keys(FAILING).join(' ')}\n`;
    await service.inside(
      `printf '${target.replaceAll('\n', '\\n')}' >/run/systemd/system/all.target; systemctl daemon-reload; systemctl start all.target`,
    );
    const found = await Promise.all(
      Object.keys(FAILING).map((unit) =>
        untilActive(sandbox, [unit]).then(
          () => [unit, 'active'],
          (error) => [unit, error instanceof SandboxError ? error.message : String(error)],
        ),
      ),
    );
    const expected = Object.entries(FAILING).map(([unit, [, says]]) => [unit, `the unit ${unit} ${says}`]);
    assert.deepEqual(Object.fromEntries(found), Object.fromEntries(expected));
  });
});
