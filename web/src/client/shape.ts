import { ShapeError } from './errors';
import type { Hex } from './types';

/** Reads a value of unknown shape as `T`, or throws `ShapeError` with the path at which it is not one. */
export type Shape<T> = (value: unknown, path: string) => T;

type Fields = Record<string, Shape<unknown>>;
type Read<F extends Fields> = { readonly [K in keyof F]: F[K] extends Shape<infer T> ? T : never };

export const text: Shape<string> = (value, path) =>
  typeof value === 'string' ? value : refuse('a text', path);

export const truth: Shape<boolean> = (value, path) =>
  typeof value === 'boolean' ? value : refuse('true or false', path);

export const number: Shape<number> = (value, path) =>
  typeof value === 'number' && Number.isFinite(value) ? value : refuse('a number', path);

/** An integer from 0 to 2^53 - 1. */
export const count: Shape<number> = (value, path) =>
  Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : refuse('a whole number', path);

/** A decimal string of wei. */
export const wei: Shape<bigint> = (value, path) =>
  typeof value === 'string' && /^[0-9]{1,39}$/.test(value) ? BigInt(value) : refuse('an amount of wei', path);

/** 0x-hex of exactly so many bytes, as lower case. */
export const hex =
  (bytes: number): Shape<Hex> =>
  (value, path) => {
    if (typeof value !== 'string' || value.length !== 2 + 2 * bytes || !/^0x[0-9a-fA-F]*$/.test(value)) {
      return refuse(`0x-hex of ${bytes} bytes`, path);
    }
    return `0x${value.slice(2).toLowerCase()}`;
  };

export const oneOf =
  <const T extends string>(choices: readonly T[]): Shape<T> =>
  (value, path) =>
    choices.find((choice) => choice === value) ?? refuse(`one of ${choices.join(', ')}`, path);

export const list =
  <T>(item: Shape<T>): Shape<readonly T[]> =>
  (value, path) =>
    Array.isArray(value) ? value.map((one: unknown, index) => item(one, `${path}[${index}]`)) : refuse('a list', path);

export const nullable =
  <T>(shape: Shape<T>): Shape<T | null> =>
  (value, path) =>
    value === null || value === undefined ? null : shape(value, path);

export const optional =
  <T>(shape: Shape<T>): Shape<T | undefined> =>
  (value, path) =>
    value === undefined ? undefined : shape(value, path);

export const withDefault =
  <T>(shape: Shape<T>, absent: T): Shape<T> =>
  (value, path) =>
    value === undefined ? absent : shape(value, path);

/** An object with these fields. Others are dropped: a newer gateway may send more. */
export const object =
  <F extends Fields>(fields: F): Shape<Read<F>> =>
  (value, path) => {
    if (typeof value !== 'object' || value === null) return refuse('an object', path);
    const source = value as Readonly<Record<string, unknown>>;
    const entries = Object.entries(fields).map(([name, shape]) => [name, shape(source[name], `${path}.${name}`)] as const);
    return Object.fromEntries(entries) as Read<F>;
  };

/** Reads JSON text. */
export function parseJson<T>(source: string, shape: Shape<T>, what: string): T {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    throw new ShapeError(`${what} is not JSON`);
  }
  return shape(value, what);
}

function refuse(expected: string, path: string): never {
  throw new ShapeError(`${path}: expected ${expected}`);
}
