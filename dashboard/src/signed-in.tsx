import type { ComponentChildren } from 'preact'
import { useCallback, useEffect, useState } from 'preact/hooks'
import { forgetToken, hasToken, keepToken, type Me, whoAmI } from './management-client.ts'
import { SignIn } from './sign-in.tsx'

const REFRESH_MS = 10_000

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : 'Something went wrong.'
}

/** Asks who somebody is, then loads what they came for, and again every 10 seconds while they look. */
export function SignedIn<T>({
  load,
  show,
}: {
  readonly load: () => Promise<T>
  readonly show: (loaded: T, refresh: () => void) => ComponentChildren
}) {
  // null: not known yet; undefined: nobody.
  const [me, setMe] = useState<Me | undefined | null>(null)
  const [loaded, setLoaded] = useState<T>()
  const [fault, setFault] = useState<string>()

  const refresh = useCallback(async () => {
    try {
      setLoaded(await load())
      setFault(undefined)
    } catch (error) {
      setFault(wordsOf(error))
    }
  }, [load])

  const recognise = useCallback(async () => {
    try {
      const somebody = await whoAmI()
      setMe(somebody)
      setFault(somebody || !hasToken() ? undefined : 'This token is not known.')
      if (somebody) await refresh()
      else forgetToken()
    } catch (error) {
      setFault(wordsOf(error))
    }
  }, [refresh])

  useEffect(() => void recognise(), [recognise])

  useEffect(() => {
    if (!me) return undefined
    const timer = setInterval(() => document.visibilityState === 'visible' && void refresh(), REFRESH_MS)
    return () => clearInterval(timer)
  }, [me, refresh])

  return (
    <main class="narrow">
      {fault ? (
        <p class="fault" role="alert">
          {fault}
        </p>
      ) : null}
      {me === undefined ? (
        <SignIn
          onToken={(token) => {
            keepToken(token)
            void recognise()
          }}
        />
      ) : null}
      {me && loaded !== undefined ? show(loaded, () => void refresh()) : null}
      {me ? (
        <footer>
          <p class="quiet">
            You are {me.id}, {me.role}.
          </p>
          {hasToken() ? (
            <button
              type="button"
              class="plain"
              onClick={() => {
                forgetToken()
                setLoaded(undefined)
                setMe(undefined)
              }}
            >
              Forget the token
            </button>
          ) : null}
        </footer>
      ) : null}
    </main>
  )
}
