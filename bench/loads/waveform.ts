/**
 * Recorded waves of appliances: voltage and current of some seconds, for the accuracy measurement.
 *
 * The file is hexadecimal text, broken into lines anywhere. After the mark FFFFFFFF come pairs of little-endian 16-bit
 * integers: current (41.4738 per ampere), then voltage (21.3872 per volt), 6,400 pairs a second. The recorder's voltage is
 * too low by a fifth, so shape, phase and power factor are what counts, and both are scaled to what is wanted.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MainsWave } from '../board/adc-model.ts';

const SAMPLES_PER_S = 6400;
const RAW_PER_A = 41.4738;
const RAW_PER_V = 21.3872;
const MARK = 'ffffffff';
const BYTES_PER_PAIR = 4;

export interface WaveformRecording {
  /** The file's name. */
  name: string;
  samplesPerS: number;
  voltageV: Float64Array;
  currentA: Float64Array;
}

/** @throws Error that names file, line and column */
export function parseWaveform(text: string, name: string): WaveformRecording {
  let digits = '';
  text.split(/\r?\n/).forEach((line, n) => {
    const content = line.trimEnd();
    const wrong = content.search(/[^0-9a-fA-F]/);
    if (wrong >= 0) {
      throw new Error(
        `${name}: line ${n + 1}, column ${wrong + 1}: a hexadecimal digit is wanted, not ${JSON.stringify(content[wrong])}`,
      );
    }
    digits += content;
    if (digits.length >= MARK.length && !digits.slice(0, MARK.length).toLowerCase().startsWith(MARK)) {
      throw new Error(`${name}: line ${n + 1}, column 1: the mark ${MARK.toUpperCase()} is wanted at the beginning`);
    }
  });
  const bytes = Buffer.from(digits.slice(MARK.length), 'hex');
  const pairs = Math.floor(bytes.length / BYTES_PER_PAIR); // a recorder that was switched off may leave half a pair
  const lines = text.split('\n').length;
  if (pairs < SAMPLES_PER_S / 10) {
    throw new Error(`${name}: line ${lines}: ends after ${pairs} samples, a tenth of a second at least is wanted`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const currentA = Float64Array.from({ length: pairs }, (_, n) => view.getInt16(BYTES_PER_PAIR * n, true) / RAW_PER_A);
  const voltageV = Float64Array.from(
    { length: pairs },
    (_, n) => view.getInt16(BYTES_PER_PAIR * n + 2, true) / RAW_PER_V,
  );
  return { name, samplesPerS: SAMPLES_PER_S, voltageV: withoutMean(voltageV), currentA: withoutMean(currentA) };
}

/** All files of a folder, in the order of their names. */
export function readWaveforms(folder: string): WaveformRecording[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.txt'))
    .sort()
    .map((file) => parseWaveform(readFileSync(join(folder, file), 'latin1'), file));
}

/**
 * The recording as a wave without a seam, from the first to the last upward zero crossing of its voltage, scaled.
 * @param voltageRms, currentRms of the result, V and A
 */
export function loopOf(recording: WaveformRecording, voltageRms: number, currentRms: number): MainsWave {
  const { voltageV, currentA, samplesPerS, name } = recording;
  const crossings = upwardCrossings(voltageV);
  if (crossings.length < 3) throw new Error(`${name}: no mains voltage in it`);
  const [first, last] = [crossings[0], crossings[crossings.length - 1]];
  const cycles = crossings.length - 1;
  const [from, to] = [Math.round(first), Math.round(last)];
  return {
    frequencyHz: (cycles * samplesPerS) / (last - first),
    cycles,
    voltageV: scaledTo(withoutMean(voltageV.slice(from, to)), voltageRms),
    currentA: scaledTo(withoutMean(currentA.slice(from, to)), currentRms),
  };
}

/** Where the wave crosses zero upwards, in samples and parts of one; each after a dip well below zero. */
function upwardCrossings(wave: Float64Array): number[] {
  const dip = -0.3 * rmsOf(wave);
  const crossings: number[] = [];
  let low = false;
  for (let n = 1; n < wave.length; n++) {
    if (wave[n] < dip) low = true;
    else if (low && wave[n] >= 0) {
      crossings.push(n - wave[n] / (wave[n] - wave[n - 1]));
      low = false;
    }
  }
  return crossings;
}

const rmsOf = (wave: Float64Array): number => Math.sqrt(wave.reduce((sum, x) => sum + x * x, 0) / wave.length);

function withoutMean(wave: Float64Array): Float64Array {
  const mean = wave.reduce((sum, x) => sum + x, 0) / wave.length;
  return wave.map((x) => x - mean);
}

function scaledTo(wave: Float64Array, rms: number): Float64Array {
  const factor = rms / rmsOf(wave);
  return wave.map((x) => x * factor);
}
