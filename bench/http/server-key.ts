/** The key that the Workers are asked with. */
export const SERVER_KEY = 'rp_server_production_bench'
