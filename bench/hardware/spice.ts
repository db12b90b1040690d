/**
 * The analogue front end as a SPICE netlist, made from hardware/circuit.ts, and run by the real ngspice.
 *
 * One deck holds any number of copies of the front end beside each other, each with its own values (Monte Carlo) or its own
 * sensors; they share sources and supply. What is no part of the circuit is modelled here, with its figures: the two sensors'
 * cores and windings, the amplifier, the diodes.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Part, parts } from '../../hardware/circuit.ts';
import { CURRENT_TRANSFORMER, VOLTAGE_TRANSFORMER } from '../../hardware/front-end.ts';

/** Parts of these blocks are in the deck; the supply is a source. */
const BLOCKS = ['voltage', 'current', 'bias'];
/** Copper, 1/K. Figures of the windings are assumed: makers do not state them. Only the lead's change with temperature rests on it. */
const COPPER_PER_K = 0.00393;
const CLAMP_WINDING_OHM = 100;
const VT_WINDING_OHM = 110;
/** Where the lead of the tables is taken for the core: half of the range, nominal mains. */
const CLAMP_AT_A = 20;
const VT_AT_V = 230;
/** MCP6002: 1 MHz, 28 nV/√Hz, as a resistor in which no current flows. */
const AMPLIFIER_GAIN = 1e5;
const AMPLIFIER_POLE_HZ = 10;
const AMPLIFIER_NOISE_OHM = 28e-9 ** 2 / (4 * 1.380649e-23 * 300);
const NOMINAL_C = 25;

export interface Copy {
  /** The value that a part has in this copy; nominal where it is not named. `3V3`: the supply, volts. */
  values?: Record<string, number>;
  /** Cores that carry all of the current (no lead), or such as the tables have. */
  sensors: 'ideal' | 'real';
}

export interface Conditions {
  temperatureC?: number;
  /** Mains and clamp as sources: unit amplitude for AC, or a sine of these RMS values. */
  mainsV?: number;
  clampA?: number;
  hz?: number;
}

export const SUPPLY_V = 3.3;

const table = (at: number[], values: number[], x: number): number => {
  const n = Math.max(
    1,
    at.findIndex((a) => a >= x),
  );
  if (at.length === 1) return values[0];
  const [a, b] = [at[n - 1], at[n]];
  return values[n - 1] + ((values[n] - values[n - 1]) * (x - a)) / (b - a);
};
const henryFor = (leadDeg: number, ohm: number): number =>
  ohm / (2 * Math.PI * 50 * Math.tan((leadDeg * Math.PI) / 180));

/** One copy's lines; its nodes end in its number. */
function copyLines({ values = {}, sensors }: Copy, n: number, temperatureC: number): string[] {
  const node = (net: string): string => (net === 'GND' ? '0' : `${net.toLowerCase()}_${n}`);
  const name = (ref: string): string => `${ref}_${n}`;
  const value = ({ ref, si, perKelvin = 0 }: Part): string =>
    ((values[ref] ?? si!) * (1 + perKelvin * (temperatureC - NOMINAL_C))).toPrecision(9);
  const copper = (ohm: number): number => ohm * (1 + COPPER_PER_K * (temperatureC - NOMINAL_C));
  const core = (leadDeg: number, ohm: number, a: string, b: string): string[] =>
    sensors === 'real' ? [`L_${a} ${a} ${b} ${henryFor(leadDeg, ohm).toPrecision(6)}`] : [];
  const lines: string[] = [`V3V3_${n} ${node('3V3')} 0 ${values['3V3'] ?? SUPPLY_V}`];
  for (const part of parts) {
    if (!BLOCKS.includes(part.block) && part.ref !== 'J2') continue;
    const { ref, kind, pins } = part;
    const at = (pin: string): string => node(pins[pin]);
    if (kind === 'resistor') lines.push(`${name(ref)} ${at('1')} ${at('2')} ${value(part)}`);
    else if (kind === 'capacitor') lines.push(`${name(ref)} ${at('1')} ${at('2')} ${value(part)}`);
    else if (kind === 'dual diode')
      lines.push(`${name(`${ref}a`)} ${at('1')} ${at('3')} BAT54`, `${name(`${ref}b`)} ${at('3')} ${at('2')} BAT54`);
    else if (kind === 'suppressor')
      lines.push(`${name(`${ref}a`)} m_${n} ${at('1')} TVS`, `${name(`${ref}b`)} m_${n} ${at('2')} TVS`);
    else if (kind === 'amplifier') {
      const inner = `${ref.toLowerCase()}_${n}`;
      lines.push(
        `RN_${inner} ${at('+')} in_${inner} ${AMPLIFIER_NOISE_OHM.toPrecision(5)}`,
        `G_${inner} 0 p_${inner} in_${inner} ${at('-')} ${AMPLIFIER_GAIN / 1000}`,
        `RP_${inner} p_${inner} 0 1000 noisy=0`,
        `CP_${inner} p_${inner} 0 ${(1 / (2 * Math.PI * AMPLIFIER_POLE_HZ * 1000)).toPrecision(6)}`,
        `E_${inner} ${at('OUT')} 0 p_${inner} 0 1`,
      );
    } else if (kind === 'transformer') {
      const lead = table(VOLTAGE_TRANSFORMER.voltagesV, VOLTAGE_TRANSFORMER.leadDeg, VT_AT_V);
      const burden = parts.find((p) => p.ref === 'R3')!.si!;
      lines.push(
        `VP_${n} ${at('P1')} ${at('P2')} 0`,
        `FP_${n} ${at('S2')} vt_core_${n} VP_${n} 1`,
        ...core(lead, VT_WINDING_OHM + burden, `vt_core_${n}`, at('S2')),
        `RW_${n} vt_core_${n} ${at('S1')} ${sensors === 'real' ? copper(VT_WINDING_OHM) : 1e-3}`,
        `VL_${n} ${node('L_SENSE')} mains 0`,
        `VN_${n} ${node('N')} 0 0`,
      );
    } else if (ref === 'J2') {
      const lead = table(CURRENT_TRANSFORMER.currentsA, CURRENT_TRANSFORMER.leadDeg, CLAMP_AT_A);
      const burden = parts.find((p) => p.ref === 'R5')!.si!;
      lines.push(
        `FC_${n} ${at('S')} ct_core_${n} VCLAMP ${1 / CURRENT_TRANSFORMER.turns}`,
        ...core(lead, CLAMP_WINDING_OHM + burden, `ct_core_${n}`, at('S')),
        `RC_${n} ct_core_${n} ${at('T')} ${sensors === 'real' ? copper(CLAMP_WINDING_OHM) : 1e-3}`,
      );
    }
  }
  return lines;
}

/** The deck: sources, models, copies, and what is to be done with them. */
export function deck(copies: Copy[], conditions: Conditions, control: string[]): string {
  const { temperatureC = NOMINAL_C, mainsV, clampA, hz = 50 } = conditions;
  const sine = (rms: number | undefined): string =>
    rms === undefined ? 'DC 0 AC 1' : `DC 0 SIN(0 ${(rms * Math.SQRT2).toPrecision(8)} ${hz})`;
  return [
    'quietmeter: the front end, made from hardware/circuit.ts',
    `.option temp=${temperatureC} tnom=${NOMINAL_C}`,
    '.model BAT54 D(IS=2e-7 N=1.05 RS=4 CJO=1e-11 BV=30)',
    '.model TVS D(IS=1e-14 RS=0.5 BV=6.7 CJO=5e-10)',
    `VMAINS mains 0 ${sine(mainsV)}`,
    // the conductor that the clamp is put around: one ampere for one volt over one ohm
    `ICLAMP 0 clamp ${sine(clampA)}`,
    'VCLAMP clamp clamp_end 0',
    'RCLAMP clamp_end 0 1',
    ...copies.flatMap((copy, n) => copyLines(copy, n, temperatureC)),
    '.control',
    'set wr_vecnames',
    'set wr_singlescale',
    'option numdgt=9',
    ...control,
    '.endc',
    '.end',
    '',
  ].join('\n');
}

export class NgspiceError extends Error {
  override readonly name = 'NgspiceError';
}

/**
 * Runs a deck; `write` in its control lines names what `wrdata out …` gave.
 * @returns rows of numbers, columns as wrdata has them (scale first)
 * @throws NgspiceError with ngspice's own last lines
 */
export async function runNgspice(text: string): Promise<{ rows: number[][]; output: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'front-end-'));
  try {
    const file = join(folder, 'front-end.cir');
    await writeFile(file, text);
    const ran = await promisify(execFile)('ngspice', ['-b', file], { cwd: folder, maxBuffer: 1 << 26 }).catch(
      (error: Error & { code?: string | number; stdout?: string; stderr?: string }) => {
        if (error.code === 'ENOENT') throw new NgspiceError('ngspice is not installed (Debian package ngspice)');
        return { stdout: error.stdout ?? '', stderr: error.stderr ?? error.message };
      },
    );
    const data = await readFile(join(folder, 'out'), 'utf8').catch(() => null);
    if (data === null && text.includes('wrdata'))
      throw new NgspiceError(`ngspice: ${(ran.stderr || ran.stdout).trim().split('\n').slice(-5).join(' | ')}`);
    const rows = (data ?? '')
      .split('\n')
      .slice(1)
      .filter((line) => line.trim() !== '')
      .map((line) => line.trim().split(/\s+/).map(Number));
    return { rows, output: ran.stdout };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
