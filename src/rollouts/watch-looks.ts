// Looks at rollouts that everyone has: whenever the clock looked at one, what it is guarded by is compared with the same
// hours of the weeks before, and people are told of what is worse, once a day at most.
import { and, asc, eq, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Bindings } from '../bindings.ts'
import type { Metric } from '../catalog/measurement.ts'
import { metricColumns } from '../catalog/metric-store.ts'
import { metrics as metricTable } from '../catalog/tables.ts'
import { prepare } from '../ledger/statement.ts'
import type { Notice } from '../notifications/notification.ts'
import { noticeStatements } from '../notifications/outbox.ts'
import { reportsMade } from '../notifications/tables.ts'
import { LogHistogram } from '../statistics/log-histogram.ts'
import type { SeriesCell } from '../telemetry/counting/series.ts'
import { askShards } from '../telemetry/reading/ask-shards.ts'
import type { Guardrail } from './plan.ts'
import type { Rollout } from './rollout.ts'
import { toRollout } from './rollout-store.ts'
import { rollouts } from './tables.ts'
import { type Counted, compareWithWeeks } from './watch.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Hours are kept for two weeks. */
const WEEKS = [1, 2] as const
/** How many looks are reported in a minute; the others follow in the next. */
const MAX_LOOKS = 4

type Look = { readonly rollout: Rollout; readonly at: number; readonly hours: number }

const keyOf = (id: string) => `look:${id}`

async function loadLooks(database: D1Database): Promise<Look[]> {
  const lookedAt = sql`${rollouts.progress} ->> 'lookedAt'`
  const rows = await drizzle(database)
    .select()
    .from(rollouts)
    .where(
      and(
        eq(rollouts.state, 'watching'),
        sql`${lookedAt} IS NOT NULL`,
        sql`NOT EXISTS (SELECT 1 FROM ${reportsMade} WHERE ${eq(reportsMade.environment, rollouts.environment)}
          AND kind = 'look:' || ${rollouts.id} AND about = ${lookedAt})`,
      ),
    )
    .orderBy(asc(rollouts.updatedAt))
    .limit(MAX_LOOKS)
  return rows.map(toRollout).map((rollout) => {
    const { lookedAt: at, endedAt } = rollout.progress
    return { rollout, at: at ?? 0, hours: hoursOf(rollout, (at ?? 0) - (endedAt ?? 0)) }
  })
}

/** How many whole hours a look is over: those since the one before, a day at most. */
function hoursOf({ plan: { watch } }: Rollout, elapsed: number): number {
  let end = 0
  const span = watch.find(({ forMs }) => {
    end += forMs
    return elapsed < end
  })
  return Math.max(1, Math.min(DAY_MS, span?.everyMs ?? HOUR_MS) / HOUR_MS)
}

async function loadMetrics(database: D1Database, keys: readonly string[]): Promise<Map<string, Metric>> {
  const rows = await drizzle(database)
    .select(metricColumns)
    .from(metricTable)
    .where(sql`${metricTable.key} IN (SELECT value FROM json_each(${JSON.stringify(keys)}))`)
  return new Map(rows.map((row) => [row.key, row]))
}

function count(cells: readonly SeriesCell[], flag: string, { metric, test }: Guardrail): Counted {
  const sketch = new LogHistogram()
  const sums = { exposures: 0, events: 0, sum: 0, denominator: 0 }
  for (const cell of cells) {
    if (cell.flag !== flag) continue
    if (cell.metric === null) sums.exposures += cell.count
    if (cell.metric !== metric) continue
    sums.events += cell.count
    sums.sum += cell.sum
    sums.denominator += cell.denominator
    if (cell.sketch) sketch.mergePacked(cell.sketch)
  }
  const quantile = test.quantile !== null && sketch.count > 0 ? sketch.quantile(test.quantile) : null
  return { ...sums, quantile }
}

function noticeOf({ rollout, at }: Look, metric: string, words: string): Notice {
  const { id, plan } = rollout
  const { flag, environment, variant } = plan
  return {
    // One a day for each metric.
    id: `${id}-weeks-${metric}-${Math.floor(at / DAY_MS)}`,
    environment,
    kind: 'guard.notice',
    title: `${flag} in ${environment}: ${metric} is worse than in the weeks before`,
    text: words,
    path: `/rollouts/${id}`,
    facts: { rollout: id, flag, environment, variant, metric, reason: 'weeks_before' },
    at,
  }
}

/** What one look finds: the hours before it, and the same ones of the weeks before. */
async function lookAt(bindings: Bindings, look: Look): Promise<readonly Notice[]> {
  const { flag, environment, guardrails } = look.rollout.plan
  if (guardrails.length === 0) return []
  const to = Math.floor(look.at / HOUR_MS) * HOUR_MS
  const spanOf = (week: number) => {
    const end = to - week * 7 * DAY_MS
    return { step: 'hour', from: end - look.hours * HOUR_MS, to: end, flag } as const
  }
  const [{ answers }, metrics] = await Promise.all([
    askShards(bindings, environment, (shard) =>
      Promise.all([0, ...WEEKS].map((week) => shard.series(spanOf(week)))),
    ),
    loadMetrics(
      bindings.DB,
      guardrails.map(({ metric }) => metric),
    ),
  ])
  const cellsOf = (week: number) => answers.flatMap((weeks) => weeks[week] ?? [])
  return guardrails.flatMap((guardrail): Notice[] => {
    const metric = metrics.get(guardrail.metric)
    if (!metric) return []
    const [now, ...weeks] = [0, ...WEEKS].map((week) => count(cellsOf(week), flag, guardrail))
    const worse = now && compareWithWeeks(metric, guardrail, now, weeks)
    return worse ? [noticeOf(look, metric.key, worse.words)] : []
  })
}

/** Reports the looks of watched rollouts that were not reported yet, each once. */
export async function reportLooks(bindings: Bindings): Promise<void> {
  for (const look of await loadLooks(bindings.DB)) {
    const { rollout, at } = look
    const { environment } = rollout.plan
    try {
      const notices = await lookAt(bindings, look)
      const kind = keyOf(rollout.id)
      const statements = [
        sql`DELETE FROM ${reportsMade} WHERE environment = ${environment} AND kind = ${kind}`,
        drizzle(bindings.DB).insert(reportsMade).values({ environment, kind, about: at }),
        ...noticeStatements(...notices),
      ]
      await bindings.DB.batch(statements.map((statement) => prepare(bindings.DB, statement)))
    } catch (error) {
      console.warn('look not reported', { rollout: rollout.id, error: String(error) })
    }
  }
}
