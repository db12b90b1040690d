/** hardware/circuit.ts → a netlist that KiCad's board editor reads (File → Import → Netlist), and the bill of materials. */
import { type Part, parts } from '../../hardware/circuit.ts';

/** Every pin that is connected, by net: `{net: ['R1.1', …]}`, in the order of the parts. */
export function netsOf(list: readonly Part[]): Map<string, string[]> {
  const nets = new Map<string, string[]>();
  for (const { ref, pins } of list) {
    for (const [pin, net] of Object.entries(pins)) {
      if (net === '') continue;
      nets.set(net, [...(nets.get(net) ?? []), `${ref}.${pin}`]);
    }
  }
  return nets;
}

/** Two halves of one package are one component. */
const package_ = (ref: string): string => ref.replace(/[A-Z]$/, '');
/** Package pins of U1's halves: the drawing names them by what they do. */
const MCP6002_PINS: Record<string, string> = {
  'U1A.+': '3',
  'U1A.-': '2',
  'U1A.OUT': '1',
  'U1B.+': '5',
  'U1B.-': '6',
  'U1B.OUT': '7',
  'U1C.VDD': '8',
  'U1C.VSS': '4',
};
const quoted = (text: string): string => `"${text.replaceAll('"', "'")}"`;

/** KiCad's s-expression netlist, version E. */
export function kicadNetlist(): string {
  const components = new Map<string, Part>();
  for (const part of parts) if (!components.has(package_(part.ref))) components.set(package_(part.ref), part);
  const lines = ['(export (version "E")', '  (design (tool "quietmeter"))', '  (components'];
  for (const [ref, { value, maker, number }] of components) {
    lines.push(
      `    (comp (ref ${quoted(ref)}) (value ${quoted(value)})`,
      `      (fields (field (name "Manufacturer") ${quoted(maker)}) (field (name "MPN") ${quoted(number)})))`,
    );
  }
  lines[lines.length - 1] += ')';
  lines.push('  (nets');
  let code = 0;
  for (const [net, pins] of netsOf(parts)) {
    lines.push(`    (net (code "${++code}") (name ${quoted(net)})`);
    for (const pin of pins) {
      const [ref, name] = pin.split('.');
      lines.push(`      (node (ref ${quoted(package_(ref))}) (pin ${quoted(MCP6002_PINS[pin] ?? name)}))`);
    }
    lines[lines.length - 1] += ')';
  }
  lines[lines.length - 1] += '))';
  return `${lines.join('\n')}\n`;
}

/** One line per order number: CSV after RFC 4180. */
export function billOfMaterials(): string {
  const rows = new Map<string, { part: Part; refs: string[] }>();
  for (const part of parts) {
    const row = rows.get(part.number) ?? { part, refs: [] };
    const ref = package_(part.ref);
    if (!row.refs.includes(ref)) row.refs.push(ref);
    rows.set(part.number, row);
  }
  const cell = (text: string): string => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = [['count', 'references', 'value', 'maker', 'number', 'alternatives']];
  for (const { part, refs } of rows.values()) {
    const value = part.value.replace(' supply', '');
    lines.push([`${refs.length}`, refs.join(' '), value, part.maker, part.number, part.alternatives.join('; ')]);
  }
  return `${lines.map((line) => line.map(cell).join(',')).join('\r\n')}\r\n`;
}
