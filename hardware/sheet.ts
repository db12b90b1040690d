/**
 * Where the parts of hardware/circuit.ts stand on the drawing, and the lines between them. Units of the drawing, right and
 * down. Nothing electrical is said here: a test takes the connections from the lines and flags and compares them with the
 * circuit's nets.
 */

/** A pin such as `R1.2`, or a point of the sheet. */
export type Anchor = string | [x: number, y: number];

export interface Placement {
  x: number;
  y: number;
  /** Degrees clockwise. Two-pole symbols lie: pin 1 (or A) left. */
  turn?: 0 | 90 | 180 | 270;
  /** Symbols that are boxes: pins from the top, with the distance from the one before. */
  left?: string[];
  right?: string[];
  width?: number;
  /** Distance of a box's pins; 20. */
  pitch?: number;
  /** Where the text stands. */
  text?: 'above' | 'right' | 'left' | 'below';
}

export interface Flag {
  at: Anchor;
  net: string;
  /** A ground or supply symbol, or a name at the end of a line that points there. */
  style: 'ground' | 'supply' | 'left' | 'right' | 'up';
}

export interface Area {
  title: string;
  x: number;
  y: number;
  width: number;
  height: number;
  /** Drawn in red: at the mains' potential. */
  live?: boolean;
}

export const SHEET = { width: 1500, height: 980, title: 'quietmeter: the meter’s board' };

export const areas: Area[] = [
  { title: 'Mains: dangerous to touch', x: 30, y: 50, width: 420, height: 250, live: true },
  { title: 'Voltage: 2 mA : 2 mA transformer, burden, filter', x: 460, y: 50, width: 330, height: 250 },
  { title: 'Current: clamp, burden, filter', x: 30, y: 320, width: 760, height: 250 },
  { title: 'Bias, 1.30 V, buffered for each channel', x: 30, y: 590, width: 760, height: 220 },
  { title: 'Controller', x: 810, y: 50, width: 660, height: 250 },
  { title: 'Gateway: isolated serial line', x: 810, y: 320, width: 325, height: 250 },
  { title: 'Power-line modem: isolated', x: 1145, y: 320, width: 325, height: 250 },
  { title: 'Relay: a switched load, up to 16 A', x: 810, y: 590, width: 660, height: 220 },
  { title: 'Supply', x: 30, y: 830, width: 1440, height: 130 },
];

export const placements: Record<string, Placement> = {
  J1: { x: 80, y: 120, right: ['L', 'N'], width: 40, pitch: 120 },
  F1: { x: 160, y: 120 },
  RV1: { x: 220, y: 180, turn: 90, text: 'right' },
  R1: { x: 290, y: 120 },
  R2: { x: 370, y: 120 },
  T1: { x: 450, y: 180, text: 'below' },
  R3: { x: 530, y: 180, turn: 90, text: 'right' },
  R4: { x: 590, y: 120 },
  C1: { x: 640, y: 180, turn: 90, text: 'right' },
  D1: { x: 720, y: 130, text: 'right' },

  J2: { x: 90, y: 390, right: ['T', 'S'], width: 40, pitch: 120 },
  D2: { x: 200, y: 450, turn: 90, text: 'right' },
  R5: { x: 310, y: 450, turn: 90, text: 'right' },
  R6: { x: 450, y: 390 },
  C2: { x: 520, y: 450, turn: 90, text: 'right' },
  D3: { x: 640, y: 400, text: 'right' },

  R7: { x: 100, y: 660, turn: 90, text: 'right' },
  R8: { x: 100, y: 740, turn: 90, text: 'right' },
  C3: { x: 200, y: 740, turn: 90, text: 'right' },
  U1A: { x: 290, y: 680, text: 'below' },
  U1B: { x: 500, y: 680, text: 'below' },
  U1C: { x: 680, y: 660, left: ['VDD', 'VSS'], width: 60, pitch: 80 },
  C4: { x: 740, y: 700, turn: 90, text: 'right' },

  U2: {
    x: 1140,
    y: 110,
    left: ['3V3', 'EN', 'IO34', 'IO35', 'GND'],
    right: ['IO16', 'IO17', 'IO26', 'IO25', 'IO27', 'IO2'],
    width: 140,
    pitch: 30,
  },
  R9: { x: 860, y: 140, turn: 90, text: 'right' },
  C5: { x: 860, y: 220, turn: 90, text: 'right' },
  C6: { x: 960, y: 180, turn: 90, text: 'right' },
  R10: { x: 1300, y: 260 },
  D4: { x: 1390, y: 260 },

  U3: {
    x: 935,
    y: 380,
    left: ['VCC1', 'INA', 'OUTB', 'GND1'],
    right: ['VCC2', 'OUTA', 'INB', 'GND2'],
    width: 80,
    pitch: 30,
  },
  J3: { x: 1090, y: 380, left: ['3V3', 'RX', 'TX', 'GND'], width: 40, pitch: 30 },
  C7: { x: 1000, y: 520 },
  U4: {
    x: 1265,
    y: 380,
    left: ['VCC1', 'INA', 'OUTB', 'GND1'],
    right: ['VCC2', 'OUTA', 'INB', 'GND2'],
    width: 80,
    pitch: 30,
  },
  J4: { x: 1410, y: 380, left: ['3V3', 'RX', 'TX', 'GND'], width: 40, pitch: 30 },
  C8: { x: 1340, y: 520 },

  R11: { x: 920, y: 720 },
  R12: { x: 980, y: 755, turn: 90, text: 'left' },
  Q1: { x: 1060, y: 720, text: 'right' },
  D5: { x: 1060, y: 660, turn: 270, text: 'left' },
  K1: { x: 1160, y: 660 },
  J5: { x: 1330, y: 650, left: ['1', '2'], width: 40, pitch: 20 },

  F2: { x: 140, y: 890 },
  PS1: { x: 300, y: 890, left: ['L', 'N'], right: ['+V', '-V'], width: 100, pitch: 30 },
  C9: { x: 460, y: 910, turn: 90, text: 'right' },
  U5: { x: 660, y: 890, left: ['VIN', 'GND'], right: ['VOUT'], width: 100, pitch: 30 },
  C10: { x: 820, y: 910, turn: 90, text: 'right' },
};

export const wires: Anchor[][] = [
  ['J1.L', 'F1.1'],
  ['F1.2', 'R1.1'],
  [[220, 120], 'RV1.1'],
  ['R1.2', 'R2.1'],
  ['R2.2', [420, 120], 'T1.P1'],
  ['J1.N', [420, 240], 'T1.P2'],
  ['RV1.2', [220, 240]],
  ['T1.S1', [480, 120], 'R4.1'],
  [[530, 120], 'R3.1'],
  ['T1.S2', [480, 240], [530, 240], [560, 240]],
  ['R3.2', [530, 240]],
  ['R4.2', [640, 120], 'D1.3'],
  [[640, 120], 'C1.1'],
  [
    [640, 120],
    [640, 95],
  ],

  ['J2.T', [200, 390], [310, 390], 'R6.1'],
  [[200, 390], 'D2.1'],
  [[310, 390], 'R5.1'],
  ['J2.S', [200, 510], [310, 510], [380, 510]],
  ['D2.2', [200, 510]],
  ['R5.2', [310, 510]],
  ['R6.2', [520, 390], 'D3.3'],
  [[520, 390], 'C2.1'],
  [
    [520, 390],
    [520, 365],
  ],

  ['R7.2', [100, 700], 'R8.1'],
  [[100, 700], [200, 700], [210, 700], [210, 660], 'U1A.+'],
  [[200, 700], 'C3.1'],
  [[210, 660], [210, 620], [420, 620], [420, 660], 'U1B.+'],
  ['U1A.OUT', [350, 680], [370, 680]],
  [[350, 680], [350, 730], [230, 730], [230, 700], 'U1A.-'],
  ['U1B.OUT', [560, 680], [580, 680]],
  [[560, 680], [560, 730], [440, 730], [440, 700], 'U1B.-'],

  ['R9.2', [860, 180], 'C5.1'],
  [
    [860, 180],
    [880, 180],
  ],
  ['U2.IO2', 'R10.1'],
  ['R10.2', 'D4.A'],

  ['U3.VCC2', 'J3.3V3'],
  ['U3.OUTA', 'J3.RX'],
  ['U3.INB', 'J3.TX'],
  ['U3.GND2', 'J3.GND'],
  ['U4.VCC2', 'J4.3V3'],
  ['U4.OUTA', 'J4.RX'],
  ['U4.INB', 'J4.TX'],
  ['U4.GND2', 'J4.GND'],

  ['R11.2', [980, 720], 'Q1.G'],
  [[980, 720], 'R12.1'],
  ['Q1.D', 'D5.A'],
  [[1060, 690], 'K1.A2'],
  ['D5.K', [1060, 630], 'K1.A1'],
  ['K1.COM', 'J5.1'],
  ['K1.NO', 'J5.2'],

  ['F2.2', 'PS1.L'],
  ['PS1.+V', [460, 890], 'U5.VIN'],
  [[460, 890], 'C9.1'],
  ['U5.VOUT', [820, 890], [860, 890]],
  [[820, 890], 'C10.1'],
];

const ground = (at: Anchor): Flag => ({ at, net: 'GND', style: 'ground' });
const supply = (at: Anchor, net = '3V3'): Flag => ({ at, net, style: 'supply' });
const name = (at: Anchor, net: string, style: Flag['style']): Flag => ({ at, net, style });

export const flags: Flag[] = [
  ground('C1.2'),
  ground('D1.1'),
  supply('D1.2'),
  name([560, 240], 'BIAS_V', 'right'),
  name([640, 95], 'ADC_V', 'up'),
  ground('C2.2'),
  ground('D3.1'),
  supply('D3.2'),
  name([380, 510], 'BIAS_I', 'right'),
  name([520, 365], 'ADC_I', 'up'),
  supply('R7.1'),
  ground('R8.2'),
  ground('C3.2'),
  name([370, 680], 'BIAS_V', 'right'),
  name([580, 680], 'BIAS_I', 'right'),
  supply('U1C.VDD'),
  ground('U1C.VSS'),
  supply('C4.1'),
  ground('C4.2'),
  supply('R9.1'),
  name([880, 180], 'EN', 'right'),
  ground('C5.2'),
  supply('C6.1'),
  ground('C6.2'),
  supply('U2.3V3'),
  name('U2.EN', 'EN', 'left'),
  name('U2.IO34', 'ADC_V', 'left'),
  name('U2.IO35', 'ADC_I', 'left'),
  ground('U2.GND'),
  name('U2.IO16', 'GATEWAY_RX', 'right'),
  name('U2.IO17', 'GATEWAY_TX', 'right'),
  name('U2.IO26', 'MODEM_RX', 'right'),
  name('U2.IO25', 'MODEM_TX', 'right'),
  name('U2.IO27', 'RELAY', 'right'),
  ground('D4.K'),
  supply('U3.VCC1'),
  name('U3.INA', 'GATEWAY_TX', 'left'),
  name('U3.OUTB', 'GATEWAY_RX', 'left'),
  ground('U3.GND1'),
  name('C7.1', '3V3_PI', 'left'),
  name('C7.2', 'GND_PI', 'right'),
  name([1040, 380], '3V3_PI', 'up'),
  name([1040, 470], 'GND_PI', 'up'),
  supply('U4.VCC1'),
  name('U4.INA', 'MODEM_TX', 'left'),
  name('U4.OUTB', 'MODEM_RX', 'left'),
  ground('U4.GND1'),
  name('C8.1', '3V3_PLC', 'left'),
  name('C8.2', 'GND_PLC', 'right'),
  name([1365, 380], '3V3_PLC', 'up'),
  name([1365, 470], 'GND_PLC', 'up'),
  name('R11.1', 'RELAY', 'left'),
  ground('R12.2'),
  ground('Q1.S'),
  supply([1060, 630], '5V'),
  name('F2.1', 'L', 'left'),
  name('J1.L', 'L', 'up'),
  name('J1.N', 'N', 'up'),
  name('PS1.N', 'N', 'left'),
  supply([460, 890], '5V'),
  ground('PS1.-V'),
  ground('C9.2'),
  ground('U5.GND'),
  supply([860, 890]),
  ground('C10.2'),
];
