import fc from 'fast-check'
import { expect, it } from 'vitest'
import { toCsv } from '../../src/http/csv.ts'

it.each([
  ['a text', 'checkout', 'checkout'],
  ['a number below 0', -3.5, '-3.5'],
  ['nothing', null, ''],
  ['a yes', true, 'true'],
  ['a comma', 'a,b', '"a,b"'],
  ['a quotation mark', 'say "hi"', '"say ""hi"""'],
  ['a line break', 'a\r\nb', '"a\r\nb"'],
  ['a formula', '=1+1', "'=1+1"],
  ['a formula with a comma', '=SUM(A1,A2)', `"'=SUM(A1,A2)"`],
  ['a formula after a tab', '\t=1', "'\t=1"],
  ['what only looks like a number', '-1', "'-1"],
  ['a mention', '@SUM(1)', "'@SUM(1)"],
])('writes %s', (_name, value, written) => {
  expect(toCsv(['value'], [[value]])).toBe(`value\r\n${written}\r\n`)
})

/** Reads a table as RFC 4180 has it. */
function parse(text: string): string[][] {
  const rows: string[][] = [[]]
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? '')
    if (end === '\r\n') rows.push([])
  }
  return rows.slice(0, -1)
}

it('is read again as it was, whatever the texts are', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '"', ',', '\r', '\n', '=', ' ', 'é') })
  const table = fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(table, (rows) => {
      const expected = rows.map((row) => row.map((cell) => (/^[=\r]/.test(cell) ? `'${cell}` : cell)))
      expect(parse(toCsv(['a', 'b'], rows))).toEqual([['a', 'b'], ...expected])
    }),
  )
})
