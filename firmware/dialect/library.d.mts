export const library: {
  /** Names that exist. */
  globals: Set<string>;
  /** Of a global, the names that it has itself. */
  members: Map<string, Set<string>>;
  /** Of a global, the interface that declares it. */
  types: Map<string, string>;
  /** Of an interface, its names. */
  interfaces: Map<string, Set<string>>;
};
