// Makes mutants of a Solidity source from its syntax tree: each changes one thing that a tired author could get wrong.
// slither-mutate has most of these operators, but splits lines at operator characters, so that it misses every line
// with two of them, knows no literals inside expressions, and cannot read a build with two compiler profiles.

const BINARY = {
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*', '%'],
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<'],
  '>=': ['>', '<='],
  '==': ['!='],
  '!=': ['=='],
  '&&': ['||'],
  '||': ['&&'],
  '&': ['|'],
  '|': ['&'],
  '<<': ['>>'],
  '>>': ['<<'],
};
const KEEPS_AN_OPERAND = new Set(['+', '-', '*', '/', '&&', '||', '&', '|', '<<', '>>']);
const ASSIGNMENT = { '+=': ['-=', '='], '-=': ['+=', '='], '|=': ['&=', '='], '&=': ['|=', '='] };
const UNARY = { '!': '', '~': '', '-': '', '++': '--', '--': '++' };
const MEMBERS = { 'msg.sender': 'tx.origin', 'block.timestamp': 'block.number', 'msg.value': '0' };

/** All mutants of `source` as `{operator, start, end, text}`, in bytes of the source and in its order. */
export function mutantsOf(source, tree) {
  const bytes = Buffer.from(source);
  const found = new Map();
  const spanOf = (node) => {
    const [start, length] = node.src.split(':').map(Number);
    return [start, start + length];
  };
  const textOf = (node) => bytes.subarray(...spanOf(node)).toString();
  const add = (operator, [start, end], text) => {
    if (bytes.subarray(start, end).toString() !== text) found.set(`${start}:${end}:${text}`, { operator, start, end, text });
  };
  const between = (left, right) => [spanOf(left)[1], spanOf(right)[0]];

  const operators = {
    BinaryOperation(node) {
      const gap = between(node.leftExpression, node.rightExpression);
      const text = bytes.subarray(...gap).toString();
      for (const other of BINARY[node.operator] ?? []) add('operator', gap, text.replace(node.operator, other));
      if (!KEEPS_AN_OPERAND.has(node.operator)) return;
      for (const operand of [node.leftExpression, node.rightExpression]) add('operand', spanOf(node), textOf(operand));
    },
    Assignment(node) {
      const gap = between(node.leftHandSide, node.rightHandSide);
      const text = bytes.subarray(...gap).toString();
      for (const other of ASSIGNMENT[node.operator] ?? []) add('assignment', gap, text.replace(node.operator, other));
    },
    UnaryOperation(node) {
      if (node.operator in UNARY) add('unary', spanOf(node), textOf(node).replace(node.operator, UNARY[node.operator]));
    },
    Conditional: condition,
    IfStatement: condition,
    WhileStatement: condition,
    Literal(node) {
      if (node.kind === 'string') return add('literal', spanOf(node), '"mutant"');
      if (node.kind !== 'number') return;
      const unit = node.subdenomination ? ` ${node.subdenomination}` : '';
      const value = BigInt(node.value);
      add('literal', spanOf(node), `${value + 1n}${unit}`);
      if (value > 0n) add('literal', spanOf(node), `${value - 1n}${unit}`);
    },
    MemberAccess(node) {
      const other = MEMBERS[textOf(node)];
      if (other) add('member', spanOf(node), other);
    },
    FunctionCall(node) {
      // Named arguments may stand in any order.
      if (node.names.length !== 0) return;
      node.arguments.slice(1).forEach((right, index) => {
        const left = node.arguments[index];
        add('swap', [spanOf(left)[0], spanOf(right)[1]], textOf(right) + bytes.subarray(...between(left, right)) + textOf(left));
      });
    },
    // Their spans differ in whether they hold the semicolon, which may stay.
    ExpressionStatement: (node) => add('delete', spanOf(node), textOf(node).endsWith(';') ? '{}' : '0'),
    EmitStatement: (node) => add('delete', spanOf(node), textOf(node).endsWith(';') ? '{}' : '0'),
    Return: (node) => node.expression && add('delete', spanOf(node), textOf(node).endsWith(';') ? '{}' : '0'),
    VariableDeclarationStatement(node) {
      if (!node.initialValue || node.declarations.length !== 1) return;
      add('no initial value', [spanOf(node.declarations[0])[1], spanOf(node.initialValue)[1]], '');
    },
  };
  function condition(node) {
    for (const value of ['true', 'false']) add('condition', spanOf(node.condition), value);
  }

  (function walk(node) {
    if (Array.isArray(node)) return node.forEach(walk);
    if (node === null || typeof node !== 'object') return;
    operators[node.nodeType]?.(node);
    Object.values(node).forEach(walk);
  })(tree.nodes.filter((node) => node.nodeType === 'ContractDefinition'));
  return [...found.values()].sort((a, b) => a.start - b.start || a.end - b.end);
}

/** The source with the mutant in its place. */
export function mutate(source, { start, end, text }) {
  const bytes = Buffer.from(source);
  return Buffer.concat([bytes.subarray(0, start), Buffer.from(text), bytes.subarray(end)]).toString();
}
