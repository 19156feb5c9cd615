// Tables as answers.
import { z } from '@hono/zod-openapi'

// As any text, because for its end the router's types take it for JSON.
const CSV: string = 'text/csv'

/** Which form an answer has. */
export const formatQuery = z.object({
  format: z.enum(['json', 'csv']).default('json').openapi({ description: 'csv: a table (RFC 4180).' }),
})

/** The answer of a route that has a table too. */
export const jsonOrCsv = <T extends z.ZodType>(schema: T, description: string, example: string) => ({
  description,
  content: {
    'application/json': { schema },
    [CSV]: { schema: z.string().openapi({ description: 'With a line of names.', example }) },
  },
})

/** The headers of a table that is to be kept as a file; a partial one says so, because its text cannot. */
export function csvHeaders(file: string, partial: boolean) {
  return {
    'content-type': `${CSV}; charset=utf-8`,
    'content-disposition': `attachment; filename="${file}.csv"`,
    'x-rampart-partial': String(partial),
  }
}
