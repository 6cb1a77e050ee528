/* Counts how often something worth reaching was done, so that a model in which
 * nothing happens does not count as safe. Outside of the state, but for `promoted`. */
#ifdef COUNT
c_decl {
#define SWEPT_AFTER_PROMOTION 0
#define SWEPT_WITH_A_RUN 1
#define SWEPT_WITHOUT_A_RUN 2
#define SWEEP_SKIPPED_A_LOCKED_NODE 3
#define SWEEP_REFUSED_BY_CLOCK 4
#define PROVEN_WITH_A_RUN 5
#define WATCH_BROKEN 6
#define START_REFUSED 7
#define LATE_START_REFUSED 8
#define ANSWER_TO_START_LOST 9
#define GHOST_ENDED 10
#define FINISH_REFUSED 11
#define RENEWAL_REFUSED 12
#define REGISTERED_AGAIN 13
#define SOFT_STOP 14
#define HARD_STOP_OF_FROZEN 15
#define COUNTER_STOP 16
#define HOST_WOKE_TOO_LATE 17
#define RESTARTED 18
#define PROMOTED 19
#define PLACES 20
static const char *places[PLACES] = {
	"a run taken by sweep() after a promotion", "a run taken by sweep()", "a node without runs swept",
	"sweep() skipped a locked node", "sweep() refused by the clock", "a run taken by proof of death",
	"a complete watch broken", "a start refused", "a late start refused by the guardian",
	"an answer to a start lost", "a ghost ended", "an ending refused", "a renewal refused",
	"a node registered again", "a soft stop", "a hard stop of a frozen node",
	"a frozen guardian killed at the hard stop", "a host woke after its lease", "a restart", "a promotion"
};
static unsigned long times_reached[PLACES];
static void tell_reached(void)
{
	int place;
	for (place = 0; place < PLACES; place++)
		printf("REACHED %lu %s\n", times_reached[place], places[place]);
}
};
#define REACHED(place) c_code { times_reached[place]++; }
#define TELL_AT_THE_END c_code { atexit(tell_reached); }
bit promoted;   /* and no run was swept since */
#define PROMOTE(whether) promoted = whether
#define SINCE_PROMOTION promoted
#else
#define REACHED(place) skip
#define TELL_AT_THE_END skip
#define PROMOTE(whether) skip
#define SINCE_PROMOTION 0
#endif
