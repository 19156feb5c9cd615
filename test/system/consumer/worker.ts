// A second Worker that binds Rampart where a Flagship binding would stand: directly, and through Cloudflare's own
// published OpenFeature provider.
import { FlagshipServerProvider } from '@cloudflare/flagship/server'
import { OpenFeature } from '@openfeature/server-sdk'

type Environment = { readonly FLAGS: Flagship }

export default {
  async fetch(request: Request, env: Environment): Promise<Response> {
    const context = { targetingKey: 'ada', country: 'DE' }
    if (new URL(request.url).pathname === '/direct') {
      return Response.json({
        boolean: await env.FLAGS.getBooleanValue('new-checkout', false, context),
        details: await env.FLAGS.getBooleanDetails('new-checkout', false, context),
        number: await env.FLAGS.getNumberValue('free-shipping-threshold', 0, context),
        string: await env.FLAGS.getStringValue('checkout/error-copy', 'none', {
          ...context,
          company: { id: 'c-1' },
        }),
        object: await env.FLAGS.getObjectValue('hero-banner', {}, context),
        value: await env.FLAGS.getValue('reviews-per-page', 5, context),
        untyped: await env.FLAGS.get('dark-mode', 'none', context),
        mismatch: await env.FLAGS.getStringDetails('dark-mode', 'none', context),
        missing: await env.FLAGS.getBooleanDetails('no-such-flag', true, context),
      })
    }
    await OpenFeature.setProviderAndWait(new FlagshipServerProvider({ binding: env.FLAGS }))
    const client = OpenFeature.getClient()
    return Response.json({
      boolean: await client.getBooleanDetails('new-checkout', false, context),
      number: await client.getNumberValue('free-shipping-threshold', 0, context),
      object: await client.getObjectValue('hero-banner', {}, context),
      missing: await client.getBooleanDetails('no-such-flag', true, context),
    })
  },
}
