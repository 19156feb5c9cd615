import { expect, it } from 'vitest'
import { judge } from '../../scripts/checks/worker-budget.ts'

it('prints both figures beside the budget', () => {
  expect(judge(400 * 1024, 50)).toEqual({
    problems: [],
    figures: '400.0 KiB gzip of 400, start-up 50.0 ms of 50',
  })
})

it('names what is over it', () => {
  expect(judge(401 * 1024, 50).problems).toEqual(['the Worker is too large: 401.0 KiB gzip of 400'])
  expect(judge(1024, 51).problems).toEqual(['the Worker starts too slowly: start-up 51.0 ms of 50'])
})
