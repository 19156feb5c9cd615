import { describe, expect, it } from 'vitest'
import { findDocumentFaults } from '../../scripts/checks/openapi.ts'

const REFERENCE = { $ref: '#/components/schemas/Flag' }
const FLAG = {
  type: 'object',
  properties: {
    key: { type: 'string', example: 'new-checkout' },
    owner: { type: ['string', 'null'], default: null },
    enabled: { type: 'boolean' },
    tags: { type: 'array', items: { type: 'string', enum: ['a', 'b'] } },
    serve: { oneOf: [{ type: 'integer', example: 7 }, { type: 'null' }] },
  },
  required: ['key', 'enabled'],
}

const WHY = { type: 'object', properties: { comment: { type: 'string', example: 'Because' } } }

const OPERATION = {
  operationId: 'saveFlag',
  summary: 'Save a flag',
  tags: ['Flags'],
  parameters: [{ name: 'flag', in: 'path', required: true, schema: { type: 'string' } }],
  requestBody: { content: { 'application/json': { schema: { allOf: [REFERENCE, WHY] } } } },
  responses: {
    200: { description: 'It.', content: { 'application/json': { schema: REFERENCE } } },
    404: { description: 'Nothing: `not_found`.' },
  },
}

/** A document without faults, in which some fields of its operation or of its schema are others. */
function makeDocument(operation: object = {}, schema: object = {}, components: object = {}): string {
  return JSON.stringify({
    openapi: '3.1.0',
    info: { title: 'API', version: '1', license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }],
    tags: [{ name: 'Flags', description: 'All of them.' }],
    paths: { '/flags/{flag}': { put: { ...OPERATION, ...operation } } },
    components: {
      schemas: { Flag: { ...FLAG, ...schema }, ...components },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
  })
}

/** The schema with one more property. */
const withProperty = (property: object) => ({ properties: { ...FLAG.properties, more: property } })

it('finds nothing where nothing is wrong', async () => {
  expect(await findDocumentFaults(makeDocument())).toEqual([])
})

describe('operations', () => {
  it.each([
    ['without an id', { operationId: undefined }, 'operation-operationId'],
    ['without a summary', { summary: undefined }, 'operation-summary'],
    ['under a tag that is not declared', { tags: ['Others'] }, 'operation-tag-defined'],
    ['without success', { responses: { 404: OPERATION.responses[404] } }, 'operation-2xx-response'],
    ['without refusals', { responses: { 200: OPERATION.responses[200] } }, 'operation-4xx-response'],
    ['without the parameter that its path names', { parameters: [] }, 'path-parameters-defined'],
    ['under a security scheme that is not there', { security: [{ key: [] }] }, 'security-defined'],
  ])('%s', async (_, operation, rule) => {
    const faults = await findDocumentFaults(makeDocument(operation))
    expect(faults).toContainEqual(expect.stringContaining(`(${rule})`))
  })

  it('must name the codes of their refusals', async () => {
    const responses = { ...OPERATION.responses, 404: { description: 'Nothing.' } }
    expect(await findDocumentFaults(makeDocument({ responses }))).toEqual([
      'PUT /flags/{flag}: 404 names no code',
    ])
  })
})

describe('schemas', () => {
  it.each([
    [
      'an example of another type',
      withProperty({ type: 'integer', example: 'x' }),
      'no-invalid-schema-examples',
    ],
    ['what 3.0 had for null', withProperty({ type: 'integer', nullable: true, example: 1 }), 'struct'],
    [
      'a reference that leads nowhere',
      withProperty({ $ref: '#/components/schemas/Nothing' }),
      'no-unresolved-refs',
    ],
    [
      'examples of parts that make no whole',
      { ...withProperty({ type: 'integer', example: 3 }), required: ['key', 'other'] },
      'no-invalid-media-type-examples',
    ],
    [
      'an example with fields that are not there',
      { example: { key: 'x', enabled: true, other: 1 } },
      'no-invalid-media-type-examples',
    ],
  ])('%s', async (_, schema, rule) => {
    const faults = await findDocumentFaults(makeDocument({}, schema))
    expect(faults).toContainEqual(expect.stringContaining(`(${rule})`))
  })

  it('must have an example, or parts that have', async () => {
    const more = { type: 'object', properties: { list: { type: 'array', items: { type: 'string' } } } }
    expect(await findDocumentFaults(makeDocument({}, withProperty(more)))).toContain(
      'Flag.more.list[] has no example',
    )
  })

  it('must be used', async () => {
    const faults = await findDocumentFaults(makeDocument({}, {}, { Other: { type: 'boolean' } }))
    expect(faults).toEqual([expect.stringContaining('(no-unused-components)')])
  })
})
