// What a page of units looks like: a line for each, which begins with the unit's id.
import type { Unit } from '../counting/unit.ts'
import { type PackedUnit, packUnit, unpackUnit } from '../counting/unit-codec.ts'
import type { UnitId } from '../events/event.ts'
import { hashOf, isInUpperHalf } from './page-directory.ts'

/** 16 bytes in base64. */
const ID_LENGTH = 24

/** What the line of a unit begins with. */
export function keyOf(id: UnitId): string {
  return btoa(id)
}

/** What a line begins with. */
export function keyOfLine(line: string): string {
  return line.slice(0, ID_LENGTH)
}

export function idOfLine(line: string): UnitId {
  return atob(keyOfLine(line))
}

export function toLine(unit: Unit): string {
  return keyOf(unit.id) + JSON.stringify(packUnit(unit))
}

export function fromLine(line: string): Unit {
  const packed: PackedUnit = JSON.parse(line.slice(ID_LENGTH))
  return unpackUnit(packed)
}

/** A page's text. */
export function joinLines(lines: readonly string[]): string {
  return lines.map((line) => `\n${line}`).join('')
}

export function splitLines(text: string): string[] {
  return text.split('\n').slice(1)
}

/** A unit's line, without looking at the others. */
export function findLine(text: string, id: UnitId): string | undefined {
  const start = text.indexOf(`\n${keyOf(id)}`)
  if (start < 0) return undefined
  const end = text.indexOf('\n', start + 1)
  return text.slice(start + 1, end < 0 ? undefined : end)
}

/** The hashes of the units of lines. */
export function hashesOf(lines: readonly string[]): Uint32Array {
  return Uint32Array.from(lines, (line) => hashOf(idOfLine(line)))
}

/** Parts the lines of a page as a directory parts pages of some depth. */
export function partLines(lines: readonly string[], depth: number): [lower: string[], upper: string[]] {
  const lower: string[] = []
  const upper: string[] = []
  for (const line of lines) (isInUpperHalf(hashOf(idOfLine(line)), depth) ? upper : lower).push(line)
  return [lower, upper]
}
