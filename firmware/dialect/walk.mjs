// Walking an ESTree, as rollup's parser makes it.

/** Calls `enter(node, ancestors)` for every node, outermost first; `ancestors` ends with the parent. */
export function walk(root, enter) {
  const ancestors = [];
  const visit = (node) => {
    enter(node, ancestors);
    ancestors.push(node);
    for (const child of childrenOf(node)) visit(child);
    ancestors.pop();
  };
  visit(root);
}

/** The nodes directly below `node`, in the order of the source. */
export function childrenOf(node) {
  const children = [];
  for (const key in node) {
    if (key === 'parent') continue;
    const value = node[key];
    if (Array.isArray(value)) {
      for (const item of value) if (isNode(item)) children.push(item);
    } else if (isNode(value)) children.push(value);
  }
  return children.sort((a, b) => a.start - b.start);
}

const isNode = (value) => value !== null && typeof value === 'object' && typeof value.type === 'string';

export const isFunction = (node) =>
  node.type === 'FunctionDeclaration' || node.type === 'FunctionExpression' || node.type === 'ArrowFunctionExpression';

/** An identifier that reads or writes a variable, not one that is a property's name. */
export function isReference(node, ancestors) {
  if (node.type !== 'Identifier') return false;
  const parent = ancestors.at(-1);
  switch (parent?.type) {
    case 'MemberExpression':
      return parent.object === node || parent.computed;
    case 'Property':
      return parent.value === node || parent.computed;
    case 'MethodDefinition':
    case 'PropertyDefinition':
      return parent.computed && parent.key === node;
    case 'VariableDeclarator':
      return parent.init === node;
    case 'FunctionDeclaration':
    case 'FunctionExpression':
    case 'ArrowFunctionExpression':
      return parent.body === node;
    case 'ClassDeclaration':
    case 'ClassExpression':
      return parent.superClass === node;
    case 'CatchClause':
    case 'LabeledStatement':
    case 'BreakStatement':
    case 'ContinueStatement':
      return false;
    default:
      return true;
  }
}
