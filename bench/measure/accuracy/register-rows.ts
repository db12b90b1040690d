/**
 * What the registers do with nothing, and with next to nothing: the rows of the table that are not a percentage. One window
 * a second, as the board is run.
 */
import { EnergyRegisters } from '../../../firmware/metering/registers.ts';
import { BASIC_CURRENT_A, NETTING_BLOCK_MS } from '../../../hardware/board.ts';
import { MeteredChip } from '../../board/metered-chip.ts';
import { REFERENCE_V, sine, truthOf } from './signals.ts';
import type { Specimen } from './specimen.ts';

export interface RegisterResult {
  row: string;
  /** The worst board's registers. */
  importMwh: number;
  exportMwh: number;
  trueMwh: number;
  ok: boolean;
}

const PULSE_MWH = 1000; // 1,000 pulses for a kWh
const SECOND_MS = 1000;

/** Registers of a board after so many minutes at a constant load. */
export function registersAfter(
  specimen: Specimen,
  seed: number,
  minutes: number,
  voltageV: number,
  currentA: number,
): EnergyRegisters {
  const meter = new MeteredChip(specimen.chip, seed, specimen.calibration);
  const registers = new EnergyRegisters(0, 0, meter.metering.noiseMw);
  meter.setMains(sine({ voltageV, currentA }));
  let powerMw = 0;
  for (let second = 0; second <= minutes * 60; second++) {
    if (second > 0) registers.integrate(powerMw, SECOND_MS);
    if (second > 0 && (second * SECOND_MS) % NETTING_BLOCK_MS === 0) registers.closeBlock();
    meter.timeS = second;
    powerMw = meter.window().powerMw;
  }
  return registers;
}

export function registerRows(specimens: Specimen[]): RegisterResult[] {
  const worst = (
    row: string,
    minutes: number,
    voltageV: number,
    currentA: number,
    ok: (importMwh: number, exportMwh: number, trueMwh: number) => boolean,
  ): RegisterResult => {
    const trueMwh = Math.round((truthOf(sine({ voltageV, currentA })).powerW * minutes * 1000) / 60);
    const results = specimens.map((specimen, n) => {
      const { importMwh, exportMwh } = registersAfter(specimen, n + 1, minutes, voltageV, currentA);
      return { row, importMwh, exportMwh, trueMwh, ok: ok(importMwh, exportMwh, trueMwh) };
    });
    const off = (r: RegisterResult): number => Math.abs(r.importMwh - trueMwh) + r.exportMwh;
    return results.reduce((a, b) => (off(b) > off(a) ? b : a));
  };
  const starts = (importMwh: number, exportMwh: number, trueMwh: number): boolean =>
    importMwh > trueMwh / 2 && importMwh < trueMwh * 1.5 && exportMwh === 0;
  return [
    worst('no load, 1.15 U, 190 min', 190, 1.15 * REFERENCE_V, 0, (i, e) => i <= PULSE_MWH && e <= PULSE_MWH),
    worst('start at 0.2 % of 5 A, 60 min', 60, REFERENCE_V, 0.002 * BASIC_CURRENT_A, starts),
    worst('start at 0.1 % of 5 A, 60 min', 60, REFERENCE_V, 0.001 * BASIC_CURRENT_A, starts),
  ];
}
