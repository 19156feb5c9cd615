import { z } from '@hono/zod-openapi'

const share = z.number().min(0).max(1).openapi({ example: 0.1 })
const figure = z.object({
  share,
  exact: z.boolean().openapi({ description: 'Whether it holds for whatever units there are.' }),
})
const variantName = z
  .string()
  .nullable()
  .openapi({ description: "null: the caller's default.", example: 'on' })
const transitions = z
  .array(z.object({ from: variantName, to: variantName, share }))
  .openapi({ example: [{ from: 'off', to: 'on', share: 0.1 }] })

/** What a drafted configuration would do to the units; see preview.ts. */
export const preview = z
  .object({
    splits: z
      .array(
        z.object({
          place: z.union([
            z.literal('fallthrough'),
            z.object({ rule: z.string().openapi({ example: 'ireland' }) }),
          ]),
          changed: share,
          moved: share,
          transitions,
          exact: z.boolean(),
        }),
      )
      .openapi({ description: 'Places that serve something else, as shares of the units that reach them.' }),
    sample: z
      .object({
        size: z.number().int().openapi({ example: 2_000 }),
        source: z.enum(['seen', 'synthetic']),
        changed: share,
        moved: share,
        transitions,
      })
      .openapi({ description: 'The whole flag, by evaluating it on contexts that were seen, or made.' }),
    changed: figure.openapi({ description: 'Which share of units is answered another variant.' }),
    moved: figure.openapi({
      description: 'Which share of units a split had given a variant, and a split now gives another.',
    }),
    warnings: z.array(
      z.object({
        code: z.string().openapi({ example: 'shadowed_rule' }),
        message: z
          .string()
          .openapi({ example: 'of 2,000 contexts, an earlier rule answers all that meet rule 2' }),
      }),
    ),
  })
  .openapi('Preview')
