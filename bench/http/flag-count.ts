/** How many flags a bulk request answers, half of each sort. */
export const FLAG_COUNT = 100
