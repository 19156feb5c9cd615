import { expect, it } from 'vitest'
import * as whole from 'zod'

it('gives the Worker all of zod but its languages', async () => {
  const parts: object = await import('../../scripts/bundle/zod.js' as string)
  const expected = Object.keys(whole).filter(
    (name) => name !== 'core' && name !== 'locales' && name !== 'default',
  )
  expect(Object.keys(parts).sort()).toEqual(expected.sort())
  expect(Reflect.get(parts, 'object')).toBe(whole.object)
})
