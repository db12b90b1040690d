/**
 * The one fixed tree of areas that tasks address (protocols.md, section 2). Its leaves are the areas of readings, each with at least k
 * households; every task is for whole leaves, so no difference of tasks is smaller than a leaf. The grid operator, which knows where
 * households are, counts and signs them for a month.
 *
 *   tree, big-endian            node
 *     1    version = 1            1+n  name
 *     4    month                  2    parent's place in the list; its own for the root
 *     2    k                      1    leaf: 1
 *     2    n                      4×4  households of each audience, in a leaf (AUDIENCES); zero elsewhere
 *     …    nodes, parents first
 *     64   signature, Ed25519 by the grid operator over label ‖ 00 ‖ everything before
 */
import { ED25519_SIGNATURE_BYTES, verifyEd25519 } from '../crypto/ed25519.ts';
import { LABELS, labelled } from '../crypto/labels.ts';
import { AREA_PATTERN } from '../readings/area.ts';
import { ByteReader, ByteWriter } from '../wire/bytes.ts';

const VERSION = 1;

/** Whom a task asks: all households of its area, or those that have such a device. */
export const AUDIENCES = ['all', 'producers', 'storage', 'chargers'] as const;
export type Audience = (typeof AUDIENCES)[number];
export type Counts = Record<Audience, number>;

export interface AreaNode {
  name: string;
  /** Null: the root. */
  parent: string | null;
  /** Of a leaf; null elsewhere. */
  households: Counts | null;
}
export interface AreaTreeData {
  month: number;
  /** k. */
  least: number;
  nodes: readonly AreaNode[];
}

export class AreaTree {
  readonly month: number;
  readonly least: number;
  readonly nodes: readonly AreaNode[];
  readonly #byName: Map<string, AreaNode>;

  /** @throws RangeError where it is no tree, or a leaf has fewer than k households */
  constructor({ month, least, nodes }: AreaTreeData) {
    this.#byName = new Map();
    for (const [i, node] of nodes.entries()) {
      const path = `tree.nodes[${i}]`;
      if (this.#byName.has(node.name)) throw new RangeError(`${path}.name: stands there twice`);
      if ((node.parent === null) !== (i === 0)) throw new RangeError(`${path}.parent: the first node is the root`);
      const parent = node.parent === null ? undefined : this.#byName.get(node.parent);
      if (i > 0 && (!parent || parent.households)) throw new RangeError(`${path}.parent: is no area before it`);
      if (node.households) {
        const { all, ...others } = node.households;
        if (all < least) throw new RangeError(`${path}.households: are ${all}, fewer than ${least}`);
        for (const [name, count] of Object.entries(others))
          if (count > all) throw new RangeError(`${path}.households.${name}: are more than all`);
      }
      this.#byName.set(node.name, node);
    }
    if (nodes.length === 0) throw new RangeError('tree.nodes: are none');
    [this.month, this.least, this.nodes] = [month, least, nodes];
    for (const node of nodes)
      if (!node.households && !nodes.some(({ parent }) => parent === node.name))
        throw new RangeError(`tree.nodes.${node.name}: has neither households nor parts`);
  }

  get root(): AreaNode {
    return this.nodes[0];
  }
  node(name: string): AreaNode | undefined {
    return this.#byName.get(name);
  }
  /** The leaves in an area. @throws RangeError where there is no such area */
  leavesOf(name: string): AreaNode[] {
    const node = this.#byName.get(name);
    if (!node) throw new RangeError(`area: there is no ${name}`);
    if (node.households) return [node];
    return this.nodes.filter(({ parent }) => parent === name).flatMap((child) => this.leavesOf(child.name));
  }
  /** Whether `leaf` lies in `area`, or is it. */
  contains(area: string, leaf: string): boolean {
    for (let at = this.#byName.get(leaf); at; at = at.parent === null ? undefined : this.#byName.get(at.parent))
      if (at.name === area) return true;
    return false;
  }
}

/** The grid operator's step. @throws MalformedError */
export function publishAreaTree(tree: AreaTree, sign: (message: Uint8Array) => Uint8Array): Uint8Array {
  const writer = new ByteWriter('tree')
    .u8('version', VERSION)
    .u32('month', tree.month)
    .u16('least', tree.least)
    .u16('nodes', tree.nodes.length);
  for (const [i, { name, parent, households }] of tree.nodes.entries()) {
    writer.text(`nodes[${i}].name`, name, AREA_PATTERN);
    writer.u16(`nodes[${i}].parent`, parent === null ? i : tree.nodes.findIndex((other) => other.name === parent));
    writer.u8(`nodes[${i}].leaf`, households ? 1 : 0);
    for (const audience of AUDIENCES)
      writer.u32(`nodes[${i}].households.${audience}`, households ? households[audience] : 0);
  }
  const body = writer.finish();
  return Buffer.concat([body, sign(labelled(LABELS.areaTree, body))]);
}

/** @param operatorKey Ed25519, 32 B @throws MalformedError, RangeError */
export function openAreaTree(bytes: Uint8Array, operatorKey: Uint8Array): AreaTree {
  const reader = new ByteReader('tree', bytes);
  reader.constant('version', VERSION);
  const head = { month: reader.u32('month'), least: reader.u16('least') };
  const count = reader.u16('nodes');
  const nodes: AreaNode[] = [];
  for (let i = 0; i < count; i++) {
    const name = reader.text(`nodes[${i}].name`, AREA_PATTERN);
    const parent = reader.u16(`nodes[${i}].parent`);
    if (parent > i) throw reader.error(`nodes[${i}].parent`, 'comes after it');
    const leaf = reader.u8(`nodes[${i}].leaf`);
    if (leaf > 1) throw reader.error(`nodes[${i}].leaf`, `is ${leaf}`);
    const counts = AUDIENCES.map((audience) => [audience, reader.u32(`nodes[${i}].households.${audience}`)] as const);
    const households = leaf === 1 ? (Object.fromEntries(counts) as Counts) : null;
    nodes.push({ name, parent: parent === i ? null : nodes[parent].name, households });
  }
  const message = labelled(LABELS.areaTree, bytes.subarray(0, reader.at));
  const signature = reader.bytes('signature', ED25519_SIGNATURE_BYTES);
  if (!verifyEd25519(operatorKey, message, signature))
    throw reader.error('signature', 'was not made by the grid operator');
  reader.end();
  return new AreaTree({ ...head, nodes });
}
