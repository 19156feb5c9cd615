import type { NoticeKind } from './notification.ts'

/** How people are told. */
export const CHANNEL_KINDS = ['slack', 'webhook', 'email'] as const

export type ChannelKind = (typeof CHANNEL_KINDS)[number]

/** Where people are told, with what nobody is shown: the whole target and the secret. */
export type Channel = {
  readonly id: string
  readonly environment: string
  readonly kind: ChannelKind
  readonly name: string
  readonly target: string
  /** Empty where nothing is signed. */
  readonly secret: string
  readonly events: readonly NoticeKind[]
  readonly enabled: boolean
  readonly revision: number
  /** Milliseconds since 1970. */
  readonly createdAt: number
  readonly updatedAt: number
}
