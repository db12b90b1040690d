/**
 * The meter's board, as data: every part with its value, its order number and what each of its pins is connected to. The
 * drawing (hardware/sheet.ts), the netlist, the bill of materials and the simulation of the front end are made from it by
 * bench/hardware/. The firmware does not read it: what it needs stands in front-end.ts and pins.ts, and a test holds the two
 * against each other.
 *
 * Nets are named after what they carry. `L` and `N` are the mains, and everything on block `mains` is at their potential;
 * `GND` is the meter's own ground, which no wire connects to the mains.
 */

export type Block = 'mains' | 'voltage' | 'current' | 'bias' | 'controller' | 'gateway' | 'modem' | 'relay' | 'supply';

export type Kind =
  | 'resistor'
  | 'capacitor'
  | 'polarised capacitor'
  | 'diode'
  | 'dual diode'
  | 'suppressor'
  | 'varistor'
  | 'fuse'
  | 'bead'
  | 'led'
  | 'transistor'
  | 'transformer'
  | 'amplifier'
  | 'relay'
  | 'circuit'
  | 'connector';

export interface Part {
  /** Reference designator; `U1A` and `U1B` are two halves of `U1`. */
  ref: string;
  kind: Kind;
  block: Block;
  /** As printed beside the symbol. */
  value: string;
  /** SI unit of the kind: ohm or farad; what the simulation takes. */
  si?: number;
  /** ± of the value as sold. */
  tolerance?: number;
  /** Of a resistor's value, 1/K. */
  perKelvin?: number;
  maker: string;
  number: string;
  /** Others that fit the footprint and the figures. */
  alternatives: string[];
  /** Pin's name → net. A pin that is left open has the net ''. */
  pins: Record<string, string>;
}

/** Thin film, 0.1 %, 25 ppm/K: what decides the gain. */
const precise = { tolerance: 0.001, perKelvin: 25e-6 };
/** Thick film, 1 %, 100 ppm/K. */
const ordinary = { tolerance: 0.01, perKelvin: 100e-6 };
/** Between pins 1 and 2. */
const between = (a: string, b: string): Record<string, string> => ({ 1: a, 2: b });

type Common = 'maker' | 'number' | 'alternatives';
const YAGEO_1K: Pick<Part, Common> = { maker: 'Yageo', number: 'RC0805FR-071KL', alternatives: ['any 1 % 0805'] };
const YAGEO_10K: Pick<Part, Common> = { maker: 'Yageo', number: 'RC0805FR-0710KL', alternatives: ['any 1 % 0805'] };
const FILTER_CAP: Pick<Part, Common> = {
  maker: 'TDK',
  number: 'C2012C0G1H333J125AA',
  alternatives: ['any 33 nF C0G 5 % 0805; X7R is not good enough'],
};
const HUNDRED_NANO: Pick<Part, Common> = {
  maker: 'Yageo',
  number: 'CC0805KRX7R9BB104',
  alternatives: ['any 100 nF X7R 0805'],
};
const TEN_MICRO: Pick<Part, Common> = {
  maker: 'Murata',
  number: 'GRM21BR61A106KE19L',
  alternatives: ['any 10 µF X5R 10 V 0805'],
};
const CLAMP_DIODES: Pick<Part, Common> = { maker: 'Nexperia', number: 'BAT54S,215', alternatives: ['BAT54SLT1G'] };
const AMPLIFIER: Pick<Part, Common> = { maker: 'Microchip', number: 'MCP6002-I/SN', alternatives: ['TLV9002IDR'] };
const ISOLATOR: Pick<Part, Common> = {
  maker: 'Texas Instruments',
  number: 'ISO7721DR',
  alternatives: ['ADuM1201ARZ', 'Si8621BB-B-IS'],
};

const capacitor = (
  ref: string,
  block: Block,
  si: number,
  value: string,
  a: string,
  b: string,
  order: Pick<Part, Common>,
): Part => ({
  ref,
  kind: 'capacitor',
  block,
  value,
  si,
  tolerance: value.includes('C0G') ? 0.05 : 0.1,
  ...order,
  pins: between(a, b),
});

export const parts: Part[] = [
  // mains → voltage transformer
  {
    ref: 'J1',
    kind: 'connector',
    block: 'mains',
    value: 'mains, 230 V',
    maker: 'Phoenix Contact',
    number: '1935161',
    alternatives: ['any 5.08 mm terminal for 250 V, 2 poles'],
    pins: { L: 'L', N: 'N' },
  },
  {
    ref: 'F1',
    kind: 'fuse',
    block: 'mains',
    value: '100 mA T 250 V',
    maker: 'Littelfuse',
    number: '0218.100MXP',
    alternatives: ['any 5 × 20 mm 100 mA time lag, IEC 60127-2'],
    pins: between('L', 'L_SENSE'),
  },
  {
    ref: 'RV1',
    kind: 'varistor',
    block: 'mains',
    value: '300 VAC',
    maker: 'TDK',
    number: 'B72210S0301K101',
    alternatives: ['V10E300P', 'any S10K300'],
    pins: between('L_SENSE', 'N'),
  },
  {
    ref: 'R1',
    kind: 'resistor',
    block: 'voltage',
    value: '66.5 kΩ 350 V',
    si: 66500,
    tolerance: 0.001,
    perKelvin: 25e-6,
    maker: 'Vishay',
    number: 'MBB02070C6652BC100',
    alternatives: ['any 0.1 % metal film of 350 V and 0.6 W'],
    pins: between('L_SENSE', 'SENSE_MID'),
  },
  {
    ref: 'R2',
    kind: 'resistor',
    block: 'voltage',
    value: '68.1 kΩ 350 V',
    si: 68100,
    tolerance: 0.001,
    perKelvin: 25e-6,
    maker: 'Vishay',
    number: 'MBB02070C6812BC100',
    alternatives: ['any 0.1 % metal film of 350 V and 0.6 W'],
    pins: between('SENSE_MID', 'SENSE_P'),
  },
  {
    ref: 'T1',
    kind: 'transformer',
    block: 'voltage',
    value: 'ZMPT101B',
    maker: 'Qingxian Zeming',
    number: 'ZMPT101B',
    alternatives: ['ZMPT107-1 with R3 recalculated'],
    pins: { P1: 'SENSE_P', P2: 'N', S1: 'VT', S2: 'BIAS_V' },
  },
  {
    ref: 'R3',
    kind: 'resistor',
    block: 'voltage',
    value: '340 Ω 0.1 %',
    si: 340,
    ...precise,
    maker: 'Vishay',
    number: 'TNPW0805340RBEEN',
    alternatives: ['any 0.1 % 25 ppm 0805'],
    pins: between('VT', 'BIAS_V'),
  },
  // with R3 as large as R6 with R5: both channels' filters lag alike
  {
    ref: 'R4',
    kind: 'resistor',
    block: 'voltage',
    value: '681 Ω',
    si: 681,
    ...ordinary,
    maker: 'Yageo',
    number: 'RC0805FR-07681RL',
    alternatives: ['any 1 % 0805'],
    pins: between('VT', 'ADC_V'),
  },
  capacitor('C1', 'voltage', 33e-9, '33 nF C0G', 'ADC_V', 'GND', FILTER_CAP),
  {
    ref: 'D1',
    kind: 'dual diode',
    block: 'voltage',
    value: 'BAT54S',
    ...CLAMP_DIODES,
    pins: { 1: 'GND', 2: '3V3', 3: 'ADC_V' },
  },

  // clamp
  {
    ref: 'J2',
    kind: 'connector',
    block: 'current',
    value: 'clamp SCT013-000',
    maker: 'CUI Devices',
    number: 'SJ1-3533NG',
    alternatives: ['any 3.5 mm jack; screw terminal for clamps with bare wires'],
    pins: { T: 'CT', S: 'BIAS_I' },
  },
  {
    ref: 'D2',
    kind: 'suppressor',
    block: 'current',
    value: '6 V, both ways',
    maker: 'Littelfuse',
    number: 'SMAJ6.0CA',
    alternatives: ['SMBJ6.0CA'],
    pins: between('CT', 'BIAS_I'),
  },
  {
    ref: 'R5',
    kind: 'resistor',
    block: 'current',
    value: '22.1 Ω 0.1 %',
    si: 22.1,
    ...precise,
    maker: 'Vishay',
    number: 'TNPW120622R1BEEN',
    alternatives: ['any 0.1 % 25 ppm 1206'],
    pins: between('CT', 'BIAS_I'),
  },
  {
    ref: 'R6',
    kind: 'resistor',
    block: 'current',
    value: '1 kΩ',
    si: 1000,
    ...ordinary,
    ...YAGEO_1K,
    pins: between('CT', 'ADC_I'),
  },
  capacitor('C2', 'current', 33e-9, '33 nF C0G', 'ADC_I', 'GND', FILTER_CAP),
  {
    ref: 'D3',
    kind: 'dual diode',
    block: 'current',
    value: 'BAT54S',
    ...CLAMP_DIODES,
    pins: { 1: 'GND', 2: '3V3', 3: 'ADC_I' },
  },

  // bias, a buffer for each channel: a shared one would couple current into voltage
  {
    ref: 'R7',
    kind: 'resistor',
    block: 'bias',
    value: '15.4 kΩ 0.1 %',
    si: 15400,
    ...precise,
    maker: 'Vishay',
    number: 'TNPW080515K4BEEN',
    alternatives: ['any 0.1 % 25 ppm 0805'],
    pins: between('3V3', 'BIAS'),
  },
  {
    ref: 'R8',
    kind: 'resistor',
    block: 'bias',
    value: '10.0 kΩ 0.1 %',
    si: 10000,
    ...precise,
    maker: 'Vishay',
    number: 'TNPW080510K0BEEN',
    alternatives: ['any 0.1 % 25 ppm 0805'],
    pins: between('BIAS', 'GND'),
  },
  capacitor('C3', 'bias', 10e-6, '10 µF', 'BIAS', 'GND', TEN_MICRO),
  {
    ref: 'U1A',
    kind: 'amplifier',
    block: 'bias',
    value: 'MCP6002',
    ...AMPLIFIER,
    pins: { '+': 'BIAS', '-': 'BIAS_V', OUT: 'BIAS_V' },
  },
  {
    ref: 'U1B',
    kind: 'amplifier',
    block: 'bias',
    value: 'MCP6002',
    ...AMPLIFIER,
    pins: { '+': 'BIAS', '-': 'BIAS_I', OUT: 'BIAS_I' },
  },
  {
    ref: 'U1C',
    kind: 'circuit',
    block: 'bias',
    value: 'MCP6002 supply',
    ...AMPLIFIER,
    pins: { VDD: '3V3', VSS: 'GND' },
  },
  capacitor('C4', 'bias', 100e-9, '100 nF', '3V3', 'GND', HUNDRED_NANO),

  // controller
  {
    ref: 'U2',
    kind: 'circuit',
    block: 'controller',
    value: 'ESP32-WROOM-32E',
    maker: 'Espressif',
    number: 'ESP32-WROOM-32E-N4',
    alternatives: ['ESP32-DevKitC on two 19-pin headers'],
    pins: {
      IO34: 'ADC_V',
      IO35: 'ADC_I',
      '3V3': '3V3',
      GND: 'GND',
      EN: 'EN',
      IO16: 'GATEWAY_RX',
      IO17: 'GATEWAY_TX',
      IO26: 'MODEM_RX',
      IO25: 'MODEM_TX',
      IO27: 'RELAY',
      IO2: 'LED',
    },
  },
  {
    ref: 'R9',
    kind: 'resistor',
    block: 'controller',
    value: '10 kΩ',
    si: 10000,
    ...ordinary,
    ...YAGEO_10K,
    pins: between('3V3', 'EN'),
  },
  capacitor('C5', 'controller', 1e-6, '1 µF', 'EN', 'GND', {
    maker: 'Murata',
    number: 'GRM21BR71C105KA01L',
    alternatives: ['any 1 µF X7R 0805'],
  }),
  capacitor('C6', 'controller', 10e-6, '10 µF', '3V3', 'GND', TEN_MICRO),
  {
    ref: 'R10',
    kind: 'resistor',
    block: 'controller',
    value: '1 kΩ',
    si: 1000,
    ...ordinary,
    ...YAGEO_1K,
    pins: between('LED', 'LED_A'),
  },
  {
    ref: 'D4',
    kind: 'led',
    block: 'controller',
    value: 'red, 1 Wh',
    maker: 'Kingbright',
    number: 'WP710A10ID',
    alternatives: ['any red 3 mm LED'],
    pins: { A: 'LED_A', K: 'GND' },
  },

  // gateway
  {
    ref: 'U3',
    kind: 'circuit',
    block: 'gateway',
    value: 'ISO7721',
    ...ISOLATOR,
    pins: {
      VCC1: '3V3',
      GND1: 'GND',
      INA: 'GATEWAY_TX',
      OUTB: 'GATEWAY_RX',
      VCC2: '3V3_PI',
      GND2: 'GND_PI',
      OUTA: 'PI_RX',
      INB: 'PI_TX',
    },
  },
  capacitor('C7', 'gateway', 100e-9, '100 nF', '3V3_PI', 'GND_PI', HUNDRED_NANO),
  {
    ref: 'J3',
    kind: 'connector',
    block: 'gateway',
    value: 'Raspberry Pi, UART',
    maker: 'JST',
    number: 'B4B-XH-A',
    alternatives: ['any 4-pin header'],
    pins: { '3V3': '3V3_PI', RX: 'PI_RX', TX: 'PI_TX', GND: 'GND_PI' },
  },

  // power-line modem
  {
    ref: 'U4',
    kind: 'circuit',
    block: 'modem',
    value: 'ISO7721',
    ...ISOLATOR,
    pins: {
      VCC1: '3V3',
      GND1: 'GND',
      INA: 'MODEM_TX',
      OUTB: 'MODEM_RX',
      VCC2: '3V3_PLC',
      GND2: 'GND_PLC',
      OUTA: 'PLC_RX',
      INB: 'PLC_TX',
    },
  },
  capacitor('C8', 'modem', 100e-9, '100 nF', '3V3_PLC', 'GND_PLC', HUNDRED_NANO),
  {
    ref: 'J4',
    kind: 'connector',
    block: 'modem',
    value: 'G3-PLC modem, UART',
    maker: 'JST',
    number: 'B4B-XH-A',
    alternatives: ['any 4-pin header'],
    pins: { '3V3': '3V3_PLC', RX: 'PLC_RX', TX: 'PLC_TX', GND: 'GND_PLC' },
  },

  // relay
  {
    ref: 'R11',
    kind: 'resistor',
    block: 'relay',
    value: '100 Ω',
    si: 100,
    ...ordinary,
    maker: 'Yageo',
    number: 'RC0805FR-07100RL',
    alternatives: ['any 1 % 0805'],
    pins: between('RELAY', 'GATE'),
  },
  {
    ref: 'R12',
    kind: 'resistor',
    block: 'relay',
    value: '10 kΩ',
    si: 10000,
    ...ordinary,
    ...YAGEO_10K,
    pins: between('GATE', 'GND'),
  },
  {
    ref: 'Q1',
    kind: 'transistor',
    block: 'relay',
    value: '2N7002',
    maker: 'Nexperia',
    number: '2N7002,215',
    alternatives: ['BSS138LT1G'],
    pins: { G: 'GATE', D: 'COIL', S: 'GND' },
  },
  {
    ref: 'D5',
    kind: 'diode',
    block: 'relay',
    value: '1N4148W',
    maker: 'Diodes Inc.',
    number: '1N4148W-7-F',
    alternatives: ['any 1N4148 in SOD-123'],
    pins: { A: 'COIL', K: '5V' },
  },
  {
    ref: 'K1',
    kind: 'relay',
    block: 'relay',
    value: 'G5RL-1A-E 5 V',
    maker: 'Omron',
    number: 'G5RL-1A-E-DC5',
    alternatives: ['RT314005', 'a contactor behind it for more than 16 A'],
    pins: { A1: '5V', A2: 'COIL', COM: 'LOAD_IN', NO: 'LOAD_OUT' },
  },
  {
    ref: 'J5',
    kind: 'connector',
    block: 'relay',
    value: 'switched load, 16 A',
    maker: 'Phoenix Contact',
    number: '1714955',
    alternatives: ['any 7.62 mm terminal for 16 A, 2 poles'],
    pins: { 1: 'LOAD_IN', 2: 'LOAD_OUT' },
  },

  // supply
  {
    ref: 'F2',
    kind: 'fuse',
    block: 'supply',
    value: '500 mA T 250 V',
    maker: 'Littelfuse',
    number: '0218.500MXP',
    alternatives: ['any 5 × 20 mm 500 mA time lag, IEC 60127-2'],
    pins: between('L', 'L_SUPPLY'),
  },
  {
    ref: 'PS1',
    kind: 'circuit',
    block: 'supply',
    value: 'IRM-03-5',
    maker: 'Mean Well',
    number: 'IRM-03-5',
    alternatives: ['RAC03-05SK/277', 'a 5 V USB supply instead of F2 and PS1'],
    pins: { L: 'L_SUPPLY', N: 'N', '+V': '5V', '-V': 'GND' },
  },
  {
    ref: 'C9',
    kind: 'polarised capacitor',
    block: 'supply',
    value: '220 µF 10 V',
    si: 220e-6,
    tolerance: 0.2,
    maker: 'Panasonic',
    number: 'EEU-FR1A221',
    alternatives: ['any 220 µF 10 V'],
    pins: between('5V', 'GND'),
  },
  {
    ref: 'U5',
    kind: 'circuit',
    block: 'supply',
    value: 'AP2114H-3.3',
    maker: 'Diodes Inc.',
    number: 'AP2114H-3.3TRG1',
    alternatives: ['AMS1117-3.3'],
    pins: { VIN: '5V', GND: 'GND', VOUT: '3V3' },
  },
  capacitor('C10', 'supply', 10e-6, '10 µF', '3V3', 'GND', TEN_MICRO),
];

/** What touches the mains: never to be reached by a hand, nor by the meter's ground. */
export const MAINS_NETS = ['L', 'N', 'L_SENSE', 'SENSE_MID', 'SENSE_P', 'L_SUPPLY', 'LOAD_IN', 'LOAD_OUT'];
