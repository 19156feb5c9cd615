// Seeds decide who falls where, so they are made once and stay: a draft need not carry them, and one that leaves
// them out keeps those that the configuration has.
import { randomHex } from '../access/key.ts'
import { isJsonObject, type JsonObject } from '../engine/json.ts'

/** 15 hex digits: with its colon a seed then fills whole blocks of the hash. */
const SEED_DIGITS = 15

function splitOf(serve: unknown): JsonObject | undefined {
  return isJsonObject(serve) && isJsonObject(serve.split) ? serve.split : undefined
}

function seedOf(serve: unknown): string | undefined {
  const seed = splitOf(serve)?.seed
  return typeof seed === 'string' ? seed : undefined
}

function withSeed(serve: unknown, previous: unknown, createSeed: () => string): unknown {
  const split = splitOf(serve)
  if (!split || split.seed !== undefined) return serve
  return { split: { ...split, seed: seedOf(previous) ?? createSeed() } }
}

function ruleOf(configuration: unknown, id: unknown): JsonObject | undefined {
  if (!isJsonObject(configuration) || !Array.isArray(configuration.rules)) return undefined
  return configuration.rules.filter(isJsonObject).find((rule) => rule.id === id)
}

/**
 * Fills in the seeds that a drafted configuration leaves out: from the same place of the configuration before it
 * (the rule of the same id, the fallthrough), else new ones.
 */
export function withSeeds(draft: unknown, previous: unknown, createSeed: () => string): unknown {
  if (!isJsonObject(draft)) return draft
  const before = isJsonObject(previous) ? previous : {}
  const { fallthrough, rules } = draft
  return {
    ...draft,
    fallthrough: withSeed(fallthrough, before.fallthrough, createSeed),
    ...(Array.isArray(rules)
      ? {
          rules: rules.map((rule: unknown) =>
            isJsonObject(rule)
              ? { ...rule, serve: withSeed(rule.serve, ruleOf(before, rule.id)?.serve, createSeed) }
              : rule,
          ),
        }
      : {}),
  }
}

function reseeded(serve: unknown, target: unknown): unknown {
  const split = splitOf(serve)
  const seed = seedOf(target)
  return split && seed !== undefined ? { split: { ...split, seed } } : serve
}

/**
 * A configuration that is to replace another: its splits get the seeds of those at the same places there, because
 * where units fall is the environment's own.
 */
export function withSeedsOf(configuration: JsonObject, target: unknown): JsonObject {
  const before = isJsonObject(target) ? target : {}
  const { fallthrough, rules } = configuration
  return {
    ...configuration,
    fallthrough: reseeded(fallthrough, before.fallthrough),
    rules: Array.isArray(rules)
      ? rules.map((rule: unknown) =>
          isJsonObject(rule)
            ? { ...rule, serve: reseeded(rule.serve, ruleOf(before, rule.id)?.serve) }
            : rule,
        )
      : rules,
  }
}

/** Makes a seed: 60 random bits in hex. */
export function createSeed(): string {
  return randomHex(8).slice(0, SEED_DIGITS)
}
