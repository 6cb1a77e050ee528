/* The watch (watch.py). Nothing is forgotten after two ttl: leases are shorter. */
#ifdef WATCH_FROM_FIRST
#define CONTINUES(n) (watched[n] != UNSEEN && deviation[n] >= STEADY - TOLERANCE && deviation[n] <= STEADY + TOLERANCE)
#else
#define CONTINUES(n) (watched[n] != UNSEEN && (deviation[n] == STEADY || (deviation[n] == STEADY + 1 && seen[n] != 2) || (deviation[n] == STEADY - 1 && seen[n] != 1)))
#endif
/* When sweep() is executed, the clock must not be ahead of what was watched. Behind
 * does no harm: leases then look longer. */
#define NOT_AHEAD(n) (deviation[n] <= STEADY || (deviation[n] == STEADY + 1 && seen[n] != 2))
#ifdef NO_WATCH
#define MAY_SWEEP(n) 1
#define STILL_MAY_SWEEP(n) 1
#else
#define MAY_SWEEP(n) (watched[n] == TTL && CONTINUES(n))
#ifdef NO_CLOCK_IN_SWEEP
#define STILL_MAY_SWEEP(n) 1
#else
#define STILL_MAY_SWEEP(n) (watched[n] == TTL && NOT_AHEAD(n))
#endif
#endif

inline forget_watch(n) { watched[n] = UNSEEN; deviation[n] = STEADY; seen[n] = 0 }

/* A tick without a reading: what the clock did meanwhile, nobody saw. A sweep() that
 * was decided on before comes late, and the clock is ahead by as much. */
#ifdef SMALL_STEPS
#define LATE_MAX 3
#else
#define LATE_MAX (2 * STEP_LARGE)   /* no steps back make up for more */
#endif
#ifdef WATCH_OVER_GAPS
inline miss_reading(n) { skip }
#else
inline miss_reading(n) {
	if
	:: sweeping[n] != NO_SWEEP && watched[n] == TTL && deviation[n] < STEADY + LATE_MAX ->
		sweeping[n] = LATE_SWEEP; deviation[n]++
	:: else -> forget_watch(n)
	fi
}
#endif

inline observe(n) {
	if
	:: !CONTINUES(n) ->
		if
		:: watched[n] == TTL -> REACHED(WATCH_BROKEN)
		:: else
		fi;
		watched[n] = 0; deviation[n] = STEADY; seen[n] = 0
	:: else ->
		if
		:: deviation[n] == STEADY + 1 -> seen[n] = 1
		:: deviation[n] == STEADY - 1 -> seen[n] = 2
		:: else
		fi
	fi
}
