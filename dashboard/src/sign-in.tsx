import { useState } from 'preact/hooks'

/** Asks for a token where no session says who somebody is. */
export function SignIn({ onToken }: { readonly onToken: (token: string) => void }) {
  const [token, setToken] = useState('')
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        onToken(token)
      }}
    >
      <header>
        <h1>Who are you?</h1>
        <p>Only who may read it sees this rollout, and only who may decide decides.</p>
      </header>
      <label>
        Your management token
        <input
          name="token"
          type="password"
          value={token}
          placeholder="rp_token_…"
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => setToken(event.currentTarget.value.trim())}
        />
      </label>
      <p class="quiet">It is kept until you close this tab.</p>
      <button type="submit" disabled={token === ''}>
        Go on
      </button>
    </form>
  )
}
