/** The unit that the host's systemd has for a service: systemd.service(5). */
import { dirname } from 'node:path';
import { isUnitName } from '../../config/unit-name.js';
import { URI } from '../../libvirt/connection.js';
import type { Scope } from '../paths.js';
import type { Service } from '../types.js';
import { freeText, pathList, pathText, programWord } from './escape.js';
import { unitLimits } from './limits.js';
import { mayUseSession, SESSION_UNIT } from './session-daemon.js';

/**
 * Exit status of `virt-sandbox-service run` for a service that cannot run as it is described. It is EX_CONFIG of
 * <sysexits.h>, which systemd calls CONFIG. Another attempt would fail alike, so systemd makes none.
 */
export const CONFIG_STATUS = 78;

/** Milliseconds that systemd waits longer than the program itself, which is to be the one that says what was late. */
const START_MARGIN = 30_000;
const STOP_MARGIN = 30_000;

/** Milliseconds in which a service that is restarted gives a sign of life. */
const WATCHDOG = 120_000;

/** Where nothing else says so: units that provide libvirt, or end its domains when the host shuts down. */
const DAEMONS = ['libvirtd', 'virtqemud', 'virtlxcd', 'virtnetworkd', 'virtlogd'];
const DAEMON_UNITS = DAEMONS.flatMap((name) => [`${name}.socket`, `${name}.service`]);
const GUEST_SHUTDOWN = 'virt-guest-shutdown.target';

/** Name of the unit that the host has for a service, which is libvirt-sandbox's. */
export function hostUnitName(name: string): string {
  return `${name}_sandbox.service`;
}

/** The target that has services started: when the host boots, or when its user logs in. */
export function wantedBy(scope: Scope): string {
  return scope === 'system' ? 'multi-user.target' : 'default.target';
}

/**
 * The text of the unit.
 * @param program absolute path of virt-sandbox-service
 * @throws {SandboxError} `service-unit-impossible`
 */
export function formatUnit(service: Service, { program, scope }: { program: string; scope: Scope }): string {
  return `# Made from the service's file. Changes of the unit: systemctl edit ${hostUnitName(service.name)}
[Unit]
${lines(unitSection(service, scope))}
[Service]
${lines(serviceSection(service, program))}
[Install]
${lines([['WantedBy', wantedBy(scope)]])}`;
}

type Assignment = readonly [key: string, value: string | undefined];

/** Without what has no value. */
function lines(assignments: readonly Assignment[]): string {
  return assignments
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}

function unitSection(service: Service, scope: Scope): readonly Assignment[] {
  const { name, paths } = service;
  const units = systemdUnits(service);
  const overlay = service.config.overlay;
  const state = overlay === undefined || overlay.type === 'memory' ? [] : [dirname(overlay.path)];
  const daemon = scope === 'system' && mayUseDaemon(service.settings.connect);
  const session = mayUseSession(service.settings.connect, scope) ? [SESSION_UNIT] : [];
  // Behind these, so that the service ends before libvirt does, and before systemd ends libvirt's domains itself.
  const after = [...(daemon ? [...DAEMON_UNITS, 'libvirt-guests.service'] : []), GUEST_SHUTDOWN];
  return [
    ['Description', freeText(`Sandbox of the service ${name}${units.length === 0 ? '' : ` (${units.join(', ')})`}`)],
    ['Documentation', 'man:virt-sandbox-service(1)'],
    ['SourcePath', pathText(paths.file)],
    ['RequiresMountsFor', pathList([...new Set([paths.directory, ...state, paths.life])])],
    ['After', [...(scope === 'system' ? ['network.target', ...after] : []), ...session].join(' ')],
    // Otherwise the target would have no part in a shutdown.
    ['Wants', [...(scope === 'system' ? [GUEST_SHUTDOWN] : []), ...session].join(' ')],
    // A reload of the host's unit, as by a timer that renews certificates, reloads those of the sandboxes.
    ['ReloadPropagatedFrom', units.join(' ')],
  ];
}

function serviceSection(service: Service, program: string): readonly Assignment[] {
  const { name, config, settings } = service;
  const restarts = settings.restart !== 'no';
  // With a colon systemd replaces no variables in the words.
  const command = (word: string) => `:${programWord(program)} ${word} ${name}`;
  return [
    ['Type', 'notify'],
    ['NotifyAccess', 'main'],
    ['SyslogIdentifier', name],
    ['ExecStart', command('run')],
    ['ExecReload', config.service?.type === 'systemd' ? command('reload') : undefined],
    // Only the program is asked to end. It ends the machine in order; what is left after it is killed.
    ['KillMode', 'mixed'],
    ['TimeoutStartSec', seconds(settings.startTimeout + START_MARGIN)],
    ['TimeoutStopSec', seconds(settings.stopTimeout + STOP_MARGIN)],
    ['Restart', settings.restart],
    // Each time later, up to half a minute.
    ['RestartSec', restarts ? '1s' : undefined],
    ['RestartSteps', restarts ? '5' : undefined],
    ['RestartMaxDelaySec', restarts ? '30s' : undefined],
    ['RestartPreventExitStatus', restarts ? String(CONFIG_STATUS) : undefined],
    // One that nobody restarts stays as it is, for people to look at.
    ['WatchdogSec', restarts ? seconds(WATCHDOG) : undefined],
    // That systemd would end it by SIGABRT would leave the machine without an end in order, and a core dump.
    ['WatchdogSignal', restarts ? 'SIGTERM' : undefined],
    ...unitLimits(service).map(({ key, value }) => [key, value] as const),
  ];
}

/** Units of the host that the sandbox runs. */
function systemdUnits({ config }: Service): readonly string[] {
  return config.service?.type === 'systemd' ? config.service.units.filter(isUnitName) : [];
}

/** Where no connection is named, virt-sandbox prefers a daemon that answers. */
function mayUseDaemon(connect: string | undefined): boolean {
  return ![URI.embedded, URI.session].some((uri) => connect?.startsWith(uri));
}

function seconds(milliseconds: number): string {
  return `${Math.ceil(milliseconds / 1000)}s`;
}
