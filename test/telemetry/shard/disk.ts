/** Everything that stands in a database's tables, as one text of Latin-1 characters. */
export function readDisk(sql: SqlStorage): string {
  const tables = sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").toArray()
  return tables
    .filter(({ name }) => !name.startsWith('_cf') && !name.startsWith('sqlite'))
    .flatMap(({ name }) => sql.exec(`SELECT * FROM ${name}`).toArray())
    .flatMap((row) => Object.values(row))
    .map((value) => (value instanceof ArrayBuffer ? toText(new Uint8Array(value)) : String(value)))
    .join('\n')
}

function toText(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}
