import { readFile } from 'node:fs/promises';
import test from 'ava';
import { circuitDocuments } from '../../../bench/hardware/documents.ts';
import { drawnNets } from '../../../bench/hardware/draw.ts';
import { kicadNetlist, netsOf } from '../../../bench/hardware/netlist.ts';
import { MAINS_NETS, type Part, parts } from '../../../hardware/circuit.ts';
import { BIAS_V, BURDEN_OHM, PIN_V_PER_V } from '../../../hardware/front-end.ts';
import { PIN_CURRENT, PIN_LED, PIN_RELAY, PIN_VOLTAGE, UART_GATEWAY, UART_MODEM } from '../../../hardware/pins.ts';
import { placements, SHEET } from '../../../hardware/sheet.ts';

const part = (ref: string): Part => parts.find((p) => p.ref === ref)!;

test('the drawing connects what the circuit connects, and nothing else', (t) => {
  const sorted = (nets: Iterable<string[]>): string[] => [...nets].map((pins) => [...pins].sort().join(' ')).sort();
  t.deepEqual(sorted(drawnNets()), sorted(netsOf(parts).values()));
});

test('every part is on the sheet once, and inside it', (t) => {
  t.deepEqual(Object.keys(placements).sort(), parts.map(({ ref }) => ref).sort());
  for (const { x, y } of Object.values(placements)) t.true(x > 0 && x < SHEET.width && y > 0 && y < SHEET.height);
});

test('only parts made for it stand between the mains and the meter', (t) => {
  const across = parts.filter(({ pins }) => {
    const live = Object.values(pins).map((net) => MAINS_NETS.includes(net));
    return live.includes(true) && live.includes(false);
  });
  t.deepEqual(across.map(({ ref }) => ref).sort(), ['K1', 'PS1', 'T1']);
});

test('the two serial lines leave the meter through isolators only', (t) => {
  for (const suffix of ['_PI', '_PLC']) {
    const touching = parts.filter(({ pins }) => Object.values(pins).some((net) => net.endsWith(suffix)));
    const own = touching.filter(({ pins }) => Object.values(pins).includes('GND'));
    t.deepEqual(
      own.map(({ value }) => value),
      ['ISO7721'],
    );
  }
});

test('the controller’s pins are those that the firmware reads and switches', (t) => {
  const { pins } = part('U2');
  t.is(pins[`IO${PIN_VOLTAGE}`], 'ADC_V');
  t.is(pins[`IO${PIN_CURRENT}`], 'ADC_I');
  t.is(pins[`IO${PIN_RELAY}`], 'RELAY');
  t.is(pins[`IO${PIN_LED}`], 'LED');
  t.is(pins[`IO${UART_GATEWAY.rx}`], 'GATEWAY_RX');
  t.is(pins[`IO${UART_GATEWAY.tx}`], 'GATEWAY_TX');
  t.is(pins[`IO${UART_MODEM.rx}`], 'MODEM_RX');
  t.is(pins[`IO${UART_MODEM.tx}`], 'MODEM_TX');
});

test('the circuit’s values make the gains that firmware and bench count with', (t) => {
  const si = (ref: string): number => part(ref).si!;
  t.is(si('R5'), BURDEN_OHM);
  const gain = si('R3') / (si('R1') + si('R2'));
  t.true(Math.abs(gain / PIN_V_PER_V - 1) < 1e-3, `${gain}`);
  t.true(Math.abs((3.3 * si('R8')) / (si('R7') + si('R8')) - BIAS_V) < 0.005);
  t.true(Math.abs((si('R3') + si('R4')) / (si('R5') + si('R6')) - 1) < 0.002, 'both filters alike');
});

test('no resistor sees more volts or watts than it is made for', (t) => {
  const most = 253 * Math.SQRT2;
  for (const ref of ['R1', 'R2']) {
    const { si } = part(ref);
    const share = si! / (part('R1').si! + part('R2').si!);
    t.true(most * share < 350, `${ref}: volts`);
    t.true((253 * share) ** 2 / si! < 0.6, `${ref}: watts`);
  }
  t.true((100 / 2000) ** 2 * part('R5').si! < 0.25, 'R5 at the clamp’s 100 A');
});

test('the netlist has every connected pin once', (t) => {
  const nodes = [...kicadNetlist().matchAll(/\(node \(ref "([^"]+)"\) \(pin "([^"]+)"\)\)/g)].map(
    ([, r, p]) => `${r}.${p}`,
  );
  t.is(new Set(nodes).size, nodes.length);
  t.is(nodes.length, parts.flatMap(({ pins }) => Object.values(pins)).filter((net) => net !== '').length);
  t.is(kicadNetlist().split('(').length, kicadNetlist().split(')').length);
});

test('what is made from the circuit is up to date (scripts/hardware makes it)', async (t) => {
  for (const [path, text] of Object.entries(circuitDocuments())) {
    t.is(await readFile(new URL(`../../../${path}`, import.meta.url), 'utf8'), text, path);
  }
});

test('every part can be ordered', (t) => {
  for (const { ref, maker, number, alternatives } of parts) {
    t.true(maker !== '' && number !== '' && alternatives.length > 0, ref);
  }
});
